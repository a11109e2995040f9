package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import java.util.Collections;
import java.util.List;

/**
 * The tokens that come to a hook point.
 *
 * @param values {@code [..., features]}, a row per token, sequence after sequence
 * @param lengths tokens of each sequence; 0 where a router sends none of a sequence to an expert
 * @param routed tokens that come here when the model runs: all of them, unless an observer asked to see more, see {@link
 *     ActivationObserver#seesAllTokens}
 */
public record HookInput(NDArray values, List<Integer> lengths, int routed) {
    public HookInput {
        lengths = List.copyOf(lengths);
    }

    /** Whole sequences, {@code [sequences, tokens, features]}. */
    static HookInput of(NDArray input) {
        int sequences = Math.toIntExact(input.getShape().get(0));
        int tokens = Math.toIntExact(input.getShape().get(1));
        return new HookInput(input, Collections.nCopies(sequences, tokens), Math.multiplyExact(sequences, tokens));
    }

    /** Number of values of a token. */
    public int features() {
        return Math.toIntExact(values.getShape().get(values.getShape().dimension() - 1));
    }
}
