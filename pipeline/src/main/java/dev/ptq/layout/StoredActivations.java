package dev.ptq.layout;

import dev.ptq.format.NumberFormat;
import java.util.Map;

/**
 * The formats that a checkpoint asks for besides those of its weights.
 *
 * @param inputs of packed linears, by module
 * @param caches of keys and values, by the attention module that has their scales
 */
public record StoredActivations(Map<String, NumberFormat> inputs, Map<String, Cache> caches) {
    /** The formats of keys, after their rotation, and of values. */
    public record Cache(NumberFormat key, NumberFormat value) {}

    public StoredActivations {
        inputs = Map.copyOf(inputs);
        caches = Map.copyOf(caches);
    }

    static StoredActivations none() {
        return new StoredActivations(Map.of(), Map.of());
    }
}
