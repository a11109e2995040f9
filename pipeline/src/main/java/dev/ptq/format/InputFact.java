package dev.ptq.format;

/** What a format asks of calibration about the input of a linear. */
public enum InputFact {
    /** The least and the largest value of each feature. */
    EXTREMES,
    /** Moving averages, over sequences, of the least and the largest value of each feature. */
    MOVING_EXTREMES,
    /** The same for all features together. */
    MOVING_RANGE,
    /** How often the values occur, of all features together. */
    HISTOGRAM,
    /** The mean square of each feature. */
    MEAN_SQUARES
}
