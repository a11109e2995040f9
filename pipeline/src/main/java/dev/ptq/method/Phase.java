package dev.ptq.method;

/** The phase in which a step acts on a block. Steps run in file order, which must be the order of these phases. */
public enum Phase {
    /** Rotates the whole model, before anything is done to a block. */
    ROTATE,
    /** Changes tensors so that they round better, and preserves the function of the block. */
    TRANSFORM,
    /** Splits a low-rank part off weights; the rest is rounded later. */
    SPLIT,
    /** Decides how weights are rounded. */
    ROUND,
    /** Corrects the error that rounding left. */
    CORRECT
}
