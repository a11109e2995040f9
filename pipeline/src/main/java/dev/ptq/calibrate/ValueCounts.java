package dev.ptq.calibrate;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * How often values occur. Values that agree in sign, exponent and the first seven bits of the fraction are one bin, and
 * their mean stands for them. A value is thus exact where no other is within 1/128 of it, and elsewhere off by less than
 * 1/128 of itself (by 2^-133 below the smallest normal number). Memory does not depend on the number of values.
 */
public final class ValueCounts {
    static final int BINS = 1 << 16;
    private static final int BITS_LEFT_OUT = 16;

    private final float[] values;
    private final double[] counts;

    private ValueCounts(float[] values, double[] counts) {
        this.values = values;
        this.counts = counts;
    }

    static int bin(float value) {
        return Float.floatToRawIntBits(value) >>> BITS_LEFT_OUT;
    }

    /**
     * Makes them of the rows of a {@link Histogram}, one after the other. Counts above 2^24 are off by 6e-8 of
     * themselves.
     */
    static ValueCounts of(float[] rows) {
        float[] counts = Arrays.copyOf(rows, BINS);
        float[] means = Arrays.copyOfRange(rows, BINS, 2 * BINS);
        int[] bins = IntStream.range(0, BINS)
                .filter(bin -> counts[bin] > 0)
                .boxed()
                .sorted(Comparator.comparingDouble(bin -> means[bin]))
                .mapToInt(Integer::intValue)
                .toArray();
        float[] values = new float[bins.length];
        double[] numbers = new double[bins.length];
        for (int i = 0; i < bins.length; i++) {
            values[i] = means[bins[i]];
            numbers[i] = counts[bins[i]];
        }
        return new ValueCounts(values, numbers);
    }

    /** The values that occur, ascending. */
    public float[] values() {
        return values.clone();
    }

    /** How often each of the {@link #values} occurs. */
    public double[] counts() {
        return counts.clone();
    }

    /**
     * Returns the least value that is not below so many hundredths of all, ties included.
     *
     * @param percent above 0, at most 100; counted in decimals, so that 99.99 of 10000 values are 9999
     * @throws IllegalStateException if there are no values
     */
    public float percentile(double percent) {
        if (values.length == 0) {
            throw new IllegalStateException("no values were counted");
        }
        double rank = BigDecimal.valueOf(percent)
                .movePointLeft(2)
                .multiply(BigDecimal.valueOf(Arrays.stream(counts).sum()))
                .setScale(0, RoundingMode.CEILING)
                .doubleValue();
        double seen = 0;
        for (int i = 0; i < values.length; i++) {
            seen += counts[i];
            if (seen >= rank) {
                return values[i];
            }
        }
        return values[values.length - 1];
    }

    /** Returns how often the values occur with the other sign. */
    public ValueCounts negated() {
        float[] turned = new float[values.length];
        double[] number = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            turned[i] = -values[values.length - 1 - i];
            number[i] = counts[values.length - 1 - i];
        }
        return new ValueCounts(turned, number);
    }

    /** Returns how often magnitudes occur. */
    public ValueCounts magnitudes() {
        int[] order = IntStream.range(0, values.length)
                .boxed()
                .sorted(Comparator.comparingDouble(i -> Math.abs(values[i])))
                .mapToInt(Integer::intValue)
                .toArray();
        float[] magnitudes = new float[order.length];
        double[] numbers = new double[order.length];
        for (int i = 0; i < order.length; i++) {
            magnitudes[i] = Math.abs(values[order[i]]);
            numbers[i] = counts[order[i]];
        }
        return new ValueCounts(magnitudes, numbers);
    }
}
