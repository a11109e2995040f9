package dev.ptq.calibrate;

import ai.djl.ndarray.NDArray;
import dev.ptq.tensor.NativeFloats;
import java.nio.FloatBuffer;

/** Activations, token by token in the order of the text. */
final class Tokens {
    private Tokens() {}

    /** Looks at a token without keeping {@code features}; {@code index} counts from 0. */
    @FunctionalInterface
    interface Visitor {
        void see(int index, float[] features);
    }

    /** Shows every token of {@code [sequences, tokens, features]}. */
    static void forEach(NDArray input, Visitor visitor) {
        FloatBuffer values = NativeFloats.window(input);
        float[] features = new float[features(input)];
        for (int at = 0, index = 0; at < values.capacity(); at += features.length, index++) {
            values.get(at, features);
            visitor.see(index, features);
        }
    }

    static int features(NDArray input) {
        return Math.toIntExact(input.getShape().get(input.getShape().dimension() - 1));
    }
}
