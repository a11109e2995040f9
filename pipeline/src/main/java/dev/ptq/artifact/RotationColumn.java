package dev.ptq.artifact;

/** The columns of the table of a rotation's training: one row per step. */
public enum RotationColumn implements TableColumn {
    /** Number of the step, from 1. */
    STEP,
    /** The mean loss of the tokens of its samples before it, in nats. */
    LOSS
}
