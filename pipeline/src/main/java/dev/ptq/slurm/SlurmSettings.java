package dev.ptq.slurm;

import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.config.Section;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * The table {@code [slurm]} of a launcher's settings file. It is no part of an experiment: results do not depend on it.
 *
 * @param requests by kind of task
 * @param additional options of {@code sbatch} as they are
 * @param setup lines of shell before the program starts
 * @param java the command; the parent's own if absent
 * @param javaOptions after the parent's own
 * @param parallel tasks of an array at once
 * @param requeues after the time limit of a task
 * @param signalSeconds before the time limit, in which a task is requeued
 * @param pollSeconds between two looks at the queue
 * @param settleSeconds in which the files of a task that ended may become visible
 * @param nodeLocal paths, and types of file systems, that each node has for itself
 * @param commands the folder of Slurm's commands; found as usual if absent
 */
public record SlurmSettings(
        Map<String, TaskRequest> requests,
        List<String> additional,
        List<String> setup,
        Optional<String> java,
        List<String> javaOptions,
        OptionalInt parallel,
        int requeues,
        int signalSeconds,
        int pollSeconds,
        int settleSeconds,
        List<String> nodeLocal,
        Optional<Path> commands) {
    /** The kinds of tasks that may have settings of their own. */
    public static final List<String> KINDS = List.of("shared", "blocks", "points");

    /** What the launcher itself decides. */
    private static final Set<String> OURS = Set.of(
            "array",
            "chdir",
            "cpus-per-task",
            "dependency",
            "error",
            "job-name",
            "kill-on-invalid-dep",
            "no-requeue",
            "nodes",
            "ntasks",
            "open-mode",
            "output",
            "parsable",
            "requeue",
            "signal",
            "test-only",
            "wait",
            "wrap");

    private static final Key<List<String>> ADDITIONAL =
            Key.strings("additional").preset(List.of()).says("further options of sbatch, such as `--mail-type=FAIL`");

    private static final Key<List<String>> SETUP = Key.strings("setup")
            .preset(List.of())
            .says("lines of shell before the program starts, such as `module load java`");

    private static final Key<Optional<String>> JAVA =
            Key.text("java").optional("that of the command").says("the command that starts Java on a node");

    private static final Key<List<String>> JAVA_OPTIONS = Key.strings("java_options")
            .preset(List.of())
            .says("options of Java after those of the command, such as `-Xmx8g`");

    private static final Key<Optional<Integer>> PARALLEL = Key.integer("parallel")
            .from(1)
            .to(100_000)
            .optional("no limit")
            .says("tasks at once; `--jobs` comes before it");

    private static final Key<Integer> REQUEUES = Key.integer("requeues")
            .from(0)
            .to(1000)
            .preset(3)
            .says("how often a task may go on after its time limit, from what is saved");

    private static final Key<Integer> SIGNAL = Key.integer("signal_seconds")
            .from(10)
            .to(3600)
            .preset(120)
            .says("before its time limit a task is put back into the queue; Slurm may be a minute early");

    private static final Key<Integer> POLL =
            Key.integer("poll_seconds").from(1).to(600).preset(15).says("between two looks at the queue");

    private static final Key<Integer> SETTLE = Key.integer("settle_seconds")
            .from(0)
            .to(3600)
            .preset(60)
            .says("how long a network file system may take to show the result of a task that has ended");

    private static final Key<List<String>> NODE_LOCAL = Key.strings("node_local")
            .preset(List.of("/tmp", "/var/tmp", "/dev/shm", "/run", "tmpfs", "ramfs"))
            .says(
                    "paths, and types of file systems, that each node has for itself: nothing that tasks need may be there");

    private static final Key<Optional<String>> COMMANDS =
            Key.text("commands").optional("those of `PATH`").says("the folder of sbatch, squeue, scontrol and scancel");

    private static final Section KIND = Section.of("slurm.KIND", TaskRequest.KEYS);

    private static final List<Key<Optional<ConfigTable>>> OF_KIND = KINDS.stream()
            .map(kind -> Key.table(kind, KIND).optional("as every task").says("what differs for " + meaning(kind)))
            .toList();

    private static final Section SLURM = Section.of("slurm", keys());
    private static final Key<Optional<ConfigTable>> TABLE =
            Key.table("slurm", SLURM).optional("all defaults").says("how tasks are handed to Slurm");

    /** The keys of a settings file. */
    public static final Section SECTION = Section.of("launcher", TABLE);

    private static String meaning(String kind) {
        return switch (kind) {
            case "shared" -> "stages that several points need";
            case "blocks" -> "ranges of blocks";
            default -> "points";
        };
    }

    private static Keys keys() {
        Keys keys = TaskRequest.KEYS.and(Keys.of(
                ADDITIONAL, SETUP, JAVA, JAVA_OPTIONS, PARALLEL, REQUEUES, SIGNAL, POLL, SETTLE, NODE_LOCAL, COMMANDS));
        return keys.and(Keys.of(OF_KIND.toArray(Key<?>[]::new)));
    }

    /**
     * Reads a settings file.
     *
     * @throws ConfigException with all its problems and their positions
     */
    public static SlurmSettings read(Path file) throws IOException {
        return of(ConfigTable.read(file, List.of(), SECTION));
    }

    /** Reads the settings from a text, called {@code source} in messages. */
    public static SlurmSettings parse(String toml, String source) {
        return of(ConfigTable.parse(toml, source, List.of(), SECTION));
    }

    private static SlurmSettings of(ConfigTable root) {
        ConfigTable given = root.read(TABLE).orElseGet(() -> ConfigTable.parse("", "defaults", List.of(), SLURM));
        Map<String, TaskRequest> requests = new LinkedHashMap<>();
        TaskRequest.read(given, Optional.empty()); // its problems, once
        for (int i = 0; i < KINDS.size(); i++) {
            Optional<ConfigTable> own = given.read(OF_KIND.get(i));
            requests.put(
                    KINDS.get(i),
                    own.isPresent()
                            ? TaskRequest.read(own.get(), Optional.of(given))
                            : TaskRequest.read(given, Optional.empty()));
        }
        SlurmSettings settings = new SlurmSettings(
                requests,
                additional(given),
                lines(given, SETUP),
                given.read(JAVA),
                lines(given, JAVA_OPTIONS),
                given.read(PARALLEL).map(OptionalInt::of).orElse(OptionalInt.empty()),
                given.read(REQUEUES),
                given.read(SIGNAL),
                given.read(POLL),
                given.read(SETTLE),
                given.read(NODE_LOCAL),
                given.read(COMMANDS).map(Path::of));
        root.finish();
        return settings;
    }

    private static List<String> additional(ConfigTable table) {
        List<String> options = lines(table, ADDITIONAL);
        for (String option : options) {
            String name = option.replaceFirst("^--", "").replaceFirst("[= ].*", "");
            if (!option.startsWith("--") || name.isEmpty()) {
                table.problem(
                        ADDITIONAL, "expected options in long form, such as --mail-type=FAIL, got \"" + option + "\"");
            } else if (OURS.contains(name)) {
                table.problem(ADDITIONAL, "--" + name + " is set by the launcher itself");
            }
        }
        return options;
    }

    private static List<String> lines(ConfigTable table, Key<List<String>> key) {
        List<String> lines = table.read(key);
        if (lines.stream().anyMatch(line -> line.chars().anyMatch(c -> c == '\n' || c == '\r'))) {
            table.problem(key, "expected texts of one line each");
        }
        return lines;
    }

    TaskRequest request(String kind) {
        return Optional.ofNullable(requests.get(kind))
                .or(() -> Optional.ofNullable(requests.get("shared")))
                .orElseThrow();
    }

    /** Returns the processors of a task, and the threads of its program. */
    public int cpus(String kind) {
        return request(kind).cpus();
    }
}
