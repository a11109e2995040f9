package dev.ptq.artifact;

/** The columns of {@code perturbations.csv}: one row per evaluation of a text, the first of the model as it is. */
public enum PerturbationColumn implements TableColumn {
    /** What the weight of the first norm was multiplied by. */
    SCALE,
    /** {@link Metric#LOSS}. */
    LOSS
}
