package dev.ptq.experiment;

import java.util.Comparator;
import java.util.stream.IntStream;

/** Spearman's rank correlation. */
final class Spearman {
    private Spearman() {}

    /**
     * Returns the correlation of the ranks of two scores of the same things; equal values share the mean of their ranks. NaN
     * where all values of one are equal.
     */
    static double of(double[] first, double[] second) {
        double[] a = ranks(first);
        double[] b = ranks(second);
        double mean = (a.length - 1) / 2.0;
        double product = 0;
        double squareOfA = 0;
        double squareOfB = 0;
        for (int i = 0; i < a.length; i++) {
            product += (a[i] - mean) * (b[i] - mean);
            squareOfA += (a[i] - mean) * (a[i] - mean);
            squareOfB += (b[i] - mean) * (b[i] - mean);
        }
        return product / Math.sqrt(squareOfA * squareOfB);
    }

    /** The ranks from 0. */
    private static double[] ranks(double[] values) {
        int[] order = IntStream.range(0, values.length)
                .boxed()
                .sorted(Comparator.comparingDouble(i -> values[i]))
                .mapToInt(Integer::intValue)
                .toArray();
        double[] ranks = new double[values.length];
        for (int from = 0; from < order.length; ) {
            int to = from;
            while (to < order.length && values[order[to]] == values[order[from]]) {
                to++;
            }
            for (int i = from; i < to; i++) {
                ranks[order[i]] = (from + to - 1) / 2.0;
            }
            from = to;
        }
        return ranks;
    }
}
