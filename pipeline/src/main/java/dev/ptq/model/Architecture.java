package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** A model family: the names and shapes of its tensors, and the computation of a block. */
interface Architecture {
    ModelConfig config();

    /** The checkpoint's tensors under the family's names. */
    default WeightSource weights(WeightSource checkpoint) throws IOException {
        return checkpoint;
    }

    /** The linears of a block, in computation order. */
    List<LinearSpec> linears(int block);

    /** The places where channels can be rescaled, in computation order; the same in every block. */
    List<SmoothingMapping> mappings();

    /** The prefix of a block's tensor names in the checkpoint, such as {@code model.layers.0.}. */
    String prefix(int block);

    /** The other tensors of a block: path in the block to shape, always in the same order. */
    Map<String, List<Long>> norms();

    /** The tensors outside the blocks: name in the checkpoint to shape. */
    Map<String, List<Long>> outerTensors();

    /** The names in {@link #outerTensors} that {@link #finish} uses. */
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

    /** Returns the block's output for {@code hidden}, {@code [batch, tokens, hiddenSize]}, which is not modified. */
    NDArray forward(ForwardPass pass, NDArray hidden);

    /**
     * Returns the head's input, {@code [..., embeddingSize]}, from the last block's output.
     *
     * @param outer gives a tensor of {@link #finishingTensors}
     */
    NDArray finish(NDArray hidden, Function<String, NDArray> outer);

    /** Joins rows of equal length. */
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
