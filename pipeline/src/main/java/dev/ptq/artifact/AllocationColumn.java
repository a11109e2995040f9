package dev.ptq.artifact;

/** The columns of {@code layers.csv} for what linears were allotted: one row per linear. */
public enum AllocationColumn implements TableColumn {
    /** The linear. */
    MODULE,
    /** What it was given. */
    CHOICE,
    /** Storage of a weight as it was predicted, low-rank factors included. */
    BITS_PER_WEIGHT,
    /** The score of that choice. */
    SCORE
}
