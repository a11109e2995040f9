package dev.ptq.train;

import java.util.Arrays;

/**
 * The n-grams of one order with their counts. An n-gram is a {@code long} with its last token in the lowest bits and
 * its context above them. All are sorted, so those of a context are adjacent.
 */
final class NGramOrder {
    private final int tokenBits;
    private final long[] grams;
    private final int[] counts;
    private final NGramDiscounts discounts;
    private final long[] contexts;
    /** Start of each context's n-grams, and the end of the last ones. */
    private final int[] starts;

    private final int[] totals;
    /** The share of each context that its discounts leave to the lower order. */
    private final double[] lowerShares;

    /**
     * Counts n-grams.
     *
     * @param occurrences in any order; they are sorted in place
     * @param tokenBits bits of one token
     */
    NGramOrder(long[] occurrences, int tokenBits) {
        this.tokenBits = tokenBits;
        Arrays.sort(occurrences);
        int[] runs = runs(occurrences, 0);
        grams = new long[runs.length - 1];
        counts = new int[grams.length];
        for (int i = 0; i < grams.length; i++) {
            grams[i] = occurrences[runs[i]];
            counts[i] = runs[i + 1] - runs[i];
        }
        discounts = NGramDiscounts.of(counts);
        starts = runs(grams, tokenBits);
        contexts = new long[starts.length - 1];
        totals = new int[contexts.length];
        lowerShares = new double[contexts.length];
        for (int i = 0; i < contexts.length; i++) {
            contexts[i] = grams[starts[i]] >>> tokenBits;
            double discounted = 0;
            for (int gram = starts[i]; gram < starts[i + 1]; gram++) {
                totals[i] += counts[gram];
                discounted += discounts.of(counts[gram]);
            }
            lowerShares[i] = discounted / totals[i];
        }
    }

    /** Starts of runs of values that are equal except for their lowest bits, and the end of the last run. */
    private static int[] runs(long[] sorted, int ignoredBits) {
        int[] starts = new int[sorted.length + 1];
        int runs = 0;
        for (int i = 0; i < sorted.length; i++) {
            if (i == 0 || sorted[i] >>> ignoredBits != sorted[i - 1] >>> ignoredBits) {
                starts[runs++] = i;
            }
        }
        starts[runs] = sorted.length;
        return Arrays.copyOf(starts, runs + 1);
    }

    /** Each n-gram once, sorted. */
    long[] grams() {
        return grams;
    }

    /**
     * The probability of a token after a context: its discounted share of the context's count, plus the lower order's
     * probability times the share that the discounts leave. After an unseen context it is the lower order's
     * probability.
     */
    double interpolate(long context, int token, double lower) {
        int at = Arrays.binarySearch(contexts, context);
        if (at < 0) {
            return lower;
        }
        int gram = Arrays.binarySearch(grams, starts[at], starts[at + 1], context << tokenBits | token);
        int count = gram < 0 ? 0 : counts[gram];
        return (count - discounts.of(count)) / totals[at] + lowerShares[at] * lower;
    }
}
