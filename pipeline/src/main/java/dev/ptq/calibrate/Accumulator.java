package dev.ptq.calibrate;

import dev.ptq.model.HookInput;

/** Sums up the activations of one input hook point, some sequences at a time. A value that is NaN stays one in the result. */
interface Accumulator extends AutoCloseable {
    /** Takes in the next sequences. */
    void add(HookInput input);

    /**
     * Writes a row of the statistic of all sequences so far to {@code target}, which has the length of one, see {@link
     * Statistic#shape}; a statistic that is no matrix has one row. Of no tokens at all it is nothing to go by.
     */
    void row(int row, float[] target);

    /** Releases native memory, of those that have any. */
    @Override
    default void close() {}
}
