package dev.ptq.artifact;

/** {@code divergences.csv}: a row for each chunk of a text, the means of its scored tokens, empty where there are none. */
public enum DivergenceColumn implements TableColumn {
    /** The place of the chunk, from 0. */
    CHUNK,
    /** {@link Metric#KL_DIVERGENCE}. */
    KL_DIVERGENCE,
    /** {@link Metric#TOP1_AGREEMENT}. */
    TOP1_AGREEMENT
}
