package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.weights.Checkpoint;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** A model family: what its tensors are called and shaped, and what a block computes. */
interface Architecture {
    ModelConfig config();

    /** The linears of a block in the order of the computation. */
    List<LinearSpec> linears(int block);

    /** Where channels can be rescaled, in the order of the computation; the same in every block. */
    List<SmoothingMapping> mappings();

    /** The other tensors of a block: name in the checkpoint to shape, in an order that is always the same. */
    Map<String, List<Long>> norms(int block);

    /** The tensors outside the blocks: name in the checkpoint to shape. */
    Map<String, List<Long>> outerTensors();

    /** The tensor that turns hidden states into logits, {@code [vocabSize, embeddingSize]}. */
    String headTensor();

    /**
     * Returns the input of the first block, {@code [chunks, tokens, hiddenSize]}.
     *
     * @param chunks token ids of equal length
     * @param positions of each
     */
    NDArray embed(Checkpoint checkpoint, NDManager manager, int[][] chunks, int[][] positions) throws IOException;

    /** Returns what the block makes of {@code hidden}, {@code [batch, tokens, hiddenSize]}, which stays as it is. */
    NDArray forward(Block block, NDArray hidden, SequenceConstants constants, ActivationObserver observer);

    /**
     * Returns what the head takes, {@code [..., embeddingSize]}, from the last block's output.
     *
     * @param outer gives a tensor of {@link #outerTensors}, but not those with a row per token
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

    /** The part of a checkpoint name that blocks look their norms up by. */
    static String shortName(String name) {
        int last = name.lastIndexOf('.');
        return name.substring(name.lastIndexOf('.', last - 1) + 1);
    }

    static List<Long> shape(long... dimensions) {
        return Arrays.stream(dimensions).boxed().toList();
    }
}
