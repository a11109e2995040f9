package dev.ptq.evaluate;

/**
 * The score of a continuation.
 *
 * @param logLikelihood the sum of the natural logarithms of its tokens' probabilities
 * @param greedy whether each of its tokens is the likeliest at its position, the lowest id in case of ties
 */
public record Score(double logLikelihood, boolean greedy) {}
