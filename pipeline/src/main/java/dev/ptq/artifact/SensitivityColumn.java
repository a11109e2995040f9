package dev.ptq.artifact;

/** The columns of {@code layers.csv} for how sensitive a model is to errors of its weights: one row per linear. */
public enum SensitivityColumn implements TableColumn {
    /** The linear. */
    MODULE,
    /** The formats and steps that were tried, counted from 0. */
    CHOICE,
    /** Storage of a weight, low-rank factors included. */
    BITS_PER_WEIGHT,
    /** What a token costs in it: operations times the bits of both operands. */
    BOPS_PER_TOKEN,
    /** The same, bytes that are read. */
    BYTES_PER_TOKEN,
    /** {@code ||W - Wq||²}. */
    WEIGHT_ERROR,
    /** The same with columns weighted by the mean squares of the inputs: that of the output, were these independent. */
    OUTPUT_ERROR,
    /** The sum of the magnitudes of error times gradient of the loss. */
    GRADIENT,
    /** Half the mean square, over tokens, of the change of the loss to first order. */
    FISHER
}
