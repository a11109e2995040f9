package dev.ptq.calibrate;

import ai.djl.ndarray.NDArray;

/** Sums up the activations of one input hook point, some sequences at a time. A value that is NaN stays one in the result. */
interface Accumulator extends AutoCloseable {
    /** Takes in the next sequences, {@code [sequences, tokens, features]}. */
    void add(NDArray input);

    /**
     * Writes a row of the statistic of all sequences so far to {@code target}, which has a place for each feature; a
     * statistic that is no matrix has one row.
     */
    void row(int row, float[] target);

    /** Releases native memory, of those that have any. */
    @Override
    default void close() {}
}
