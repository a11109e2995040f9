package dev.ptq.calibrate;

import ai.djl.ndarray.NDArray;

/** Sums up the activations of one input site, batch by batch. */
interface Accumulator {
    /** Takes in one batch, {@code [batch, tokens, features]}. */
    void add(NDArray input);

    /** The statistic of all batches so far, {@code [features]}. */
    float[] result();
}
