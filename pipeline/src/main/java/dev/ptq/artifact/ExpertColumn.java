package dev.ptq.artifact;

/** The columns of {@code experts.csv}: one row per expert of a mixture. */
public enum ExpertColumn implements TableColumn {
    /** The block, from 0. */
    BLOCK,
    /** The expert's number in it, from 0. */
    EXPERT,
    /** The tokens of the calibration set that the router sends to it. */
    TOKENS
}
