package dev.ptq.artifact;

/** The columns of {@code layers.csv} for what a token costs: one row per linear, then one per block for all else in it. */
public enum CostColumn implements TableColumn {
    /** The linear, or the block. */
    MODULE,
    /** Operations times the bits of both operands. */
    BOPS_PER_TOKEN,
    /** Bytes that are read. */
    BYTES_PER_TOKEN
}
