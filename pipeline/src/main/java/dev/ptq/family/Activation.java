package dev.ptq.family;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** The function in the middle of an MLP. */
public enum Activation {
    /** {@code x · sigmoid(x)}. */
    SILU,
    /** {@code x · Φ(x)}. */
    GELU,
    /** Its approximation by a hyperbolic tangent. */
    GELU_TANH,
    /** {@code max(x, 0)}. */
    RELU,
    /** {@code max(x, 0)²}. */
    RELU_SQUARED;

    private static final Map<String, Activation> NAMES = new TreeMap<>(Map.of(
            "silu", SILU,
            "swish", SILU,
            "gelu", GELU,
            "gelu_pytorch_tanh", GELU_TANH,
            "gelu_new", GELU_TANH,
            "gelu_fast", GELU_TANH,
            "relu", RELU,
            "relu2", RELU_SQUARED));

    /** Finds it by a name in {@code config.json}. */
    static Optional<Activation> named(String name) {
        return Optional.ofNullable(NAMES.get(name));
    }

    static List<String> names() {
        return List.copyOf(NAMES.keySet());
    }
}
