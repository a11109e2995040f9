package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** A model family: what its tensors are called and shaped, and what a block computes. */
interface Architecture {
    ModelConfig config();

    /** The tensors under the names that this family has for them, from those of a checkpoint. */
    default WeightSource weights(WeightSource checkpoint) throws IOException {
        return checkpoint;
    }

    /** The linears of a block in the order of the computation. */
    List<LinearSpec> linears(int block);

    /** Where channels can be rescaled, in the order of the computation; the same in every block. */
    List<SmoothingMapping> mappings();

    /** What the names of a block's tensors start with in the checkpoint, such as {@code model.layers.0.}. */
    String prefix(int block);

    /** The other tensors of a block: path in the block to shape, in an order that is always the same. */
    Map<String, List<Long>> norms();

    /** The tensors outside the blocks: name in the checkpoint to shape. */
    Map<String, List<Long>> outerTensors();

    /** Those of {@link #outerTensors} that {@link #finish} takes. */
    List<String> finishingTensors();

    /** The tensor that turns hidden states into logits, {@code [vocabSize, embeddingSize]}. */
    String headTensor();

    /**
     * Returns the input of the first block, {@code [chunks, tokens, hiddenSize]}.
     *
     * @param chunks token ids of equal length
     * @param positions of each
     */
    NDArray embed(WeightSource weights, NDManager manager, int[][] chunks, int[][] positions) throws IOException;

    /** Returns what a block makes of {@code hidden}, {@code [batch, tokens, hiddenSize]}, which stays as it is. */
    NDArray forward(ForwardPass pass, NDArray hidden);

    /**
     * Returns what the head takes, {@code [..., embeddingSize]}, from the last block's output.
     *
     * @param outer gives a tensor of {@link #finishingTensors}
     */
    NDArray finish(NDArray hidden, Function<String, NDArray> outer);

    /** Joins equally long rows. */
    static int[] flat(int[][] chunks) {
        int tokens = chunks[0].length;
        int[] ids = new int[chunks.length * tokens];
        for (int i = 0; i < chunks.length; i++) {
            System.arraycopy(chunks[i], 0, ids, i * tokens, tokens);
        }
        return ids;
    }

    /** A linear of a block by its path there. */
    default LinearSpec linear(int block, String path, HookPoint hookPoint, int out, int in, boolean bias) {
        return new LinearSpec(block, prefix(block) + path, path, hookPoint, out, in, bias);
    }

    static List<Long> shape(long... dimensions) {
        return Arrays.stream(dimensions).boxed().toList();
    }
}
