package dev.ptq.artifact;

/** The columns of {@code layers.csv} for how sensitive a model is to errors of its weights: one row per linear. */
public enum SensitivityColumn implements TableColumn {
    /** The linear. */
    MODULE,
    /** The formats and steps that were tried, counted from 0. */
    CHOICE,
    /** Storage of a weight, low-rank factors included. */
    BITS_PER_WEIGHT,
    /** {@code ||W - Wq||²}. */
    WEIGHT_ERROR,
    /** The same with columns weighted by the mean squares of the inputs: that of the output, were these independent. */
    OUTPUT_ERROR,
    /** The sum of the magnitudes of error times gradient of the loss. */
    GRADIENT,
    /** Half the mean square of the change of a sequence's loss to first order, by tokens. */
    FISHER,
    /** The loss with this weight alone rounded, less that without, in nats per token. */
    TRUTH
}
