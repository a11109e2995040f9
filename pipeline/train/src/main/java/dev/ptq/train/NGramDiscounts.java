package dev.ptq.train;

/**
 * The discounts of modified Kneser-Ney smoothing for the counts of one order of n-grams. Source: Chen and Goodman, An
 * Empirical Study of Smoothing Techniques for Language Modeling (1999), equation 26.
 *
 * @param one from a count of one
 * @param two from a count of two
 * @param more from any larger count
 */
record NGramDiscounts(double one, double two, double more) {
    /** For uninformative counts: of too small a corpus, or of an order whose n-grams are all frequent. */
    static final NGramDiscounts FALLBACK = new NGramDiscounts(0.5, 1, 1.5);

    /**
     * Estimates discounts from the numbers of n-grams with counts of one to four: with {@code Y = n1 / (n1 + 2 n2)}
     * they are {@code k - (k + 1) Y n(k+1) / n(k)} for k = 1, 2 and 3. If any of the four is zero or a discount is not
     * positive, it is {@link #FALLBACK}.
     */
    static NGramDiscounts of(int[] counts) {
        long[] having = new long[5];
        for (int count : counts) {
            if (count < having.length) {
                having[count]++;
            }
        }
        for (int count = 1; count < having.length; count++) {
            if (having[count] == 0) {
                return FALLBACK;
            }
        }
        double y = having[1] / (having[1] + 2.0 * having[2]);
        NGramDiscounts discounts =
                new NGramDiscounts(estimate(1, y, having), estimate(2, y, having), estimate(3, y, having));
        return discounts.one > 0 && discounts.two > 0 && discounts.more > 0 ? discounts : FALLBACK;
    }

    private static double estimate(int k, double y, long[] having) {
        return k - (k + 1) * y * having[k + 1] / having[k];
    }

    /** The discount of a count, which is less than the count. */
    double of(int count) {
        return switch (count) {
            case 0 -> 0;
            case 1 -> one;
            case 2 -> two;
            default -> more;
        };
    }
}
