package dev.ptq.artifact;

/**
 * The columns of {@code divergences.csv}: one row per chunk of a text, means over its scored tokens, empty if there are
 * none.
 */
public enum DivergenceColumn implements TableColumn {
    /** Index of the chunk, from 0. */
    CHUNK,
    /** {@link Metric#KL_DIVERGENCE}. */
    KL_DIVERGENCE,
    /** {@link Metric#TOP1_AGREEMENT}. */
    TOP1_AGREEMENT
}
