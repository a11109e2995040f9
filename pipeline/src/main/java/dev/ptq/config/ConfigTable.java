package dev.ptq.config;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A table of a config file, read key by key. Its keys are declared in a {@link Section}; reading any other is a bug of
 * ours.
 *
 * <p>Reading never throws because of the file's content: problems are collected, and a stand-in is returned (the
 * default, the smallest number, the name that was probably meant or else the first, an empty string, list or table), so
 * that one run finds every problem. {@link #finish} on the whole file then reports them, along with keys that nobody
 * read. Until it has returned, use no value that was read.
 *
 * <pre>{@code
 * static final Key<Integer> BITS = Key.integer("bits").from(2).to(8).says("of a code");
 * static final Key<ConfigTable> WEIGHT = Key.table("weight", Section.of("format", BITS)).says("format of weights");
 *
 * ConfigTable config = ConfigTable.read(Path.of("w4.toml"), List.of("weight.bits=3"), Section.of("top level", WEIGHT));
 * int bits = config.read(WEIGHT).read(BITS);
 * config.finish();
 * }</pre>
 */
public final class ConfigTable {
    /** A table with fewer keys than this lists them when it reports an unknown key. */
    private static final int MANY_KEYS = 12;

    private final List<String> path;
    private final Node.Table node;
    private final Section section;
    private final Problems problems;

    private final Set<String> known = new LinkedHashSet<>();
    private final Set<String> read = new LinkedHashSet<>();
    private final Map<String, Object> values = new LinkedHashMap<>();
    private final Map<String, List<ConfigTable>> children = new LinkedHashMap<>();

    /** Keys with a stand-in for their value: further problems with it are not reported. */
    private final Set<String> wrong = new LinkedHashSet<>();

    /** Whether some choice is unreadable: it may decide which keys belong here. */
    private boolean undecided;

    private ConfigTable(List<String> path, Node.Table node, Section section, Problems problems) {
        this.path = path;
        this.node = node;
        this.section = section;
        this.problems = problems;
    }

    /**
     * Reads the file and applies the overrides.
     *
     * @param overrides {@code key.path=value}, see {@link #parse}
     * @param section the keys that may be read
     * @throws ConfigException if the file is not TOML
     * @throws IOException if the file cannot be read
     */
    public static ConfigTable read(Path file, List<String> overrides, Section section) throws IOException {
        return read(file, overrides, List.of(), section);
    }

    /**
     * Reads the file and applies the overrides, then the assignments.
     *
     * @param overrides {@code key.path=value}, see {@link #parse}
     * @param assignments do the same, but come from a file: problems with them are reported there
     * @param section the keys that may be read
     * @throws ConfigException if the file is not TOML
     * @throws IOException if the file cannot be read
     */
    public static ConfigTable read(Path file, List<String> overrides, List<Assignment> assignments, Section section)
            throws IOException {
        return read(ConfigFiles.single(file), overrides, assignments, section);
    }

    /**
     * Applies the overrides to what files say together, then the assignments.
     *
     * @param overrides {@code key.path=value}, see {@link #parse}
     * @param assignments do the same, but come from a file: problems with them are reported there
     * @param section the keys that may be read
     * @throws ConfigException if a file is not TOML
     */
    public static ConfigTable read(
            ConfigFiles files, List<String> overrides, List<Assignment> assignments, Section section) {
        return of(files.document(), overrides, assignments, section);
    }

    /**
     * Parses the text and applies the overrides, in order.
     *
     * <p>An override's value is written as in TOML; a single word needs no quotes. Its key may lead through a list,
     * where the next part is an index from 0 or the entry's {@code method}, {@code name} or {@code dataset}. An
     * override {@code ~key.path} removes what is there. At last, <code>${env:NAME}</code> in a text becomes the value of
     * that environment variable.
     *
     * @param source the name of the text in messages
     * @param section the keys that may be read
     * @throws ConfigException if the text is not TOML
     */
    public static ConfigTable parse(String toml, String source, List<String> overrides, Section section) {
        return of(Node.parse(toml, source), overrides, List.of(), section);
    }

    private static ConfigTable of(
            Node.Table document, List<String> overrides, List<Assignment> assignments, Section section) {
        Problems problems = new Problems();
        Overrides changes = new Overrides(document, problems);
        overrides.forEach(override -> changes.apply(override, Position.ofOverride(override)));
        assignments.forEach(assignment -> changes.apply(assignment.toString(), assignment.position()));
        new Environment(System::getenv, problems).replaceIn(document);
        return new ConfigTable(List.of(), document, section, problems);
    }

    /** Returns the table's path in the file, as an override would address it: {@code approximation.0.factor}. */
    public String path() {
        return TomlWriter.key(path);
    }

    /** Returns the position of the key, or of the table if the key is left out. */
    public Position position(String key) {
        Node value = node.value().get(key);
        return value == null ? node.position() : value.position();
    }

    /** Returns whether the key is present. It still has to be read. */
    public boolean has(Key<?> key) {
        requireDeclared(key);
        return has(key.name());
    }

    boolean has(String key) {
        known.add(key);
        return node.value().containsKey(key);
    }

    /** Returns the keys that are written in the table, in their order. They still have to be read. */
    public List<String> keys() {
        return List.copyOf(node.value().keySet());
    }

    /** Returns those of {@link #keys} whose values are tables. */
    public List<String> tables() {
        return node.value().entrySet().stream()
                .filter(entry -> entry.getValue() instanceof Node.Table)
                .map(Map.Entry::getKey)
                .toList();
    }

    /**
     * Returns the value of a key as written, of any kind: a string, {@code Long}, {@code Double}, {@code Boolean}, or a
     * list or map of them. It still has to be read.
     */
    public Optional<Object> written(Key<?> key) {
        requireDeclared(key);
        known.add(key.name());
        return Optional.ofNullable(node.value().get(key.name())).map(value -> Node.plain(value.value()));
    }

    /**
     * Returns the value of a key, or its default if it is left out.
     *
     * @throws IllegalArgumentException if the section does not declare the key, exactly as it is given here
     */
    public <T> T read(Key<T> key) {
        requireDeclared(key);
        return key.kind().read(this, key.name(), key.preset());
    }

    /**
     * Returns the value of a key whose default depends on other things.
     *
     * @param preset the default
     * @throws IllegalArgumentException if the section does not declare the key, or the key has a default of its own
     */
    public <T> T read(Key<T> key, T preset) {
        requireDecided(key);
        return key.kind().read(this, key.name(), new Preset.Value<>(preset));
    }

    /**
     * Returns the value of a key of which only some choices are valid here.
     *
     * @param choices the valid ones
     * @param preset the default
     * @throws IllegalArgumentException if the section does not declare the key, or the key has a default of its own
     */
    public <T> T read(Key<T> key, Choices<T> choices, T preset) {
        requireDecided(key);
        return new Kind.OneOf<>(choices).read(this, key.name(), new Preset.Value<>(preset));
    }

    private void requireDecided(Key<?> key) {
        requireDeclared(key);
        if (!(key.preset() instanceof Preset.Decided)) {
            throw new IllegalArgumentException(key.name() + " has a default of its own, or has to be there");
        }
    }

    private void requireDeclared(Key<?> key) {
        if (!section.declares(key)) {
            throw new IllegalArgumentException(
                    "section " + section.title() + " does not declare the key " + key.name() + " as it is read");
        }
    }

    List<Object> values(String key, String expected) {
        Node value = ask(key);
        boolean table = value instanceof Node.Table;
        boolean empty = value instanceof Node.Items items && items.value().isEmpty();
        if (value != null && (table || empty)) {
            rejected(value, at(key), expected, table ? "; a dotted key stands in quotes here" : "");
            return List.of();
        }
        return list(key, new Kind.Anything(""), expected, null);
    }

    /** Reads a table, from its preset if it is left out. */
    ConfigTable table(String key, Section keys, String preset) {
        if (ask(key) != null) {
            return table(key, keys);
        }
        Node.Table document = Node.parse("preset = " + preset, preset);
        Node.Table inner = (Node.Table) Objects.requireNonNull(document.value().get("preset"));
        ConfigTable child = new ConfigTable(at(key), inner, keys, new Problems());
        values.put(key, child);
        return child;
    }

    ConfigTable table(String key, Section keys) {
        Node value = ask(key);
        if (value instanceof Node.Table table) {
            ConfigTable child = children.computeIfAbsent(
                            key, absent -> List.of(new ConfigTable(at(key), table, keys, problems)))
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
        // problems with a table that is not there are not reported again
        Node.Table nothing = new Node.Table(new LinkedHashMap<>(), position(key));
        return new ConfigTable(at(key), nothing, keys, new Problems());
    }

    List<ConfigTable> tables(String key, Section keys) {
        Node value = ask(key);
        if (value instanceof Node.Items items) {
            List<ConfigTable> entries = children.computeIfAbsent(key, absent -> entries(key, items, keys));
            values.put(key, entries);
            return entries;
        }
        String header = "[[" + TomlWriter.key(at(key)) + "]]";
        if (value instanceof Node.Table table && table.implied()) {
            problems.add(
                    value.position(),
                    TomlWriter.key(at(key)),
                    "the config has no " + header + " to change; add one to it, or set the list as a whole");
        } else if (value != null) {
            boolean inFile = value instanceof Node.Table && value.position().inFile();
            rejected(value, at(key), "a list of tables", inFile ? "; write " + header : "");
        }
        return List.of();
    }

    /** Reports a problem with the key and marks it as read; does nothing more if its value was wrong from the start. */
    public void problem(Key<?> key, String message) {
        requireDeclared(key);
        problem(key.name(), message);
    }

    /**
     * Reports a problem with the key of that name, as {@link #problem(Key, String)}.
     *
     * @throws IllegalArgumentException if the section declares no such key
     */
    public void problem(String key, String message) {
        if (!section.declares(key)) {
            throw new IllegalArgumentException("section " + section.title() + " does not declare the key " + key);
        }
        ask(key);
        if (wrong.contains(key)) {
            return;
        }
        problems.add(position(key), TomlWriter.key(at(key)), message);
    }

    /** Reports a problem with the key if it is present, and never suggests it as a valid key. */
    public void refuse(Key<?> key, String message) {
        requireDeclared(key);
        String name = key.name();
        if (node.value().containsKey(name)) {
            read.add(name);
            problems.add(position(name), TomlWriter.key(at(name)), message);
        }
    }

    /** Reports that the text under the key, if it is one, is neither one of the names nor else what was expected. */
    public void unknownName(Key<String> key, String expected, Collection<String> names) {
        requireDeclared(key);
        Node value = ask(key.name());
        if (value != null && value.value() instanceof String name) {
            rejected(value, at(key.name()), expected, Spelling.hint(Spelling.closest(name, names)));
        }
    }

    /** Reports a problem with the table. */
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
     * Returns every key that was read and has a value, in reading order, with the value used, defaults included: whole
     * numbers as {@code Long}, choices by name, tables as maps. {@link TomlWriter} writes it as an equivalent config.
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

    /** Returns whether the key was read and has a value, defaults included. */
    boolean isRead(String key) {
        return values.containsKey(key);
    }

    <T> T scalar(String key, Kind.Scalar<T> kind, @Nullable T defaultValue) {
        Node value = ask(key);
        T accepted = value == null ? defaultValue : kind.accept(value.value());
        if (accepted != null) {
            values.put(key, kind.written(accepted));
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

    /** Reads a path or a name, and finds where the path leads; {@link #resolved} has it in full. */
    String location(String key, Kind.Location kind, @Nullable String defaultValue) {
        String written = scalar(key, kind, defaultValue);
        if (wrong.contains(key)
                || !node.value().containsKey(key)
                || kind.isName().test(written)) {
            return written;
        }
        Place place = Place.of(written, position(key));
        place.warning().ifPresent(warning -> problems.warn(position(key), TomlWriter.key(at(key)), warning));
        place.problem().ifPresent(problem -> problems.add(position(key), TomlWriter.key(at(key)), problem));
        problems.located(new Located.Entry(position(key), written, place.path()));
        values.put(key, Place.absolute(place.path()));
        return place.path();
    }

    /** Returns where the paths that were read so far, in the whole file, were found. */
    public Located located() {
        return problems.located();
    }

    <T> List<T> list(String key, Kind.Scalar<T> kind, String expected, @Nullable List<T> defaultValue) {
        Node value = ask(key);
        List<T> accepted = defaultValue == null ? List.of() : List.copyOf(defaultValue);
        if (value instanceof Node.Items items) {
            List<T> sound = accepted(key, items, kind);
            boolean allWrong = sound.isEmpty() && !items.value().isEmpty();
            if (allWrong && defaultValue == null) {
                return sound;
            }
            accepted = allWrong ? accepted : sound;
        } else if (value != null) {
            rejected(value, at(key), expected, "");
            if (defaultValue == null) {
                return accepted;
            }
        } else if (defaultValue == null) {
            missing(key, expected);
        }
        values.put(key, accepted.stream().map(kind::written).toList());
        return accepted;
    }

    private <T> List<T> accepted(String key, Node.Items items, Kind.Scalar<T> kind) {
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

    private List<ConfigTable> entries(String key, Node.Items items, Section keys) {
        List<ConfigTable> entries = new ArrayList<>();
        for (int i = 0; i < items.value().size(); i++) {
            Node item = items.value().get(i);
            if (item instanceof Node.Table table) {
                entries.add(new ConfigTable(at(key, i), table, keys, problems));
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

    private void rejected(Node value, List<String> path, Kind.Scalar<?> kind) {
        rejected(value, path, kind.expected(value.value()), Spelling.hint(kind.hint(value.value())));
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
