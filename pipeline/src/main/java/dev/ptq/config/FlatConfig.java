package dev.ptq.config;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * A config file flattened to values by dotted key, for telling such files apart.
 *
 * <p>Keys are written as in an override: {@code approximation.l2qer.rank} belongs to the step with that method, {@code
 * evaluation.perplexity.NAME.seq_len} to the text with that name. Entries of a list that share a name go by index. A
 * list of named entries also has a value, its names: {@code approximation} is {@code "l2qer"}.
 */
public final class FlatConfig {
    private static final String ROOT = "";

    /** Tables of a config that say where it comes from, and set nothing. */
    private static final Set<String> NOTES = Set.of("allocation");

    private final Map<String, Object> values = new LinkedHashMap<>();

    /** The table that each key is in. */
    private final Map<String, String> homes = new HashMap<>();

    /** The table around each table. */
    private final Map<String, String> parents = new HashMap<>();

    /** The first key of each table that has keys. */
    private final Map<String, String> firsts = new HashMap<>();

    /** Tables that are named entries of a list. */
    private final Set<String> entries = new HashSet<>();

    /** Keys whose value is the names of such entries. */
    private final Set<String> lists = new HashSet<>();

    /** The names by which the entries of a list are addressed, in order. */
    private final Map<String, List<String>> children = new HashMap<>();

    private final boolean whole;

    private FlatConfig(boolean whole) {
        this.whole = whole;
    }

    /** Returns an empty config. */
    public static FlatConfig none() {
        return new FlatConfig(true);
    }

    /**
     * Reads any config, whatever its keys.
     *
     * @param source the name of the text in messages
     * @throws ConfigException if the text is not TOML
     */
    public static FlatConfig parse(String toml, String source) {
        try {
            FlatConfig flat = new FlatConfig(true);
            flat.table(List.of(), Node.parse(toml, source));
            return flat;
        } catch (StackOverflowError e) { // the parser and this class recurse with the nesting
            throw new ConfigException(source + ": nested too deeply");
        }
    }

    /**
     * Returns what can be told of a config from its changes alone.
     *
     * @param changes {@code key=value} as for an override, the later ones winning; invalid ones are skipped
     * @param like a config with the same lists, {@link #none} if none is known: it gives the names of entries that
     *     changes address by index
     */
    public static FlatConfig ofChanges(List<String> changes, FlatConfig like) {
        Node.Table document = new Node.Table(new LinkedHashMap<>(), Position.ofOverride(""));
        Overrides overrides = new Overrides(document, new Problems());
        try {
            FlatConfig flat = new FlatConfig(false);
            changes.forEach(change -> overrides.apply(change, document.position()));
            flat.table(List.of(), flat.withNames(document, List.of(), like));
            return flat;
        } catch (StackOverflowError e) { // as above; no config has such values
            return new FlatConfig(false);
        }
    }

    /** Returns the table with its entries under their names instead of indices, as far as these are known. */
    private Node.Table withNames(Node.Table table, List<String> path, FlatConfig like) {
        String list = TomlWriter.key(path);
        List<String> names = new ArrayList<>(like.children.getOrDefault(list, List.of()));
        Map<String, Node> renamed = new LinkedHashMap<>();
        boolean given = false;
        for (Map.Entry<String, Node> each : table.value().entrySet()) {
            String key = each.getKey();
            if (each.getValue() instanceof Node.Table entry) {
                int place = names.isEmpty() ? -1 : place(key, names.size());
                Optional<String> own =
                        place < 0 ? Optional.empty() : Overrides.names(entry).findFirst();
                if (own.isPresent()) {
                    names.set(place, own.get());
                    given = true;
                }
                String name = place < 0 ? key : names.get(place);
                if (table.value().containsKey(name) || renamed.containsKey(name)) {
                    name = key; // entries that share a name go by index
                }
                renamed.put(name, withNames(entry, append(path, name), like));
            } else {
                renamed.put(key, each.getValue());
            }
        }
        if (given) {
            put(path.subList(0, path.size() - 1), path, String.join(", ", names));
        }
        return new Node.Table(renamed, table.position());
    }

    /** Returns the key as an index below {@code count}; otherwise -1. */
    private static int place(String key, int count) {
        return IntStream.range(0, count)
                .filter(place -> key.equals(String.valueOf(place)))
                .findFirst()
                .orElse(-1);
    }

    /**
     * Returns the keys that tell these configs apart: two of them differ in the value, or one has none. A config known
     * only by its changes counts with the values that it has.
     *
     * <p>A missing key does not count if another key already says so. If a step or text is missing as a whole, the
     * names of its list show that, and its keys count only if other steps or texts have different values for them; of
     * any other missing table only the first key counts; and another format has other keys.
     */
    public static Set<String> differences(Collection<FlatConfig> configs) {
        Set<String> keys = new ConfigDifferences(
                        configs.stream().filter(config -> config.whole).toList())
                .keys();
        configs.stream()
                .filter(config -> !config.whole)
                .flatMap(config -> config.values.keySet().stream())
                .distinct()
                .filter(key -> configs.stream()
                                .flatMap(config -> Stream.ofNullable(config.values.get(key)))
                                .distinct()
                                .count()
                        > 1)
                .forEach(keys::add);
        return keys;
    }

