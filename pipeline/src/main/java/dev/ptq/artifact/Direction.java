package dev.ptq.artifact;

/** The better of two values of a metric. */
public enum Direction {
    /** The lower one. */
    LOWER,
    /** The higher one. */
    HIGHER,
    /** Neither: a cost, a count or a condition. */
    NEITHER
}
