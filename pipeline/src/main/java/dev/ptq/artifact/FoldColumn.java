package dev.ptq.artifact;

/** The columns of {@code folds.csv}: one row per step that rotates or rescales, and block. */
public enum FoldColumn implements TableColumn {
    /** The method. */
    METHOD,
    /** The block, from 0; empty for the whole model. */
    BLOCK,
    /**
     * How far what is computed in full precision has moved since the block, or the model, was as stored: the largest
     * difference of a value as a share of the largest magnitude.
     */
    DISTANCE
}
