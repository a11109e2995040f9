package dev.ptq.config;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A table of a config file, read key by key.
 *
 * <p>Reading never throws: what is wrong is noted, and something else stands in for it (the default, the smallest
 * number, the name that was probably meant or else the first, an empty string, list or table), so that one run finds
 * every problem. {@link #finish} on the whole file then reports them, with the keys that nobody read. Until it has
 * returned, use nothing that was read. A method without a default wants the key to be there.
 *
 * <pre>{@code
 * ConfigTable config = ConfigTable.read(Path.of("configs/w4.toml"), List.of("quantization.weight.bits=3"));
 * ConfigTable weight = config.requiredTable("quantization").requiredTable("weight");
 * int bits = weight.integer("bits", 2, 8);                    // required
 * int groupSize = weight.integer("group_size", 128, 1, 4096); // 128 if left out
 * config.finish();
 * }</pre>
 */
public final class ConfigTable {
    /** A table that knows fewer keys than this lists them to who wrote another. */
    private static final int MANY_KEYS = 12;

    private static final Kind<Long> INT = new Kind.WholeNumber(Integer.MIN_VALUE, Integer.MAX_VALUE);

    private final List<String> path;
    private final Node.Table node;
    private final Problems problems;

    private final Set<String> known = new LinkedHashSet<>();
    private final Set<String> read = new LinkedHashSet<>();
    private final Map<String, Object> values = new LinkedHashMap<>();
    private final Map<String, List<ConfigTable>> children = new LinkedHashMap<>();

    /** Keys whose value something stands in for: what that is else wrong with is no news. */
    private final Set<String> wrong = new LinkedHashSet<>();

    /** Whether a choice could not be made out: it may decide which keys belong here. */
    private boolean undecided;

    private ConfigTable(List<String> path, Node.Table node, Problems problems) {
        this.path = path;
        this.node = node;
        this.problems = problems;
    }

    /**
     * The file with the overrides applied.
     *
     * @param overrides {@code key.path=value}, see {@link #parse}
     * @throws ConfigException if the file is not TOML
     * @throws IOException if the file cannot be read
     */
    public static ConfigTable read(Path file, List<String> overrides) throws IOException {
        return read(file, overrides, List.of());
    }

    /**
     * The file with the overrides and then the assignments applied.
     *
     * @param overrides {@code key.path=value}, see {@link #parse}
     * @param assignments do the same, but come from a file: problems with them are reported there
     * @throws ConfigException if the file is not TOML
     * @throws IOException if the file cannot be read
     */
    public static ConfigTable read(Path file, List<String> overrides, List<Assignment> assignments) throws IOException {
        return of(Node.read(file), overrides, assignments);
    }

    /**
     * The text with the overrides applied, in order.
     *
     * <p>An override's value is written as in TOML; a single word needs no quotes. Its key may lead through a list,
     * where the next part is an index from 0 or the entry's {@code method}, {@code name} or {@code dataset}.
     *
     * @param source what to call the text in messages
     * @throws ConfigException if the text is not TOML
     */
    public static ConfigTable parse(String toml, String source, List<String> overrides) {
        return of(Node.parse(toml, source), overrides, List.of());
    }

    private static ConfigTable of(Node.Table document, List<String> overrides, List<Assignment> assignments) {
        Problems problems = new Problems();
        Overrides changes = new Overrides(document, problems);
        overrides.forEach(override -> changes.apply(override, Position.ofOverride(override)));
        assignments.forEach(assignment -> changes.apply(assignment.toString(), assignment.position()));
        return new ConfigTable(List.of(), document, problems);
    }

    /** The document itself, whatever has been read of it. */
    Node.Table node() {
        return node;
    }

    /** Where the table stands in the file, as an override would address it: {@code approximation.0.factor}. */
    public String path() {
        return TomlWriter.key(path);
    }

    /** Where the key is written; where the table is, if the key is left out. */
    public Position position(String key) {
        Node value = node.value().get(key);
        return value == null ? node.position() : value.position();
    }

    /** Whether the key is there. It still has to be read. */
    public boolean has(String key) {
        known.add(key);
        return node.value().containsKey(key);
    }

    /** The keys that are written in the table, in their order. They still have to be read. */
    public List<String> keys() {
        return List.copyOf(node.value().keySet());
    }

    /** A string. */
    public String string(String key) {
        return scalar(key, new Kind.Text(), null);
    }

    /** A string, or the default if it is left out. */
    public String string(String key, String defaultValue) {
        return scalar(key, new Kind.Text(), defaultValue);
    }

    /** A string that may be left out. */
    public Optional<String> optionalString(String key) {
        return optional(key, new Kind.Text());
    }

    /** What the name stands for. Messages list the names in alphabetical order. */
    public <T> T choice(String key, Map<String, T> choices) {
        return chosen(key, choices, null);
    }

    /** What the name stands for, or the default name if it is left out. */
    public <T> T choice(String key, Map<String, T> choices, String defaultName) {
        return chosen(key, choices, defaultName);
    }

    /** What the names in a list stand for, or the default names if it is left out. */
    public <T> List<T> choices(String key, Map<String, T> choices, List<String> defaultNames) {
        Kind<String> kind = new Kind.OneOf(choices.keySet().stream().sorted().toList());
        return list(key, kind, "a list, each " + kind.expected(null), defaultNames).stream()
                .flatMap(name -> Optional.ofNullable(choices.get(name)).stream())
                .toList();
    }

    /** A whole number, bounds included; {@code Integer.MAX_VALUE} says that there is no upper bound. */
    public int integer(String key, int min, int max) {
        return Math.toIntExact(scalar(key, new Kind.WholeNumber(min, max), null));
    }

    /** A whole number, or the default if it is left out; the default need not be within the bounds. */
    public int integer(String key, int defaultValue, int min, int max) {
        return Math.toIntExact(scalar(key, new Kind.WholeNumber(min, max), (long) defaultValue));
    }

    /** A whole number that may be left out. */
    public OptionalInt optionalInteger(String key, int min, int max) {
        return optional(key, new Kind.WholeNumber(min, max)).stream()
                .mapToInt(Math::toIntExact)
                .findFirst();
    }

    /** A large whole number, bounds included; {@code Long.MAX_VALUE} says that there is no upper bound. */
    public long longInteger(String key, long min, long max) {
        return scalar(key, new Kind.WholeNumber(min, max), null);
    }

    /** A large whole number, or the default if it is left out. */
    public long longInteger(String key, long defaultValue, long min, long max) {
        return scalar(key, new Kind.WholeNumber(min, max), defaultValue);
    }

    /** A finite number, whole or not, bounds included; {@code Double.MAX_VALUE} says that there is no upper bound. */
    public double decimal(String key, double min, double max) {
        return scalar(key, new Kind.Decimal(min, max), null);
    }

    /** A finite number, or the default if it is left out. */
    public double decimal(String key, double defaultValue, double min, double max) {
        return scalar(key, new Kind.Decimal(min, max), defaultValue);
    }

    /** True or false. */
    public boolean flag(String key) {
        return scalar(key, new Kind.Flag(), null);
    }

    /** True or false, or the default if it is left out. */
    public boolean flag(String key, boolean defaultValue) {
        return scalar(key, new Kind.Flag(), defaultValue);
    }

    /** A list of whole numbers; how many is for the caller to check. */
    public List<Integer> integers(String key) {
        return ints(list(key, INT, "a list of whole numbers", null));
    }

    /** A list of whole numbers, or the default if it is left out. */
    public List<Integer> integers(String key, List<Integer> defaultValue) {
        List<Long> longs = defaultValue.stream().map(Integer::longValue).toList();
        return ints(list(key, INT, "a list of whole numbers", longs));
    }

    private static List<Integer> ints(List<Long> longs) {
        return longs.stream().map(Math::toIntExact).toList();
    }

    /** A list of strings. */
    public List<String> strings(String key) {
        return list(key, new Kind.Text(), "a list of strings", null);
    }

    /** A list of strings, or the default if it is left out. */
    public List<String> strings(String key, List<String> defaultValue) {
        return list(key, new Kind.Text(), "a list of strings", defaultValue);
    }

    /** A value of any kind: a string, {@code Long}, {@code Double}, {@code Boolean}, or a list or map of them. */
    public Object value(String key) {
        return scalar(key, new Kind.Anything(), null);
    }

    /** A list with at least one value, each of any kind. */
    public List<Object> values(String key) {
        Node value = ask(key);
        boolean table = value instanceof Node.Table;
        boolean empty = value instanceof Node.Items items && items.value().isEmpty();
        if (value != null && (table || empty)) {
            rejected(value, at(key), "a list of values", table ? "; a dotted key stands in quotes here" : "");
            return List.of();
        }
        return list(key, new Kind.Anything(), "a list of values", null);
    }

    /** The table under the key, inline or not; empty if it is left out. */
    public Optional<ConfigTable> table(String key) {
        return ask(key) == null ? Optional.empty() : Optional.of(requiredTable(key));
    }

    /**
     * The table under the key, inline or not; what stands in for it, if it is left out.
     *
     * @param preset a text without problems that is read instead
     */
    public ConfigTable table(String key, String preset) {
        if (ask(key) != null) {
            return requiredTable(key);
        }
        ConfigTable child = new ConfigTable(at(key), Node.parse(preset, preset), new Problems());
        values.put(key, child);
        return child;
    }

    /** The table under the key, inline or not. */
    public ConfigTable requiredTable(String key) {
        Node value = ask(key);
        if (value instanceof Node.Table table) {
            ConfigTable child = children.computeIfAbsent(
                            key, absent -> List.of(new ConfigTable(at(key), table, problems)))
                    .get(0);
            values.put(key, child);
            return child;
        }
        String expected = "a table";
        if (value == null) {
            missing(key, expected);
        } else {
            rejected(value, at(key), expected, "");
        }
        // whatever is read from the table that should have been here is no news
        Node.Table nothing = new Node.Table(new LinkedHashMap<>(), position(key));
        return new ConfigTable(at(key), nothing, new Problems());
    }

    /** The entries of a list of tables, inline or not; none if it is left out. */
    public List<ConfigTable> tables(String key) {
        Node value = ask(key);
        if (value instanceof Node.Items items) {
            List<ConfigTable> entries = children.computeIfAbsent(key, absent -> entries(key, items));
            values.put(key, entries);
            return entries;
        }
        String section = "[[" + TomlWriter.key(at(key)) + "]]";
        if (value instanceof Node.Table table && table.implied()) {
            problems.add(
                    value.position(),
                    TomlWriter.key(at(key)),
                    "the config has no " + section + " to change; add one to it, or set the list as a whole");
        } else if (value != null) {
            boolean inFile = value instanceof Node.Table && value.position().inFile();
            rejected(value, at(key), "a list of tables", inFile ? "; write " + section : "");
        }
        return List.of();
    }

    /** Notes a problem with the key, which counts as read, unless its value was wrong from the start. */
    public void problem(String key, String message) {
        ask(key);
        if (wrong.contains(key)) {
            return;
        }
        problems.add(position(key), TomlWriter.key(at(key)), message);
    }

    /** Notes a problem with the key, if it is there, and never names it among the keys that could be. */
    public void refuse(String key, String message) {
        if (node.value().containsKey(key)) {
            read.add(key);
            problems.add(position(key), TomlWriter.key(at(key)), message);
        }
    }

    /** Notes that the text under the key, if it is one, is none of the names nor what else was expected. */
    public void unknownName(String key, String expected, Collection<String> names) {
        Node value = ask(key);
        if (value != null && value.value() instanceof String name) {
            rejected(value, at(key), expected, Spelling.hint(Spelling.closest(name, names)));
        }
    }

    /** Notes a problem with the table. */
    public void problem(String message) {
        if (path.isEmpty()) {
            problems.add(node.position(), message);
        } else {
            problems.add(node.position(), path(), message);
        }
    }

    /**
     * Ends the reading of the whole file.
     *
     * @throws ConfigException if there was a problem, or a key that nobody read
     */
    public void finish() {
        noteUnread();
        problems.throwIfAny();
    }

    /**
     * Every key that was read and has a value, in reading order, with the value used, be it a default: whole numbers as
     * {@code Long}, choices by name, tables as maps. {@link TomlWriter} writes it as a config that means the same.
     */
    public Map<String, Object> resolved() {
        Map<String, Object> resolved = new LinkedHashMap<>();
        values.forEach((key, value) -> resolved.put(key, resolved(value)));
        return resolved;
    }

    private static Object resolved(Object value) {
        if (value instanceof List<?> list) {
            return list.stream().map(ConfigTable::resolved).toList();
        }
        return value instanceof ConfigTable table ? table.resolved() : value;
    }

    private <T> T scalar(String key, Kind<T> kind, @Nullable T defaultValue) {
        Node value = ask(key);
        T accepted = value == null ? defaultValue : kind.accept(value.value());
        if (accepted != null) {
            values.put(key, accepted);
            return accepted;
        }
        wrong.add(key);
        Optional<T> meant = Optional.empty();
        if (value == null) {
            missing(key, kind.expected(null));
        } else {
            rejected(value, at(key), kind);
            meant = kind.meant(value.value());
        }
        undecided |= kind instanceof Kind.OneOf && meant.isEmpty();
        return meant.orElse(defaultValue == null ? kind.placeholder() : defaultValue);
    }

    private <T> Optional<T> optional(String key, Kind<T> kind) {
        if (ask(key) == null) {
            return Optional.empty();
        }
        T value = scalar(key, kind, null);
        return values.containsKey(key) ? Optional.of(value) : Optional.empty();
    }

    private <T> T chosen(String key, Map<String, T> choices, @Nullable String defaultName) {
        // sorted, as most maps of choices have an order that changes from run to run
        String name =
                scalar(key, new Kind.OneOf(choices.keySet().stream().sorted().toList()), defaultName);
        T chosen = choices.get(name);
        if (chosen == null) {
            throw new IllegalArgumentException("default is not among the choices: " + name);
        }
        return chosen;
    }

    private <T> List<T> list(String key, Kind<T> kind, String expected, @Nullable List<T> defaultValue) {
        Node value = ask(key);
        List<T> accepted = defaultValue == null ? List.of() : List.copyOf(defaultValue);
        if (value instanceof Node.Items items) {
            List<T> sound = accepted(key, items, kind);
            accepted = sound.isEmpty() && !items.value().isEmpty() ? accepted : sound;
        } else if (value != null) {
            rejected(value, at(key), expected, "");
        } else if (defaultValue == null) {
            missing(key, expected);
        }
        values.put(key, accepted);
        return accepted;
    }

    private <T> List<T> accepted(String key, Node.Items items, Kind<T> kind) {
        List<T> accepted = new ArrayList<>();
        for (int i = 0; i < items.value().size(); i++) {
            Node item = items.value().get(i);
            T value = kind.accept(item.value());
            if (value == null) {
                rejected(item, at(key, i), kind);
                kind.meant(item.value()).ifPresent(accepted::add);
            } else {
                accepted.add(value);
            }
        }
        return List.copyOf(accepted);
    }

    private List<ConfigTable> entries(String key, Node.Items items) {
        List<ConfigTable> entries = new ArrayList<>();
        for (int i = 0; i < items.value().size(); i++) {
            Node item = items.value().get(i);
            if (item instanceof Node.Table table) {
                entries.add(new ConfigTable(at(key, i), table, problems));
            } else {
                rejected(item, at(key, i), "a table", "");
            }
        }
        return List.copyOf(entries);
    }

    private @Nullable Node ask(String key) {
        known.add(key);
        read.add(key);
        return node.value().get(key);
    }

    private List<String> at(String key) {
        return Stream.concat(path.stream(), Stream.of(key)).toList();
    }

    private List<String> at(String key, int index) {
        return Stream.concat(path.stream(), Stream.of(key, String.valueOf(index)))
                .toList();
    }

    private void missing(String key, String expected) {
        if (!undecided) {
            problems.add(node.position(), TomlWriter.key(at(key)), "expected " + expected + ", but it is missing");
        }
    }

    private void rejected(Node value, List<String> path, Kind<?> kind) {
        rejected(value, path, kind.expected(value.value()), Spelling.hint(kind.meant(value.value())));
    }

    private void rejected(Node value, List<String> path, String expected, String hint) {
        String message = "expected " + expected + ", got " + value.shown() + hint;
        problems.add(value.position(), TomlWriter.key(path), message);
    }

    private void noteUnread() {
        node.value().forEach((key, value) -> {
            if (!read.contains(key)) {
                problems.add(value.position(), TomlWriter.key(at(key)), unread(key));
            }
        });
        children.values().forEach(tables -> tables.forEach(ConfigTable::noteUnread));
    }

    private String unread(String key) {
        if (known.contains(key)) {
            return "not used here; remove it";
        }
        String hint = Spelling.hint(Spelling.closest(key, known));
        boolean listed = hint.isEmpty() && !undecided && !known.isEmpty() && known.size() < MANY_KEYS;
        return "unknown key" + (listed ? "; expected one of " + known : hint);
    }
}
