package dev.ptq.config;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A value for a config key, given outside the config.
 *
 * @param path the parts of the dotted key, at least one
 * @param value a string, {@code Long}, {@code Double}, {@code Boolean}, or a list or map of them
 * @param position where it is written
 */
public record Assignment(List<String> path, Object value, Position position) {
    public Assignment {
        path = List.copyOf(path);
        if (path.isEmpty()) {
            throw new IllegalArgumentException("a key has at least one part");
        }
    }

    /** Returns the dotted key; equal paths have equal keys. */
    public String key() {
        return TomlWriter.key(path);
    }

    /** Returns whether this replaces a whole of which the other sets a part. */
    public boolean contains(Assignment other) {
        return path.size() < other.path.size() && path.equals(other.path.subList(0, path.size()));
    }

    /** Returns the equivalent argument of {@code --set} on a command line. */
    @Override
    public String toString() {
        return key() + "=" + TomlWriter.inline(value);
    }

    /** Returns the parts of a dotted key; empty if the text is none. */
    public static Optional<List<String>> path(String key) {
        return Optional.of(Overrides.path(key)).filter(path -> !path.isEmpty());
    }

    /**
     * Returns the values of a list that stands without brackets on a command line, {@code 2,"a b",[1, 2]}, each as in
     * an override; empty if one of them is none.
     */
    public static Optional<List<Object>> values(String text) {
        List<Object> values = new ArrayList<>();
        for (String part : atTopLevelCommas(text)) {
            Optional<Object> value = Overrides.valueOf(part);
            if (value.isEmpty()) {
                return Optional.empty();
            }
            values.add(value.get());
        }
        return Optional.of(values);
    }

    /** Splits at commas that are neither in quotes nor in brackets. */
    private static List<String> atTopLevelCommas(String text) {
        List<String> parts = new ArrayList<>();
        int from = 0;
        int depth = 0;
        char quote = 0;
        for (int i = 0; i < text.length(); i++) {
            char at = text.charAt(i);
            if (quote != 0) {
                if (at == '\\' && quote == '"') {
                    i++;
                } else if (at == quote) {
                    quote = 0;
                }
            } else if (at == '"' || at == '\'') {
                quote = at;
            } else if (at == '[' || at == '{') {
                depth++;
            } else if (at == ']' || at == '}') {
                depth--;
            } else if (at == ',' && depth == 0) {
                parts.add(text.substring(from, i));
                from = i + 1;
            }
        }
        parts.add(text.substring(from));
        return parts;
    }

    /** Returns whether a text is a {@code key=value}, its key without spaces. */
    public static boolean isOverride(String text) {
        return text.indexOf('=') > 0
                && !Overrides.pathOf(text).isEmpty()
                && !text.startsWith(Overrides.UNSET)
                && !Character.isWhitespace(text.charAt(0));
    }

    /** Returns what stands behind the key of a {@code key=value}. */
    public static String valueText(String override) {
        return Overrides.valueText(override);
    }

    /** Returns the override that removes a key, as one that sets is {@code key=value}. */
    public static String unset(String key) {
        return Overrides.UNSET + key;
    }

    /** Returns the parts of the key of a {@code key=value}, or of one that is unset; empty if the text is none. */
    public static Optional<List<String>> pathOf(String override) {
        return Optional.of(Overrides.pathOf(override)).filter(path -> !path.isEmpty());
    }
}
