package dev.ptq.calibrate;

import dev.ptq.model.HookInput;
import dev.ptq.tensor.NativeFloats;
import java.nio.FloatBuffer;

/** Activations, token by token in the order of the text. */
final class Tokens {
    private Tokens() {}

    /** Looks at tokens. */
    @FunctionalInterface
    interface Visitor {
        /** Looks at a token without keeping {@code features}. */
        void see(float[] features);

        /** Hears that a sequence has so many tokens, all of which were seen. */
        default void endSequence(int tokens) {}
    }

    /** Shows every token. */
    static void forEach(HookInput input, Visitor visitor) {
        FloatBuffer values = NativeFloats.window(input.values());
        float[] features = new float[input.features()];
        int at = 0;
        for (int tokens : input.lengths()) {
            for (int i = 0; i < tokens; i++, at += features.length) {
                values.get(at, features);
                visitor.see(features);
            }
            visitor.endSequence(tokens);
        }
    }
}
