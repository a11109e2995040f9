package dev.ptq.artifact;

/** Which of two values of a metric is the better one. */
public enum Direction {
    /** The lower one. */
    LOWER,
    /** The higher one. */
    HIGHER,
    /** Neither: it is a cost, a count or a condition. */
    NEITHER
}