    /**
     * Returns the values by key, in the order of the file: strings, {@code Long}, {@code Double}, {@code Boolean},
     * dates and times, lists of these.
     */
    public Map<String, Object> values() {
        return Collections.unmodifiableMap(values);
    }

    /** Returns whether it has all keys of its config, not only the changed ones. */
    public boolean isWhole() {
        return whole;
    }

    /** Returns whether it is empty. */
    public boolean isEmpty() {
        return values.isEmpty();
    }

    /** Returns the table that a key is in. */
    String home(String key) {
        return Objects.requireNonNull(homes.get(key));
    }

    boolean isTable(String table) {
        return table.equals(ROOT) || parents.containsKey(table);
    }

    /** Returns a table, the one around it, and so on, without the root. */
    Stream<String> tablesAround(String table) {
        return Stream.iterate(table, each -> !each.equals(ROOT), each -> Objects.requireNonNull(parents.get(each)));
    }

    boolean isFirst(String key) {
        return key.equals(firsts.get(home(key)));
    }

    /** Returns whether a table is a named entry of a list. */
    boolean isEntry(String table) {
        return entries.contains(table);
    }

    /** Returns whether a key's value is the names of such entries. */
    boolean isNames(String key) {
        return lists.contains(key);
    }

    /** Returns the key of a named entry in a form that is the same for all entries; empty for the name itself. */
    Optional<String> inAnyEntry(String key) {
        return tablesAround(home(key)).filter(this::isEntry).findFirst().flatMap(entry -> {
            String list = Objects.requireNonNull(parents.get(entry));
            boolean isName = values.get(key) instanceof String name && entry.equals(child(list, TomlWriter.key(name)));
            return isName ? Optional.empty() : Optional.of(list + ".*" + key.substring(entry.length()));
        });
    }

    /** Returns the dotted form of a table's key. */
    static String child(String table, String key) {
        return table.equals(ROOT) ? key : table + "." + key;
    }

    private void table(List<String> path, Node.Table table) {
        table.value().forEach((key, value) -> {
            List<String> longer = append(path, key);
            if (path.isEmpty() && NOTES.contains(key)) {
                return;
            }
            if (value instanceof Node.Table inner) {
                parents.put(TomlWriter.key(longer), TomlWriter.key(path));
                table(longer, inner);
            } else if (value instanceof Node.Items items && isListOfTables(items)) {
                tables(path, longer, items.value());
            } else {
                put(path, longer, plain(value));
            }
        });
    }

    private static boolean isListOfTables(Node.Items items) {
        return !items.value().isEmpty() && items.value().stream().allMatch(Node.Table.class::isInstance);
    }

    private void tables(List<String> path, List<String> list, List<Node> items) {
        List<String> names = items.stream()
                .flatMap(item -> Overrides.names(item).limit(1))
                .filter(name -> !Overrides.INDEX.matcher(name).matches())
                .toList();
        String key = TomlWriter.key(list);
        parents.put(key, TomlWriter.key(path));
        if (names.size() == items.size()) {
            put(path, list, String.join(", ", names));
            lists.add(key);
        }
        boolean named = names.stream().distinct().count() == items.size();
        List<String> addresses = named
                ? names
                : IntStream.range(0, items.size()).mapToObj(String::valueOf).toList();
        if (named) {
            children.put(key, names);
        }
        for (int i = 0; i < items.size(); i++) {
            List<String> entry = append(list, addresses.get(i));
            parents.put(TomlWriter.key(entry), key);
            if (named) {
                entries.add(TomlWriter.key(entry));
            }
            table(entry, (Node.Table) items.get(i));
        }
    }

    private void put(List<String> path, List<String> keyPath, Object value) {
        String key = TomlWriter.key(keyPath);
        String table = TomlWriter.key(path);
        values.put(key, value);
        homes.put(key, table);
        firsts.putIfAbsent(table, key);
    }

    private static Object plain(Node node) {
        if (node instanceof Node.Items items) {
            return items.value().stream().map(FlatConfig::plain).toList();
        }
        if (node instanceof Node.Table table) { // next to other values in a list
            Map<String, Object> plain = new TreeMap<>();
            table.value().forEach((key, value) -> plain.put(key, plain(value)));
            return plain;
        }
        return node.value();
    }

    private static List<String> append(List<String> path, String key) {
        return Stream.concat(path.stream(), Stream.of(key)).toList();
    }
}
