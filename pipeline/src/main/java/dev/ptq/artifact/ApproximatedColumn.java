package dev.ptq.artifact;

/**
 * {@code layers.csv} of what methods did: a row for each linear with a low-rank correction, and one for each block that
 * was trained. The columns of the other kind are empty.
 */
public enum ApproximatedColumn implements TableColumn {
    /** The linear, or the block. */
    MODULE,
    /** What was done. */
    METHOD,
    /** Rows of the weight. */
    OUT_FEATURES,
    /** Columns of the weight. */
    IN_FEATURES,
    /** Of the correction. */
    RANK,
    /** The relative error of the weight rounded to nearest. */
    ERROR_BEFORE,
    /** The same with the correction added. */
    ERROR_AFTER,
    /** The share of the squared error that the correction captures. */
    ENERGY_CAPTURED,
    /** How long it took. */
    SECONDS,
    /** The loss over all samples with weights rounded to nearest. */
    LOSS_RTN,
    /** The loss at the start of training. */
    LOSS_INITIAL,
    /** The loss with what was kept. */
    LOSS_FINAL,
    /** The step that was kept. */
    BEST_STEP,
    /** Steps of training. */
    STEPS
}
