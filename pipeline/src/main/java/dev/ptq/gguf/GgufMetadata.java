package dev.ptq.gguf;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;

/**
 * The keys of a file. Every error names file and key.
 *
 * @param values a Long, Double, Boolean, String, or a List of one of these, by key
 */
record GgufMetadata(Path file, Map<String, Object> values) {
    Set<String> keys() {
        return values.keySet();
    }

    boolean has(String key) {
        return values.containsKey(key);
    }

    String text(String key) throws IOException {
        return optionalText(key).orElseThrow(() -> missing(key));
    }

    Optional<String> optionalText(String key) throws IOException {
        Object value = values.get(key);
        if (value == null) {
            return Optional.empty();
        }
        if (value instanceof String text) {
            return Optional.of(text);
        }
        throw wrong(key, "expected a text, got " + shown(value));
    }

    OptionalLong optionalWhole(String key) throws IOException {
        Object value = values.get(key);
        if (value == null) {
            return OptionalLong.empty();
        }
        if (value instanceof Long number) {
            return OptionalLong.of(number);
        }
        throw wrong(key, "expected a whole number, got " + shown(value));
    }

    /** A whole number of at least 1 that must be there. */
    int size(String key) throws IOException {
        long size = optionalWhole(key).orElseThrow(() -> missing(key));
        if (size < 1 || size > Integer.MAX_VALUE) {
            throw wrong(key, "expected a whole number of at least 1, got " + size);
        }
        return (int) size;
    }

    /** A size that may be given once for each block; the blocks must agree. */
    int sizeOfAll(String key) throws IOException {
        if (!(values.get(key) instanceof List<?> list)) {
            return size(key);
        }
        if (list.isEmpty() || !list.stream().allMatch(list.get(0)::equals)) {
            throw wrong(key, "expected one number for all blocks, got " + shown(list));
        }
        return new GgufMetadata(file, Map.of(key, list.get(0))).size(key);
    }

    double number(String key) throws IOException {
        return optionalNumber(key).orElseThrow(() -> missing(key));
    }

    OptionalDouble optionalNumber(String key) throws IOException {
        Object value = values.get(key);
        if (value == null) {
            return OptionalDouble.empty();
        }
        if (value instanceof Number number && Double.isFinite(number.doubleValue())) {
            return OptionalDouble.of(number.doubleValue());
        }
        throw wrong(key, "expected a number, got " + shown(value));
    }

    Optional<Boolean> optionalFlag(String key) throws IOException {
        Object value = values.get(key);
        if (value == null) {
            return Optional.empty();
        }
        if (value instanceof Boolean flag) {
            return Optional.of(flag);
        }
        throw wrong(key, "expected true or false, got " + shown(value));
    }

    /** The length of a list, if it is there. */
    OptionalInt length(String key) {
        return values.get(key) instanceof List<?> list ? OptionalInt.of(list.size()) : OptionalInt.empty();
    }

    /** A list whose values are all of a kind. */
    <T> List<T> list(String key, Class<T> kind) throws IOException {
        Object value = values.get(key);
        if (value == null) {
            throw missing(key);
        }
        if (!(value instanceof List<?> list) || !list.stream().allMatch(kind::isInstance)) {
            throw wrong(key, "expected a list of " + kind.getSimpleName() + " values, got " + shown(value));
        }
        List<T> values = new ArrayList<>(list.size());
        list.forEach(item -> values.add(kind.cast(item)));
        return values;
    }

    private IOException missing(String key) {
        return wrong(key, "is missing");
    }

    IOException wrong(String key, String what) {
        return new IOException(file + ": " + key + ": " + what);
    }

    private static String shown(Object value) {
        if (value instanceof List<?> list) {
            return "a list of " + list.size() + " values";
        }
        String text = value.toString();
        return text.length() > 40 ? text.substring(0, 40) + "…" : text;
    }
}
