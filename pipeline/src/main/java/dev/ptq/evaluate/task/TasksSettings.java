package dev.ptq.evaluate.task;

import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Spelling;
import dev.ptq.data.DatasetSplit;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;

/**
 * {@code [evaluation.tasks]}.
 *
 * @param names of tasks and groups
 * @param numFewshot examples in front of every question
 * @param limit documents of each task, from the first, or below 1 a share of them; all where absent
 * @param data the folder of their data, see {@link TaskFolder}; empty for what was fetched from the hub
 * @param batchSize requests that are scored together; it decides speed only
 * @param bootstrap resamples behind the standard error of a perplexity; 0 leaves out all standard errors
 * @param seed of the choice of examples; profile {@code lqer-0.3} has its own
 * @param addBos whether texts start with the start token; the profile or the tokenizer decides where absent
 * @param lqerJson whether results are written in the layout of LQER's tools too
 * @param quirks of the harness that are kept
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
        List<Quirk> quirks) {
    /** The seed of the harness of version 0.3. */
    private static final int LQER_SEED = 42;

    /** Resamples that take less than a second for the largest task. */
    private static final int RESAMPLES = 1000;

    /** Reads the table. */
    public static TasksSettings read(ConfigTable table) {
        Profile profile = table.choice("profile", Profile.byLabel(), Profile.HARNESS.label());
        List<String> names = table.strings("names");
        int numFewshot = table.integer("num_fewshot", 0, 0, 1000);
        checkNames(table, names, profile, numFewshot);
        String data = table.optionalString("data").orElse("");
        if (data.isEmpty()) {
            if (table.has("data")) {
                table.problem("data", "expected a folder; left out, tasks take what was fetched from the hub");
            } else {
                checkFetched(table, names, profile, numFewshot);
            }
        } else if (!Files.isDirectory(Path.of(data))) {
            table.problem("data", "no such folder: \"" + data + "\" (paths start at the current directory)");
        }
        List<Quirk> quirks = table.choices("quirks", Quirk.byLabel(), List.of());
        return new TasksSettings(
                names,
                numFewshot,
                limit(table),
                profile,
                data,
                table.integer("batch_size", 16, 1, 1 << 16),
                table.integer("bootstrap", RESAMPLES, 0, 1_000_000),
                table.integer("seed", 1234, 0, Integer.MAX_VALUE),
                table.has("add_bos") ? Optional.of(table.flag("add_bos")) : Optional.empty(),
                table.flag("lqer_json", profile == Profile.LQER),
                quirks);
    }

    /** Data sets that are to be fetched are problems with the config, not with the run. */
    private static void checkFetched(ConfigTable table, List<String> names, Profile profile, int numFewshot) {
        for (DatasetSplit split : onHub(names, profile, numFewshot)) {
            try {
                split.find();
            } catch (ConfigException | IOException e) {
                table.problem("data", "left out, and " + e.getMessage());
            }
        }
    }

    /** What tasks need of the hub where their table names no folder; what is wrong there is for {@link #read} to say. */
    public static Set<DatasetSplit> onHub(ConfigTable table) {
        return onHub(
                table.strings("names"),
                table.choice("profile", Profile.byLabel(), Profile.HARNESS.label()),
                table.integer("num_fewshot", 0, 0, 1000));
    }

    private static Set<DatasetSplit> onHub(List<String> names, Profile profile, int numFewshot) {
        Set<DatasetSplit> splits = new LinkedHashSet<>();
        for (String name : names) {
            for (Task task : Tasks.named(name, profile).map(TaskNode::tasks).orElse(List.of())) {
                splits.add(task.onHub(task.evaluatedSplit()));
                if (numFewshot > 0) {
                    splits.add(task.onHub(task.exampleSplit()));
                }
            }
        }
        return splits;
    }

    private static OptionalDouble limit(ConfigTable table) {
        if (!table.has("limit")) {
            return OptionalDouble.empty();
        }
        double limit = table.value("limit") instanceof Number number ? number.doubleValue() : 0;
        boolean share = limit > 0 && limit < 1;
        if (!share && !(limit >= 1 && limit == Math.rint(limit) && limit <= Integer.MAX_VALUE)) {
            table.problem(
                    "limit", "expected a number of documents, or a share of them below 1, got " + table.value("limit"));
        }
        return OptionalDouble.of(limit);
    }

    private static void checkNames(ConfigTable table, List<String> names, Profile profile, int numFewshot) {
        if (table.has("names") && table.value("names").equals(List.of())) {
            table.problem("names", "expected at least one task; `ptq list tasks` shows them");
        }
        Set<String> seen = new LinkedHashSet<>();
        for (String name : names) {
            Optional<TaskNode> node = Tasks.named(name, profile);
            if (node.isEmpty()) {
                boolean elsewhere = Tasks.named(name, Profile.HARNESS).isPresent();
                String hint = Spelling.hint(Spelling.closest(name, Tasks.names(profile)));
                table.problem(
                        "names",
                        elsewhere
                                ? "profile " + profile.label() + " has no task \"" + name + "\""
                                : "there is no task \"" + name + "\""
                                        + (hint.isEmpty() ? "; `ptq list tasks` shows them" : hint));
                continue;
            }
            for (Task task : node.get().tasks()) {
                if (!seen.add(task.name())) {
                    table.problem("names", "\"" + name + "\" names " + task.name() + ", which an earlier one does too");
                    break;
                }
                if (numFewshot > 0 && task.scoring() == Scoring.ROLLING) {
                    table.problem("num_fewshot", "expected 0 for " + name + ", which takes no examples");
                }
            }
        }
    }

    /** The same of one of the names, and with the data in another folder. */
    public TasksSettings with(String name, String folder) {
        return new TasksSettings(
                List.of(name),
                numFewshot,
                limit,
                profile,
                folder,
                batchSize,
                bootstrap,
                seed,
                addBos,
                lqerJson,
                quirks);
    }

    /** The tasks and groups, in order. */
    List<TaskNode> nodes() {
        return names.stream()
                .map(name -> Tasks.named(name, profile).orElseThrow())
                .toList();
    }

    /** Whether results have scores under the name, be it that of a part of a group. */
    public boolean includes(String name) {
        return names.stream()
                .flatMap(each -> Tasks.named(each, profile).stream())
                .anyMatch(node -> node.includes(name));
    }

    /** Every single task, in order. */
    public List<Task> tasks() {
        return nodes().stream().flatMap(node -> node.tasks().stream()).toList();
    }

    /** The seed that a task's order and examples are drawn from. */
    int usedSeed() {
        return profile == Profile.LQER ? LQER_SEED : seed;
    }

    /** How many of a task's documents are evaluated. */
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
