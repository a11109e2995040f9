package dev.ptq.slurm;

import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * What is asked of Slurm for each task of a kind, in the words of {@code sbatch}; what is left out is decided by the
 * cluster.
 *
 * @param cpus of a task, and its {@code PTQ_THREADS}
 * @param memory of a task, and its {@code PTQ_MEMORY}
 * @param options further options of {@code sbatch} as they are written
 */
record TaskRequest(int cpus, Optional<String> memory, List<String> options) {
    private static final String LEFT = "the cluster's";

    private static final Key<Optional<String>> MEMORY =
            word("mem", "memory of a task, such as `32G`; its program decides by it whether a model stays in memory");

    private static final List<Key<Optional<String>>> WORDS = List.of(
            word("partition", "the partition, or several with commas"),
            word("account", "the account that is charged"),
            word("qos", "the quality of service"),
            word("constraint", "features that nodes must have; one type of processor keeps last bits alike"),
            word("exclude", "nodes that are not used"),
            word("time", "the time limit, such as `90` minutes, `4:00:00` or `2-00:00:00`"),
            MEMORY,
            word("gres", "other resources, such as `gpu:1`"));

    private static final Key<Optional<Integer>> CPUS = Key.integer("cpus")
            .from(1)
            .to(4096)
            .optional("1")
            .says("processors of a task; its program uses as many threads");

    private static final Pattern TIME =
            Pattern.compile("[0-9]{1,8}(:[0-9]{1,2}){0,2}|[0-9]{1,4}-[0-9]{1,2}(:[0-9]{1,2}){0,2}");
    private static final Pattern SIZE = Pattern.compile("[0-9]{1,9}[KMGT]?");

    /** The keys of a table. */
    static final Keys KEYS = Keys.of(keys());

    TaskRequest {
        options = List.copyOf(options);
    }

    private static Key<Optional<String>> word(String name, String meaning) {
        return Key.text(name).optional(LEFT).says(meaning);
    }

    private static Key<?>[] keys() {
        List<Key<?>> keys = new ArrayList<>(WORDS);
        keys.add(CPUS);
        return keys.toArray(Key<?>[]::new);
    }

    /** Reads a table, whose values come before those that hold for every kind. */
    static TaskRequest read(ConfigTable table, Optional<ConfigTable> every) {
        List<String> options = new ArrayList<>();
        Optional<String> memory = Optional.empty();
        for (Key<Optional<String>> key : WORDS) {
            Optional<String> value = read(table, key).or(() -> every.flatMap(outer -> outer.read(key)));
            value.ifPresent(given -> options.add("--" + key.name() + "=" + given));
            memory = key.name().equals(MEMORY.name()) ? value : memory;
        }
        int cpus = table.read(CPUS)
                .or(() -> every.flatMap(outer -> outer.read(CPUS)))
                .orElse(1);
        return new TaskRequest(cpus, memory, options);
    }

    private static Optional<String> read(ConfigTable table, Key<Optional<String>> key) {
        Optional<String> value = table.read(key);
        value.flatMap(given -> problem(key.name(), given)).ifPresent(problem -> table.problem(key, problem));
        return value;
    }

    private static Optional<String> problem(String name, String value) {
        if (value.isBlank() || value.chars().anyMatch(c -> c <= ' ')) {
            return Optional.of("expected a word, got \"" + value.replaceAll("\\p{Cc}", " ") + "\"");
        }
        if (name.equals("time") && !TIME.matcher(value).matches()) {
            return Optional.of("expected minutes, H:MM:SS or D-HH:MM:SS, got \"" + value + "\"");
        }
        if (name.equals("mem") && !SIZE.matcher(value).matches()) {
            return Optional.of("expected a number with K, M, G or T, got \"" + value + "\"");
        }
        return Optional.empty();
    }
}
