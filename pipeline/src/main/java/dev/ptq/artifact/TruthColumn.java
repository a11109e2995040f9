package dev.ptq.artifact;

/** The columns of {@code layers.csv} for what rounding one weight alone does: one row per linear. */
public enum TruthColumn implements TableColumn {
    /** The linear. */
    MODULE,
    /** The loss with this weight alone rounded, in nats per token. */
    LOSS,
    /** The same less the loss in full precision. */
    LOSS_DIFFERENCE
}
