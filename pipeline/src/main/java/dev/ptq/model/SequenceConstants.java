package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Constants that depend only on which token follows which: the attention masks, and the rotations by position. */
final class SequenceConstants implements AutoCloseable {
    private final NDManager manager;
    private final int tokens;
    private final NDArray window;
    private final NDArray mask;
    private final NDArray cos;
    private final NDArray sin;
    private @Nullable NDArray causal;

    /** For sequences of one length. */
    SequenceConstants(NDManager parent, ModelConfig config, int tokens) {
        this.manager = parent.newSubManager();
        this.tokens = tokens;
        window = Torch.window(manager, tokens);
        mask = NativeFloats.of(manager, new float[0], 1, 1, 0, tokens);
        int[] positions = IntStream.range(0, tokens).toArray();
        NDArray angles = angles(config, positions, tokens);
        cos = angles.cos();
        sin = angles.sin();
    }

    /** For a batch of trees. */
    SequenceConstants(NDManager parent, ModelConfig config, TokenTrees trees) {
        this.manager = parent.newSubManager();
        this.tokens = trees.tokens();
        window = Torch.window(manager, tokens);
        mask = trees.mask(manager);
        int[] positions =
                Arrays.stream(trees.positions()).flatMapToInt(Arrays::stream).toArray();
        NDArray angles = angles(config, positions, trees.trees().size(), 1, tokens);
        cos = angles.cos();
        sin = angles.sin();
    }

    /** {@code [..., headDim / 2]}; nothing for a model without rotations. */
    private NDArray angles(ModelConfig config, int[] positions, long... shape) {
        Optional<Rope> rope = config.positions().rope();
        long[] all = Arrays.copyOf(shape, shape.length + 1);
        if (rope.isEmpty()) {
            return NativeFloats.of(manager, new float[0], all);
        }
        int headDim = config.attention().headDim();
        all[shape.length] = headDim / 2;
        return NativeFloats.of(manager, rope.get().angles(positions, headDim), all);
    }

    int tokens() {
        return tokens;
    }

    /** The masks of queries that see everything before them, as {@link Torch#window} gives them. */
    NDArray window() {
        return window;
    }

    /**
     * The mask of the last queries, in the branches of trees, {@code [batch, 1, rows, tokens]}; without trees it has no
     * rows.
     */
    NDArray mask() {
        return mask;
    }

    /** The mask of all queries at once, for plain sequences, {@code [tokens, tokens]}. */
    NDArray causal() {
        if (causal == null) {
            causal = Attention.causalMask(manager, tokens);
        }
        return causal;
    }

    /** {@code [tokens, headDim / 2]}; for trees {@code [batch, 1, tokens, headDim / 2]}. */
    NDArray cos() {
        return cos;
    }

    /** See {@link #cos}. */
    NDArray sin() {
        return sin;
    }

    @Override
    public void close() {
        manager.close();
    }
}
