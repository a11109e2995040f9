package dev.ptq.family;

import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/**
 * The shape of attention.
 *
 * @param heads of queries
 * @param kvHeads key and value heads; a divisor of {@code heads}
 * @param headDim features of a head
 * @param inputs the linears that make queries, keys and values
 * @param order of these in the outputs of {@code inputs}
 * @param headNorms norms of queries and keys
 * @param clip bound of the magnitudes of queries, keys and values
 * @param rope rotation of queries and keys by position
 * @param alibi what is added to scores by position
 * @param window positions that a token sees, itself included; absent: all before it
 * @param rotations of activations, which a rotated model has
 */
public record AttentionShape(
        int heads,
        int kvHeads,
        int headDim,
        List<Projection> inputs,
        Order order,
        Projection output,
        Optional<HeadNorms> headNorms,
        OptionalDouble clip,
        Optional<Rope> rope,
        Optional<Alibi> alibi,
        OptionalInt window,
        Scores scores,
        Rotations rotations) {
    /** Where queries, keys and values are in the outputs of linears. */
    public enum Order {
        /** Three linears. */
        SEPARATE,
        /** One linear: all queries, all keys, all values. */
        BLOCKS,
        /** One linear: for each key head its queries, its key and its value. */
        GROUPS
    }

    /**
     * Norms of queries and keys.
     *
     * @param over which values
     */
    public record HeadNorms(Norm query, Norm key, Over over) {}

    /** The values that a norm of queries or keys is taken over, and its weights. */
    public enum Over {
        /** Those of each head, with one weight {@code [headDim]} for all heads. */
        HEAD,
        /** Those of each head, with a weight {@code [heads, headDim]}, which may be stored in one tensor per head. */
        HEAD_WITH_OWN_WEIGHT,
        /** Those of all heads, before they are split. */
        WIDTH
    }

    /**
     * What becomes of the products of queries and keys.
     *
     * @param divisor of them
     * @param onQueries whether queries are divided instead, before they are rounded
     * @param softcap bound {@code c} of the divided scores, {@code c · tanh(x / c)}
     */
    public record Scores(double divisor, boolean onQueries, OptionalDouble softcap) {}

    /**
     * Orders of the Hadamard matrices that turn activations, part by part; absent where nothing turns them.
     *
     * @param queryKey in each head of queries and keys, behind their rotation by position
     * @param heads across the heads of what attention has mixed
     */
    public record Rotations(OptionalInt queryKey, OptionalInt heads) {
        /** None. */
        public static Rotations none() {
            return new Rotations(OptionalInt.empty(), OptionalInt.empty());
        }
    }

    public AttentionShape {
        inputs = List.copyOf(inputs);
    }

    /** The same with rotations of activations. */
    public AttentionShape rotated(Rotations newRotations) {
        return with(inputs, newRotations);
    }

    /** The same with biases of its first linears. */
    AttentionShape withBiases() {
        return with(inputs.stream().map(Projection::withBias).toList(), rotations);
    }

    private AttentionShape with(List<Projection> newInputs, Rotations newRotations) {
        return new AttentionShape(
                heads,
                kvHeads,
                headDim,
                newInputs,
                order,
                output,
                headNorms,
                clip,
                rope,
                alibi,
                window,
                scores,
                newRotations);
    }

    /** Width of a token's queries, all heads together. */
    public int queryWidth() {
        return heads * headDim;
    }

    /** Width of a token's keys, or values, all heads together. */
    public int keyWidth() {
        return kvHeads * headDim;
    }

    /** Width of the output of a linear of {@link #inputs}. */
    public int inputWidth(int index) {
        if (order != Order.SEPARATE) {
            return queryWidth() + 2 * keyWidth();
        }
        return index == 0 ? queryWidth() : keyWidth();
    }

    /** Returns whether a token sees all before it, and nothing but a division becomes of scores. */
    public boolean isPlain() {
        return window.isEmpty() && alibi.isEmpty() && scores.softcap().isEmpty();
    }
}
