package dev.ptq.lqer;

import dev.ptq.config.Node;
import dev.ptq.config.Position;
import dev.ptq.config.Problems;
import dev.ptq.config.TomlWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * A table of an LQER file, read key by key. A value of the wrong type is noted as a problem and treated as left out,
 * like {@code "NA"}; unread keys are no problem, but can be listed.
 */
final class LqerTable {
    /** Stands for None, which the format lacks. */
    static final String NONE = "NA";

    private static final int LONGEST_SHOWN = 100;

    private final List<String> path;
    private final Node.Table node;
    private final Problems problems;
    private final Map<String, LqerTable> children = new LinkedHashMap<>();
    private final Set<String> read = new LinkedHashSet<>();
    private final Set<String> wholly = new LinkedHashSet<>();

    LqerTable(Node.Table root, Problems problems) {
        this(List.of(), root, problems);
    }

    private LqerTable(List<String> path, Node.Table node, Problems problems) {
        this.path = path;
        this.node = node;
        this.problems = problems;
    }

    /** All keys, in the order of the file. */
    List<String> keys() {
        return List.copyOf(node.value().keySet());
    }

    /** The table's dotted key. */
    String path() {
        return TomlWriter.key(path);
    }

    /** The key's full dotted name. */
    String path(String key) {
        return TomlWriter.key(at(key));
    }

    /** The key's position; the table's, if the key is left out. */
    Position position(String key) {
        Node value = node.value().get(key);
        return value == null ? node.position() : value.position();
    }

    /** Returns whether the key has a value. */
    boolean has(String key) {
        Node value = node.value().get(key);
        return value != null && !value.value().equals(NONE);
    }

    /** Returns whether the key's value is a table. */
    boolean hasTable(String key) {
        return node.value().get(key) instanceof Node.Table;
    }

    /** The text under the key, if it is one. Does not mark the key as read. */
    Optional<String> peek(String key) {
        Node value = node.value().get(key);
        return value != null && has(key) && value.value() instanceof String text ? Optional.of(text) : Optional.empty();
    }

    /** The value as one line of TOML, cut if it is long. */
    String shown(String key) {
        Node value = node.value().get(key);
        return Excerpt.of(value == null ? "" : TomlWriter.inline(plain(value)), LONGEST_SHOWN);
    }

    private static Object plain(Node node) {
        if (node instanceof Node.Table table) {
            Map<String, Object> plain = new LinkedHashMap<>();
            table.value().forEach((key, value) -> plain.put(key, plain(value)));
            return plain;
        }
        if (node instanceof Node.Items items) {
            return items.value().stream().map(LqerTable::plain).toList();
        }
        Object value = node.value();
        boolean simple = value instanceof Long || value instanceof Double || value instanceof Boolean;
        return simple ? value : value.toString();
    }

    /** The table under the key. */
    Optional<LqerTable> table(String key) {
        Node value = ask(key);
        if (value instanceof Node.Table table) {
            return Optional.of(children.computeIfAbsent(key, absent -> new LqerTable(at(key), table, problems)));
        }
        return reject(key, "a table");
    }

    /** The text under the key. */
    Optional<String> text(String key) {
        return ask(key).value() instanceof String text && !text.equals(NONE)
                ? Optional.of(text)
                : reject(key, "a text");
    }

    /** The whole number under the key, at least {@code min}. */
    OptionalInt whole(String key, int min) {
        if (ask(key).value() instanceof Long number && number >= min && number <= Integer.MAX_VALUE) {
            return OptionalInt.of(number.intValue());
        }
        boolean tooLarge = ask(key).value() instanceof Long number && number > Integer.MAX_VALUE;
        reject(
                key,
                tooLarge
                        ? "a whole number from " + min + " to " + Integer.MAX_VALUE
                        : "a whole number of at least " + min);
        return OptionalInt.empty();
    }

    /** The whole numbers under the key; a single one needs no list. */
    Optional<List<Integer>> wholes(String key) {
        Node value = ask(key);
        List<Node> items = value instanceof Node.Items list ? list.value() : List.of(value);
        List<Integer> numbers = new ArrayList<>();
        for (Node item : items) {
            if (item.value() instanceof Long number && number == number.intValue()) {
                numbers.add(number.intValue());
            } else {
                return reject(key, "a list of whole numbers");
            }
        }
        return Optional.of(numbers);
    }

    /** The texts under the key; a single one needs no list. */
    Optional<List<String>> texts(String key) {
        Node value = ask(key);
        List<Node> items = value instanceof Node.Items list ? list.value() : List.of(value);
        List<String> texts = items.stream()
                .map(Node::value)
                .filter(String.class::isInstance)
                .map(String.class::cast)
                .filter(text -> !text.equals(NONE))
                .toList();
        return texts.size() == items.size() ? Optional.of(texts) : reject(key, "a list of texts");
    }

    /** A boolean, also written as 1 or 0. */
    Optional<Boolean> flag(String key) {
        Object value = ask(key).value();
        if (value instanceof Boolean flag) {
            return Optional.of(flag);
        }
        if (value instanceof Long number && (number == 0 || number == 1)) {
            return Optional.of(number == 1);
        }
        return reject(key, "true or false");
    }

    /** Marks the key as read, along with everything in a table under it. */
    void read(String key) {
        read.add(key);
        wholly.add(key);
    }

    /** The keys not read, in the order of the file. */
    List<String> unread() {
        return keys().stream().filter(key -> !read.contains(key)).toList();
    }

    /** The tables read key by key. */
    List<LqerTable> children() {
        return children.entrySet().stream()
                .filter(child -> !wholly.contains(child.getKey()))
                .map(Map.Entry::getValue)
                .toList();
    }

    /** Notes a problem with the key. */
    void problem(String key, String message) {
        problems.add(position(key), path(key), message);
    }

    private Node ask(String key) {
        read.add(key);
        Node value = node.value().get(key);
        return value == null ? new Node.Scalar(NONE, node.position()) : value;
    }

    private <T> Optional<T> reject(String key, String expected) {
        Node value = node.value().get(key);
        if (value != null && has(key)) {
            problem(key, "expected " + expected + ", got " + value.shown());
        }
        return Optional.empty();
    }

    private List<String> at(String key) {
        List<String> longer = new ArrayList<>(path);
        longer.add(key);
        return longer;
    }
}
