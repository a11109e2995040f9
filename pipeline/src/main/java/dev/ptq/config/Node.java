package dev.ptq.config;

import java.time.temporal.Temporal;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.tomlj.TomlArray;
import org.tomlj.TomlPosition;
import org.tomlj.TomlTable;

/** A value of a TOML document and where its key is written. Tables and lists can be changed by overrides. */
sealed interface Node {
    /** A string, {@code Long}, {@code Double}, {@code Boolean} or one of the dates and times of {@code java.time}. */
    record Scalar(Object value, Position position) implements Node {}

    record Items(List<Node> value, Position position) implements Node {}

    record Table(Map<String, Node> value, Position position) implements Node {}

    Object value();

    Position position();

    /** Copies a parsed table; {@code locate} turns the parser's positions into ours. */
    static Table table(TomlTable table, Position position, Function<TomlPosition, Position> locate) {
        Map<String, Node> entries = new LinkedHashMap<>();
        for (String key : table.keySet()) {
            List<String> path = List.of(key); // the overload that takes a string would split it at its dots
            entries.put(key, of(table.get(path), locate.apply(table.inputPositionOf(path)), locate));
        }
        return new Table(entries, position);
    }

    private static Node of(Object value, Position position, Function<TomlPosition, Position> locate) {
        if (value instanceof TomlTable table) {
            return table(table, position, locate);
        }
        if (value instanceof TomlArray array) {
            List<Node> items = new ArrayList<>();
            for (int i = 0; i < array.size(); i++) {
                items.add(of(array.get(i), locate.apply(array.inputPositionOf(i)), locate));
            }
            return new Items(items, position);
        }
        return new Scalar(value, position);
    }

    /** The value without positions: lists and maps of plain values; null where it holds a date or time. */
    static @Nullable Object plain(Object value) {
        if (value instanceof List<?> items) {
            List<Object> plain = new ArrayList<>();
            for (Object item : items) {
                Object each = plain(((Node) item).value());
                if (each == null) {
                    return null;
                }
                plain.add(each);
            }
            return List.copyOf(plain);
        }
        if (value instanceof Map<?, ?> entries) {
            Map<String, Object> plain = new LinkedHashMap<>();
            for (Map.Entry<?, ?> entry : entries.entrySet()) {
                Object each = plain(((Node) entry.getValue()).value());
                if (each == null) {
                    return null;
                }
                plain.put((String) entry.getKey(), each);
            }
            return Collections.unmodifiableMap(plain);
        }
        return value instanceof Temporal ? null : value;
    }

    /** The value in a message: as TOML, long ones cut. */
    default String shown() {
        if (this instanceof Table) {
            return "a table";
        }
        if (this instanceof Items items && items.value().stream().anyMatch(Table.class::isInstance)) {
            return "a list of tables";
        }
        String text = toml();
        return text.codePointCount(0, text.length()) <= 80
                ? text
                : text.substring(0, text.offsetByCodePoints(0, 79)) + "…";
    }

    private String toml() {
        if (this instanceof Items items) {
            return "["
                    + String.join(", ", items.value().stream().map(Node::toml).toList()) + "]";
        }
        if (this instanceof Table) {
            return "{…}";
        }
        Object value = value();
        boolean writable = value instanceof String || value instanceof Double;
        return writable ? TomlWriter.inline(value) : value.toString();
    }
}
