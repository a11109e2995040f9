package dev.ptq.method;

/** When a step acts on a block. Steps run in the order of the file, and that must be the order of these phases. */
public enum Phase {
    /** Changes tensors so that they round better, and leaves the function of the block. */
    TRANSFORM,
    /** Takes a low-rank part out of weights; what is left of them is rounded afterwards. */
    SPLIT,
    /** Decides how weights are rounded. */
    ROUND,
    /** Corrects what rounding left. */
    CORRECT
}
