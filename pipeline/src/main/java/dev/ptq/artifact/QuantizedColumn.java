package dev.ptq.artifact;

/** The columns of {@code layers.csv} for the rounding error of weights: one row per linear. */
public enum QuantizedColumn implements TableColumn {
    /** The linear. */
    MODULE,
    /** The format of the weight, as in a config. */
    FORMAT,
    /** Storage of a weight. */
    BITS_PER_VALUE,
    /** The same with the low-rank factors. */
    BITS_PER_VALUE_WITH_LOW_RANK,
    /** {@code ||W - Wq|| / ||W||}, Frobenius. */
    RELATIVE_ERROR
}
