package dev.ptq.evaluate;

/**
 * What a model says of a continuation.
 *
 * @param logLikelihood the sum of the natural logarithms of its tokens' probabilities
 * @param greedy whether each of its tokens is the likeliest at its place, the lowest id where several are
 */
public record Score(double logLikelihood, boolean greedy) {}
