package dev.ptq.config;

import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Writes maps as TOML text that reads back as the same values.
 *
 * <p>Values are strings, whole numbers, {@code Double}, {@code Float}, {@code Boolean}, lists and maps of them. Order
 * is kept, except that sections follow the plain keys of their table, as TOML requires. Maps become sections, lists of
 * maps become {@code [[sections]]}; a short map of plain values below a second level or a list stays on one line.
 */
public final class TomlWriter {
    private static final Pattern BARE_KEY = Pattern.compile("[A-Za-z0-9_-]+");
    private static final int LONGEST_INLINE_TABLE = 100;

    private final StringBuilder text = new StringBuilder();

    private TomlWriter() {}

    /**
     * Returns the table as TOML text, ending with a line feed unless empty.
     *
     * @throws IllegalArgumentException if it holds a value that is null or of another type
     */
    public static String write(Map<String, ?> table) {
        TomlWriter writer = new TomlWriter();
        writer.table(List.of(), table, false);
        return writer.text.toString();
    }

    private void table(List<String> path, Map<?, ?> table, boolean inList) {
        table.forEach((key, value) -> {
            if (!isSection(path, key, value, inList)) {
                text.append(key(name(key))).append(" = ").append(inline(value)).append('\n');
            }
        });
        table.forEach((key, value) -> {
            if (isSection(path, key, value, inList)) {
                section(append(path, name(key)), value, inList);
            }
        });
    }

    private static boolean isSection(List<String> path, Object key, Object value, boolean inList) {
        if (!(value instanceof Map<?, ?> map)) {
            return isListOfTables(value);
        }
        boolean nested = inList || path.size() >= 2;
        boolean plain = map.values().stream().noneMatch(child -> child instanceof Map || isListOfTables(child));
        return !(nested && plain && (key(name(key)) + " = " + inline(map)).length() <= LONGEST_INLINE_TABLE);
    }

    private static boolean isListOfTables(Object value) {
        return value instanceof List<?> list && !list.isEmpty() && list.stream().allMatch(Map.class::isInstance);
    }

    private void section(List<String> path, Object value, boolean inList) {
        if (value instanceof List<?> list) {
            for (Object entry : list) {
                header("[[" + key(path) + "]]");
                table(path, (Map<?, ?>) entry, true);
            }
            return;
        }
        Map<?, ?> table = (Map<?, ?>) value;
        boolean onlySections =
                table.entrySet().stream().allMatch(entry -> isSection(path, entry.getKey(), entry.getValue(), inList));
        if (table.isEmpty() || !onlySections) {
            header("[" + key(path) + "]");
        }
        table(path, table, inList);
    }

    private void header(String header) {
        text.append(text.length() == 0 ? "" : "\n").append(header).append('\n');
    }

    private static List<String> append(List<String> path, String key) {
        List<String> longer = new ArrayList<>(path);
        longer.add(key);
        return longer;
    }

    private static String name(Object key) {
        if (key instanceof String name) {
            return name;
        }
        throw new IllegalArgumentException("not the key of a TOML table: " + key);
    }

    /** Returns a key, quoted if necessary. */
    public static String key(String name) {
        return BARE_KEY.matcher(name).matches() ? name : string(name);
    }

    /** Returns a dotted key. */
    public static String key(List<String> path) {
        return path.stream().map(TomlWriter::key).collect(Collectors.joining("."));
    }

    /**
     * Returns a value on one line.
     *
     * @throws IllegalArgumentException if it is null or of another type
     */
    public static String inline(Object value) {
        if (value instanceof String string) {
            return string(string);
        }
        if (value instanceof Double || value instanceof Float) {
            return decimal(((Number) value).doubleValue());
        }
        if (value instanceof Integer || value instanceof Long || value instanceof Boolean) {
            return value.toString();
        }
        if (value instanceof List<?> list) {
            return list.stream().map(TomlWriter::inline).collect(Collectors.joining(", ", "[", "]"));
        }
        if (value instanceof Map<?, ?> map) {
            return map.isEmpty()
                    ? "{}"
                    : map.entrySet().stream()
                            .map(entry -> key(name(entry.getKey())) + " = " + inline(entry.getValue()))
                            .collect(Collectors.joining(", ", "{ ", " }"));
        }
        throw new IllegalArgumentException("not a TOML value: " + value);
    }

    private static String decimal(double number) {
        if (Double.isInfinite(number)) {
            return number > 0 ? "inf" : "-inf";
        }
        return Double.isNaN(number) ? "nan" : Double.toString(number).replace('E', 'e');
    }

    private static String string(String text) {
        boolean literal = text.indexOf('\\') >= 0
                && text.indexOf('\'') < 0
                && text.chars().noneMatch(Character::isISOControl);
        if (literal) {
            return "'" + text + "'";
        }
        StringBuilder escaped = new StringBuilder("\"");
        text.chars().forEach(character -> escaped.append(escape((char) character)));
        return escaped.append('"').toString();
    }

    private static String escape(char character) {
        return switch (character) {
            case '"' -> "\\\"";
            case '\\' -> "\\\\";
            case '\n' -> "\\n";
            case '\r' -> "\\r";
            case '\t' -> "\\t";
            default ->
                Character.isISOControl(character)
                        ? "\\u" + HexFormat.of().toHexDigits(character)
                        : String.valueOf(character);
        };
    }
}
