package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.Block;
import dev.ptq.model.BlockPass;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.LanguageModel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The calibration samples on their way through the model, on two paths: through the blocks as they were, and through
 * those that the methods made of them. Between {@link #enter} and {@link #leave} they are at one block.
 */
public final class BlockSamples implements AutoCloseable {
    private final BlockPass pass;
    private final int batchSize;
    private @Nullable HiddenStates full;
    private HiddenStates quantized;
    private @Nullable HiddenStates target;

    /**
     * Puts samples before the first block.
     *
     * @param samples token ids
     * @param batchSize samples in a batch of statistics
     */
    public BlockSamples(LanguageModel model, int[][] samples, int batchSize) throws IOException {
        this(model, samples, batchSize, true);
    }

    /**
     * Puts samples before the first block.
     *
     * @param onBoth whether they go on both paths, or on the quantized path alone
     */
    public BlockSamples(LanguageModel model, int[][] samples, int batchSize, boolean onBoth) throws IOException {
        this.pass = new BlockPass(model);
        this.batchSize = batchSize;
        full = onBoth ? model.embed(samples, 1) : null;
        quantized = model.embed(samples, 1);
    }

    /** Takes the full-precision path, if there is one, through a block as it was before any method. */
    public void enter(Block block) throws IOException {
        if (full != null) {
            target = pass.outputs(block, full, ActivationObserver.NONE);
        }
    }

    /** Goes on to the next block on both paths. */
    public void leave(Block finished) throws IOException {
        pass.advance(finished, quantized, ActivationObserver.NONE);
        leave();
    }

    /** Goes on to the next block on the full-precision path alone, where nobody asks for the other. */
    public void leave() {
        if (full != null) {
            full.close();
            full = target();
            target = null;
        }
    }

    /** Number of samples. */
    int size() {
        return quantized.size();
    }

    BlockPass pass() {
        return pass;
    }

    /** Outputs of the full-precision path. */
    HiddenStates target() {
        return Objects.requireNonNull(target, "not at a block");
    }

    /** Inputs of the quantized path. */
    HiddenStates quantized() {
        return quantized;
    }

    /** Returns what a full-precision block makes of the quantized path's inputs. */
    HiddenStates outputsOnQuantizedPath(Block block) throws IOException {
        return pass.outputs(block, quantized, ActivationObserver.NONE);
    }

    /** Inputs of the full-precision path. */
    HiddenStates full() {
        return Objects.requireNonNull(full, "no full-precision path");
    }

    /** Takes statistics of a block on the full-precision path. */
    public ActivationStatistics statistics(Block block, WantedStatistics wanted) {
        return statistics(block, full(), wanted);
    }

    /** Takes statistics of a block on one of the paths. */
    ActivationStatistics statistics(Block block, HiddenStates inputs, WantedStatistics wanted) {
        try (ActivationStatistics.Collector collector = new ActivationStatistics.Collector(wanted, batchSize)) {
            pass.observe(block, inputs, collector);
            return collector.finished();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * The distance between what two blocks make of the first sample on the full-precision path: the largest difference
     * of a value, as a share of the largest magnitude.
     *
     * @param other than the block as it was before any method
     */
    double distance(Block other) {
        NDArray input = full().batch(0);
        try (NDManager scratch = input.getManager().newSubManager()) {
            NDArray expected = target().batch(0);
            NDArray output = pass.forward(other, input, ActivationObserver.NONE);
            output.attach(scratch);
            NDArray difference = output.sub(expected).abs().max();
            double largest = expected.abs().max().getFloat();
            return largest == 0 ? difference.getFloat() : difference.getFloat() / largest;
        }
    }

    /** Returns some samples as one batch, attached to {@code scratch} until it is closed. */
    static NDArray together(NDManager scratch, HiddenStates states, int... chosen) {
        NDList list = new NDList();
        for (int index : chosen) {
            NDArray sample = states.batch(index);
            sample.tempAttach(scratch);
            list.add(sample);
        }
        return list.size() == 1 ? list.get(0) : NDArrays.concat(list, 0);
    }

    @Override
    public void close() {
        pass.close();
        quantized.close();
        if (full != null) {
            full.close();
        }
        if (target != null) {
            target.close();
        }
    }
}
