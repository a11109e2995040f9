package dev.ptq.calibrate;

import dev.ptq.model.HookInput;

/** How often the values of all features occur: counts and means of the bins of {@link ValueCounts}. */
final class Histogram implements Accumulator {
    /** Bins of one sign and exponent; few of these occur, and only they take memory. */
    private static final int PAGE = 1 << 7;

    private final long[][] counts = new long[ValueCounts.BINS / PAGE][];
    private final double[][] sums = new double[ValueCounts.BINS / PAGE][];

    @Override
    public void add(HookInput input) {
        Tokens.forEach(input, features -> {
            for (float value : features) {
                int bin = ValueCounts.bin(value);
                int page = bin / PAGE;
                if (counts[page] == null) {
                    counts[page] = new long[PAGE];
                    sums[page] = new double[PAGE];
                }
                counts[page][bin % PAGE]++;
                sums[page][bin % PAGE] += value;
            }
        });
    }

    /** The first row has counts, the second means. */
    @Override
    public void row(int row, float[] target) {
        for (int bin = 0; bin < target.length; bin++) {
            long[] page = counts[bin / PAGE];
            long count = page == null ? 0 : page[bin % PAGE];
            double mean = count == 0 ? 0 : sums[bin / PAGE][bin % PAGE] / count;
            target[bin] = (float) (row == 0 ? count : mean);
        }
    }
}
