package dev.ptq.config;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.temporal.Temporal;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.tomlj.Toml;
import org.tomlj.TomlArray;
import org.tomlj.TomlParseError;
import org.tomlj.TomlParseResult;
import org.tomlj.TomlPosition;
import org.tomlj.TomlTable;

/**
 * A value of a TOML document with the position of its key. Overrides can change tables and lists. Our own files are
 * read through {@link ConfigTable}; this is for files whose keys are not ours to choose.
 */
public sealed interface Node {
    /** A string, {@code Long}, {@code Double}, {@code Boolean} or one of the dates and times of {@code java.time}. */
    record Scalar(Object value, Position position) implements Node {}

    /** A list. */
    record Items(List<Node> value, Position position) implements Node {}

    /**
     * A table, its keys in the order of the file.
     *
     * @param implied whether the document has no such table, but an override sets a key in it
     */
    record Table(Map<String, Node> value, Position position, boolean implied) implements Node {
        /** Makes a table that is written in the document. */
        public Table(Map<String, Node> value, Position position) {
            this(value, position, false);
        }
    }

    /** Returns a scalar's value, or the contents of a list or table. */
    Object value();

    /** Returns the position of the key. */
    Position position();

    /**
     * Reads a file.
     *
     * @throws ConfigException if it is not TOML in UTF-8
     * @throws IOException if it cannot be read
     */
    static Table read(Path file) throws IOException {
        try {
            String toml = Files.readString(file);
            return parse(toml.startsWith("\ufeff") ? toml.substring(1) : toml, file.toString());
        } catch (CharacterCodingException e) {
            throw new ConfigException(file + ": expected text in UTF-8");
        }
    }

    /**
     * Reads a text.
     *
     * @param source its name in messages
     * @throws ConfigException if it is not TOML
     */
    static Table parse(String toml, String source) {
        Problems problems = new Problems();
        Function<TomlPosition, Position> locate = place -> new Position(source, place.line(), place.column());
        TomlParseResult parsed = Toml.parse(toml);
        for (TomlParseError error : parsed.errors()) {
            problems.add(locate.apply(error.position()), String.valueOf(error.getMessage()));
        }
        problems.throwIfAny();
        return table(parsed, new Position(source, 1, 1), locate);
    }

    /** Copies a parsed table; {@code locate} converts the parser's positions to ours. */
    static Table table(TomlTable table, Position position, Function<TomlPosition, Position> locate) {
        Map<String, Node> entries = new LinkedHashMap<>();
        for (String key : table.keySet()) {
            List<String> path = List.of(key); // the overload for a string would split it at its dots
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

    /** Returns the value without positions: lists and maps of plain values; null if it contains a date or time. */
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

    /** Formats the value for a message: as TOML, cut if long. */
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
