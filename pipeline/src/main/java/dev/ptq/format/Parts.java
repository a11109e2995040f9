package dev.ptq.format;

import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The parts of a stored grid, by name: each is checked before use, and none may be left over. */
final class Parts {
    private final Map<String, RawTensor> parts;
    private final Set<String> used = new LinkedHashSet<>();

    Parts(Map<String, RawTensor> parts) {
        this.parts = new LinkedHashMap<>(parts);
    }

    boolean has(String name) {
        return parts.containsKey(name);
    }

    /** Returns the little-endian bytes of a part of this type and shape. */
    ByteBuffer require(String name, StoredType type, long... shape) throws IOException {
        RawTensor part = part(name);
        List<Long> expected = Arrays.stream(shape).boxed().toList();
        if (part.type() != type || !part.shape().equals(expected)) {
            throw wrong(name, type + " " + expected, part.type() + " " + part.shape());
        }
        return part.bytes();
    }

    /** Returns the number of values in a part with one dimension, at most {@code most}. */
    int length(String name, int most) throws IOException {
        List<Long> shape = part(name).shape();
        if (shape.size() != 1 || shape.get(0) > most) {
            throw wrong(name, "one dimension of at most " + most, shape.toString());
        }
        return Math.toIntExact(shape.get(0));
    }

    private RawTensor part(String name) throws IOException {
        RawTensor part = parts.get(name);
        if (part == null) {
            throw wrong(name, "a tensor", "none among " + parts.keySet());
        }
        used.add(name);
        return part;
    }

    IOException wrong(String name, String expected, String found) {
        return new IOException(name + ": expected " + expected + ", got " + found);
    }

    /** Rejects parts that nobody asked for. */
    void finish() throws IOException {
        Set<String> unknown = new LinkedHashSet<>(parts.keySet());
        unknown.removeAll(used);
        if (!unknown.isEmpty()) {
            throw wrong(unknown.iterator().next(), "no parts but " + used, "this one too");
        }
    }
}
