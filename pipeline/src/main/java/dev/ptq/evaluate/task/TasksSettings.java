package dev.ptq.evaluate.task;

import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Section;
import dev.ptq.config.Spelling;
import dev.ptq.data.DatasetSplit;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;

/**
 * The settings in {@code [evaluation.tasks]}.
 *
 * @param names of tasks and groups
 * @param numFewshot examples in front of every question
 * @param limit documents of each task, from the first, or below 1 a share of them; absent for all
 * @param data the folder of their data, see {@link TaskFolder}; empty for data fetched from the hub
 * @param batchSize requests that are scored together; it affects only speed, unless a format spans batches
 * @param bootstrap resamples behind the standard error of a perplexity; 0 leaves out all standard errors
 * @param seed of the choice of examples; profile {@code lqer-0.3} has its own
 * @param addBos whether texts start with the start token; if absent, the profile or the tokenizer decides
 * @param lqerJson whether results are also written in the layout of LQER's tools
 * @param quirks of the harness that are kept
 * @param own of some of the names
 */
public record TasksSettings(
        List<String> names,
        int numFewshot,
        OptionalDouble limit,
        Profile profile,
        String data,
        int batchSize,
        int bootstrap,
        int seed,
        Optional<Boolean> addBos,
        boolean lqerJson,
        List<Quirk> quirks,
        List<Own> own) {
    /**
     * What a task or group has of its own.
     *
     * @param numFewshot absent for that of all
     * @param limit likewise
     */
    public record Own(String name, OptionalInt numFewshot, OptionalDouble limit) {}

    /** The seed of the harness of version 0.3. */
    private static final int LQER_SEED = 42;

    /** Well-known tasks of the harness, or the beginnings of their names, that are scored by what a model writes. */
    private static final List<String> GENERATED = List.of(
            "bbh",
            "coqa",
            "drop",
            "gsm8k",
            "hendrycks_math",
            "humaneval",
            "ifeval",
            "longbench",
            "mbpp",
            "mgsm",
            "minerva_math",
            "mmlu_pro",
            "nq_open",
            "ruler",
            "squadv2",
            "triviaqa",
            "truthfulqa_gen",
            "webqs");

    /** Resamples that take less than a second for the largest task. */
    private static final int RESAMPLES = 1000;

    private static final Key<List<String>> NAMES = Key.strings("names").says("tasks and groups of tasks, see below");

    private static final Key<Optional<String>> DATA =
            Key.path("data").optional("the hub's cache").says("folder of the tasks' documents, see below");

    private static final Key<Integer> NUM_FEWSHOT = Key.integer("num_fewshot")
            .from(0)
            .to(1000)
            .preset(0)
            .says("examples before every question; `wikitext` takes none");

    private static final Key<Optional<Object>> LIMIT = Key.value(
                    "limit", "a whole number of at least 1, or a share between 0 and 1")
            .optional("all")
            .says("documents of each task that are scored, from the first");

    private static final Key<Profile> PROFILE =
            Key.choice("profile", Profile.choices()).preset(Profile.HARNESS).says("whose rules are followed");

    private static final Key<Integer> BATCH_SIZE = Key.integer("batch_size")
            .from(1)
            .to(1 << 16)
            .preset(16)
            .says("requests that are scored together. Where requests that begin alike share their beginning, this"
                    + " counts tokens: as many as that number of the longest requests would have");

    private static final Key<Integer> BOOTSTRAP = Key.integer("bootstrap")
            .from(0)
            .to(1_000_000)
            .preset(RESAMPLES)
            .says("resamples behind the standard error of a perplexity (the harness takes 100000); 0 leaves out all"
                    + " standard errors");

    private static final Key<Integer> SEED = Key.integer("seed")
            .from(0)
            .preset(1234)
            .says("seed for the choice of examples; profile `\"lqer-0.3\"` always takes its own");

    private static final Key<Optional<Boolean>> ADD_BOS = Key.flag("add_bos")
            .optional("as the profile and the tokenizer have it")
            .says("whether texts begin with the start token");

    private static final Key<Boolean> LQER_JSON = Key.flag("lqer_json")
            .presetIs("`true` with profile `\"lqer-0.3\"`, else `false`")
            .says("whether results are also written in the layout that LQER's tools read");

    private static final Key<List<Quirk>> QUIRKS = Key.choices("quirks", Quirk.choices())
            .preset(List.of())
            .says("habits of the harness that this program takes on only if asked to");

    private static final Key<Optional<Integer>> OWN_FEWSHOT = Key.integer("num_fewshot")
            .from(0)
            .to(1000)
            .optional("that of all tasks")
            .says("examples before every question of this task or group");

    private static final Key<Optional<Object>> OWN_LIMIT = Key.value(
                    "limit", "a whole number of at least 1, or a share between 0 and 1")
            .optional("that of all tasks")
            .says("documents of this task, or of each task of this group, that are scored");

    private static final Key<Optional<ConfigTable>> OWN = Key.table(
                    "NAME", Section.of("evaluation.tasks.NAME", OWN_FEWSHOT, OWN_LIMIT))
            .optional("none")
            .says("what one of `names` has of its own");

    /** The keys of {@code [evaluation.tasks]}. */
    public static final Section SECTION = Section.of(
                    "evaluation.tasks",
                    NAMES,
                    DATA,
                    NUM_FEWSHOT,
                    LIMIT,
                    PROFILE,
                    BATCH_SIZE,
                    BOOTSTRAP,
                    SEED,
                    ADD_BOS,
                    LQER_JSON,
                    QUIRKS)
            .withNames(OWN);

    /** Reads the table. */
    public static TasksSettings read(ConfigTable table) {
        Profile profile = table.read(PROFILE);
        List<String> names = table.read(NAMES);
        int numFewshot = table.read(NUM_FEWSHOT);
        List<Own> own = own(table, names);
        checkNames(table, names, profile, numFewshot, own);
        String data = table.read(DATA).orElse("");
        if (data.isEmpty()) {
            if (table.has(DATA)) {
                table.problem(DATA, "expected a folder; left out, tasks take what was fetched from the hub");
            } else {
                checkFetched(table, names, profile, numFewshot, own);
            }
        } else if (!Files.isDirectory(Path.of(data))) {
            table.problem(
                    DATA,
                    "no such folder: \"" + data
                            + "\" (a path in a file starts at its folder, others at the current directory)");
        }
        List<Quirk> quirks = table.read(QUIRKS);
        TasksSettings settings = new TasksSettings(
                names,
                numFewshot,
                limit(table, LIMIT),
                profile,
                data,
                table.read(BATCH_SIZE),
                table.read(BOOTSTRAP),
                table.read(SEED),
                table.read(ADD_BOS),
                table.read(LQER_JSON, profile == Profile.LQER),
                quirks,
                own);
        if (settings.lqerJson() && !own.isEmpty()) {
            table.problem(
                    own.get(0).name(),
                    "expected the same for all tasks with lqer_json, as LQER's files have one num_fewshot and limit");
        }
        return settings;
    }

    private static List<Own> own(ConfigTable table, List<String> names) {
        List<Own> own = new ArrayList<>();
        for (String key : table.tables()) {
            if (SECTION.isNamed(key)) {
                continue; // a table in place of a value, which its reader reports
            }
            Key<Optional<ConfigTable>> name = OWN.named(key);
            ConfigTable inner = table.read(name).orElseThrow();
            Optional<Integer> shots = inner.read(OWN_FEWSHOT);
            OptionalDouble limit = limit(inner, OWN_LIMIT);
            if (!names.contains(key)) {
                table.problem(name, "expected one of names, " + names + Spelling.hint(Spelling.closest(key, names)));
            }
            own.add(new Own(key, shots.map(OptionalInt::of).orElseGet(OptionalInt::empty), limit));
        }
        return own;
    }

    private static int numFewshot(String name, int ofAll, List<Own> own) {
        return own.stream()
                .filter(each -> each.name().equals(name))
                .flatMapToInt(each -> each.numFewshot().stream())
                .findFirst()
                .orElse(ofAll);
    }

    /** Reports missing data sets as problems with the config, not with the run. */
    private static void checkFetched(
            ConfigTable table, List<String> names, Profile profile, int numFewshot, List<Own> own) {
        for (DatasetSplit split : onHub(names, profile, numFewshot, own)) {
            try {
                split.find();
            } catch (ConfigException | IOException e) {
                table.problem(DATA, "left out, and " + e.getMessage());
            }
        }
    }

    /** Returns whether the table names a folder of data. */
    public static boolean hasFolder(ConfigTable table) {
        return table.has(DATA);
    }

    /** Returns what tasks need from the hub if their table names no folder; problems are left to {@link #read}. */
    public static Set<DatasetSplit> onHub(ConfigTable table) {
        List<String> names = table.read(NAMES);
        return onHub(names, table.read(PROFILE), table.read(NUM_FEWSHOT), own(table, names));
    }

    private static Set<DatasetSplit> onHub(List<String> names, Profile profile, int numFewshot, List<Own> own) {
        Set<DatasetSplit> splits = new LinkedHashSet<>();
        for (String name : names) {
            for (Task task : Tasks.named(name, profile).map(TaskNode::tasks).orElse(List.of())) {
                splits.add(task.onHub(task.evaluatedSplit()));
                if (numFewshot(name, numFewshot, own) > 0) {
                    splits.add(task.onHub(task.exampleSplit()));
                }
            }
        }
        return splits;
    }

    private static OptionalDouble limit(ConfigTable table, Key<Optional<Object>> key) {
        Optional<Object> given = table.read(key);
        if (given.isEmpty()) {
            return OptionalDouble.empty();
        }
        double limit = given.get() instanceof Number number ? number.doubleValue() : 0;
        boolean share = limit > 0 && limit < 1;
        if (!share && !(limit >= 1 && limit == Math.rint(limit) && limit <= Integer.MAX_VALUE)) {
            table.problem(key, "expected a number of documents, or a share of them below 1, got " + given.get());
        }
        return OptionalDouble.of(limit);
    }

    private static void checkNames(
            ConfigTable table, List<String> names, Profile profile, int numFewshot, List<Own> own) {
        if (table.written(NAMES).equals(Optional.of(List.of()))) {
            table.problem(NAMES, "expected at least one task; `ptq list tasks` shows them");
        }
        Set<String> seen = new LinkedHashSet<>();
        for (String name : names) {
            Optional<TaskNode> node = Tasks.named(name, profile);
            if (node.isEmpty() && isGenerated(name)) {
                table.problem(
                        NAMES,
                        "\"" + name + "\" is scored by what a model writes, and tasks here by the likelihood of given"
                                + " answers; leave it out, `ptq list tasks` shows those that there are");
                continue;
            }
            if (node.isEmpty()) {
                boolean elsewhere = Tasks.named(name, Profile.HARNESS).isPresent();
                String hint = Spelling.hint(Spelling.closest(name, Tasks.names(profile)));
                table.problem(
                        NAMES,
                        elsewhere
                                ? "profile " + profile.label() + " has no task \"" + name + "\""
                                : "there is no task \"" + name + "\""
                                        + (hint.isEmpty() ? "; `ptq list tasks` shows them" : hint));
                continue;
            }
            for (Task task : node.get().tasks()) {
                if (!seen.add(task.name())) {
                    table.problem(NAMES, "\"" + name + "\" names " + task.name() + ", which an earlier one does too");
                    break;
                }
                if (numFewshot(name, numFewshot, own) > 0 && task.scoring() == Scoring.ROLLING) {
                    table.problem(NUM_FEWSHOT, "expected 0 for " + name + ", which takes no examples");
                }
            }
        }
    }

    private static boolean isGenerated(String name) {
        return GENERATED.stream().anyMatch(known -> name.equals(known) || name.startsWith(known + "_"));
    }

    /** Returns the settings for one of the names, with its own and the data in another folder. */
    public TasksSettings with(String name, String folder) {
        OptionalDouble ownLimit = own.stream()
                .filter(each -> each.name().equals(name))
                .flatMapToDouble(each -> each.limit().stream())
                .findFirst();
        return new TasksSettings(
                List.of(name),
                numFewshot(name, numFewshot, own),
                ownLimit.isPresent() ? ownLimit : limit,
                profile,
                folder,
                batchSize,
                bootstrap,
                seed,
                addBos,
                lqerJson,
                quirks,
                List.of());
    }

    /** Returns the tasks and groups, in order. */
    List<TaskNode> nodes() {
        return names.stream()
                .map(name -> Tasks.named(name, profile).orElseThrow())
                .toList();
    }

    /** Returns whether results have scores under the name, which may be a part of a group. */
    public boolean includes(String name) {
        return names.stream()
                .flatMap(each -> Tasks.named(each, profile).stream())
                .anyMatch(node -> node.includes(name));
    }

    /** Returns every single task, in order. */
    public List<Task> tasks() {
        return nodes().stream().flatMap(node -> node.tasks().stream()).toList();
    }

    /** Returns the seed for a task's order and examples. */
    int usedSeed() {
        return profile == Profile.LQER ? LQER_SEED : seed;
    }

    /** Returns how many of a task's documents are evaluated. */
    int limited(int documents) {
        if (limit.isEmpty()) {
            return documents;
        }
        double most = limit.getAsDouble();
        if (most >= 1) {
            return (int) Math.min(documents, most);
        }
        return (int) (profile == Profile.LQER ? Math.floor(documents * most) : Math.ceil(documents * most));
    }
}
