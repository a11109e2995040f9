package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.tensor.NativeFloats;
import java.util.Arrays;
import java.util.stream.IntStream;

/** What depends only on which token follows which: the mask of attention, and the rotations by position. */
final class SequenceConstants implements AutoCloseable {
    private final NDManager manager;
    private final int tokens;
    private final boolean branched;
    private final NDArray mask;
    private final NDArray cos;
    private final NDArray sin;

    /** For sequences of one length. */
    SequenceConstants(NDManager parent, ModelConfig config, int tokens) {
        this.manager = parent.newSubManager();
        this.tokens = tokens;
        this.branched = false;
        mask = Attention.causalMask(manager, tokens);
        int[] positions = IntStream.range(0, tokens).toArray();
        NDArray angles = angles(config, positions, tokens);
        cos = angles.cos();
        sin = angles.sin();
    }

    /** For a batch of trees. */
    SequenceConstants(NDManager parent, ModelConfig config, TokenTrees trees) {
        this.manager = parent.newSubManager();
        this.tokens = trees.tokens();
        this.branched = true;
        mask = trees.mask(manager);
        int[] positions =
                Arrays.stream(trees.positions()).flatMapToInt(Arrays::stream).toArray();
        NDArray angles = angles(config, positions, trees.trees().size(), 1, tokens);
        cos = angles.cos();
        sin = angles.sin();
    }

    /** {@code [..., headDim / 2]}; nothing for a model without rotations. */
    private NDArray angles(ModelConfig config, int[] positions, long... shape) {
        Rope rope = config.rope();
        long[] all = Arrays.copyOf(shape, shape.length + 1);
        if (rope == null) {
            return NativeFloats.of(manager, new float[0], all);
        }
        all[shape.length] = config.headDim() / 2;
        return NativeFloats.of(manager, rope.angles(positions, config.headDim()), all);
    }

    int tokens() {
        return tokens;
    }

    /** Whether the mask is that of trees. */
    boolean branched() {
        return branched;
    }

    /** {@code [tokens, tokens]}; of trees {@code [batch, 1, tokens - trunk, tokens]}. */
    NDArray mask() {
        return mask;
    }

    /** {@code [tokens, headDim / 2]}; of trees {@code [batch, 1, tokens, headDim / 2]}. */
    NDArray cos() {
        return cos;
    }

    /** As {@link #cos}. */
    NDArray sin() {
        return sin;
    }

    @Override
    public void close() {
        manager.close();
    }
}
