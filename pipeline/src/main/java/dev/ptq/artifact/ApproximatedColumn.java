package dev.ptq.artifact;

/**
 * The columns of {@code layers.csv} where methods report their work: one row per linear that was corrected or rounded with
 * regard to its input, one per trained block. Columns of the other kind are empty.
 */
public enum ApproximatedColumn implements TableColumn {
    /** The linear, or the block. */
    MODULE,
    /** The method. */
    METHOD,
    /** Rows of the weight. */
    OUT_FEATURES,
    /** Columns of the weight. */
    IN_FEATURES,
    /** Rank of the correction. */
    RANK,
    /** The relative error of the weight under RTN. */
    ERROR_BEFORE,
    /** The same with the correction added. */
    ERROR_AFTER,
    /** The share of the squared error that the correction captures. */
    ENERGY_CAPTURED,
    /** Wall-clock time. */
    SECONDS,
    /** The loss over all samples under RTN. */
    LOSS_RTN,
    /** The loss at the start of training. */
    LOSS_INITIAL,
    /** The loss with the parameters that were kept. */
    LOSS_FINAL,
    /** The step that was kept. */
    BEST_STEP,
    /** Steps of training. */
    STEPS,
    /** What was added to the diagonal of the Hessian. */
    DAMPING,
    /** Columns whose input is always zero. */
    DEAD_COLUMNS,
    /** Why the weight was rounded to nearest after all. */
    NOTE
}
