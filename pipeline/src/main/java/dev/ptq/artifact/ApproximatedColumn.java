package dev.ptq.artifact;

/**
 * The columns of {@code layers.csv} where methods report their work: one row per linear that was corrected, clipped or
 * rounded with regard to its input, one per mapping whose factors were searched for, one per trained block. Columns of the
 * other kinds are empty.
 */
public enum ApproximatedColumn implements TableColumn {
    /** The linear, the block, or the block and its mapping. */
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
    /** The loss over all samples under RTN; of a low-rank part, that of the weight as it is rounded without one. */
    LOSS_RTN,
    /** The loss at the start of training, or of the first split into a rounded and a low-rank part. */
    LOSS_INITIAL,
    /** The loss with the parameters, or the split, that was kept. */
    LOSS_FINAL,
    /** The step that was kept; of a split, how often it had been repeated. */
    BEST_STEP,
    /** Steps of training, or repetitions of a split. */
    STEPS,
    /** What was added to the diagonal of the Hessian. */
    DAMPING,
    /** Columns whose input is always zero. */
    DEAD_COLUMNS,
    /** The exponent of activations in the factors that were found. */
    RATIO,
    /** Whether weights decided on them too. */
    DUO,
    /** The share of groups whose range was made smaller. */
    CLIPPED,
    /** The rank that went to the weight itself, before it was rounded. */
    SPLIT_RANK,
    /** The loss with factors of its own, of a linear that shares one. */
    LOSS_SEPARATE,
    /** Why the mapping is not rescaled, though there was a search. */
    NOTE
}
