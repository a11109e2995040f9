package dev.ptq.evaluate;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * Bootstrap intervals for the differences between variants scored on the same items, such as the chunks of a text.
 *
 * <p>An item is drawn with its values in all variants. Difficulty common to all of them thus cancels, and the more
 * alike the differences, the narrower the interval. A resample draws as many items as there are, with replacement; in
 * it each variant has its weighted mean {@code sum(w x) / sum(w)}. The interval spans the middle 95 % of the resamples.
 * Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
 *
 * <p>Equal input gives equal intervals: the seed is a constant, and item {@code floor(n u / 2^32)} is drawn for each
 * {@code u} of {@link SplittableRandom#nextInt()} as an unsigned number.
 */
public final class PairedBootstrap {
    /** Resamples behind every interval. */
    public static final int RESAMPLES = 10_000;

    static final long SEED = 1993;

    /** Resamples beyond either end of an interval: 2.5 %. */
    private static final int TAIL = RESAMPLES / 40;

    private final int items;
    private final double[][] means;

    /** From the lowest to the highest of the middle 95 % of the resamples. */
    public record Interval(double low, double high) {}

    /**
     * Draws the resamples.
     *
     * @param weights of the items in a mean, not negative; an item of weight 0 is left out, and its values may be NaN
     * @param variants the values of the items, an array for each variant
     * @throws IllegalArgumentException if a variant has more or fewer items than there are weights, a value is not
     *     finite, or no item is left
     */
    public PairedBootstrap(double[] weights, List<double[]> variants) {
        int[] kept = IntStream.range(0, weights.length)
                .filter(item -> weights[item] != 0)
                .toArray();
        if (kept.length == 0) {
            throw new IllegalArgumentException("no item has a weight");
        }
        this.items = kept.length;
        double[] keptWeights =
                Arrays.stream(kept).mapToDouble(item -> weights[item]).toArray();
        double[][] weighted = new double[variants.size()][];
        for (int variant = 0; variant < weighted.length; variant++) {
            weighted[variant] = weighted(weights, variants.get(variant), kept);
        }
        this.means = new double[weighted.length][RESAMPLES];
        SplittableRandom random = new SplittableRandom(SEED);
        int[] drawn = new int[items];
        for (int resample = 0; resample < RESAMPLES; resample++) {
            for (int i = 0; i < items; i++) {
                drawn[i] = (int) ((Integer.toUnsignedLong(random.nextInt()) * items) >>> 32);
            }
            double weight = sum(keptWeights, drawn);
            for (int variant = 0; variant < weighted.length; variant++) {
                means[variant][resample] = sum(weighted[variant], drawn) / weight;
            }
        }
    }

    private static double[] weighted(double[] weights, double[] values, int[] kept) {
        if (values.length != weights.length) {
            throw new IllegalArgumentException(
                    "expected a value for each of " + weights.length + " items, got " + values.length);
        }
        double[] weighted = new double[kept.length];
        for (int i = 0; i < kept.length; i++) {
            weighted[i] = weights[kept[i]] * values[kept[i]];
            if (!Double.isFinite(weighted[i])) {
                throw new IllegalArgumentException("item " + kept[i] + " has the value " + values[kept[i]]
                        + " and the weight " + weights[kept[i]]);
            }
        }
        return weighted;
    }

    private static double sum(double[] values, int[] drawn) {
        double sum = 0;
        for (int item : drawn) {
            sum += values[item];
        }
        return sum;
    }

    /**
     * Returns the interval of one variant's mean minus another's; none for a single item, which cannot be resampled.
     */
    public Optional<Interval> difference(int variant, int minus) {
        double[] differences = new double[RESAMPLES];
        for (int i = 0; i < RESAMPLES; i++) {
            differences[i] = means[variant][i] - means[minus][i];
        }
        return middle(differences);
    }

    /**
     * Returns the two-sided probability of a difference at least this far from zero if there is none: twice the share
     * of the resamples on the other side of zero. With 10 000 resamples it is never below 0.0002.
     */
    public double probability(int variant, int minus) {
        int notAbove = 0;
        int notBelow = 0;
        for (int i = 0; i < RESAMPLES; i++) {
            double difference = means[variant][i] - means[minus][i];
            notAbove += difference <= 0 ? 1 : 0;
            notBelow += difference >= 0 ? 1 : 0;
        }
        return Math.min(1, 2.0 * (1 + Math.min(notAbove, notBelow)) / (RESAMPLES + 1));
    }

    /**
     * Returns the interval of {@code (plain - own) / (plain - best)}, numerator and denominator from the same
     * resamples.
     *
     * <p>None for a single item, which cannot be resampled, or if the denominator is not positive in every resample: a
     * share of it could then be anything.
     */
    public Optional<Interval> recovered(int best, int plain, int own) {
        double[] shares = new double[RESAMPLES];
        for (int i = 0; i < RESAMPLES; i++) {
            double lost = means[plain][i] - means[best][i];
            if (lost <= 0) {
                return Optional.empty();
            }
            shares[i] = (means[plain][i] - means[own][i]) / lost;
        }
        return middle(shares);
    }

    private Optional<Interval> middle(double[] resampled) {
        if (items == 1) {
            return Optional.empty();
        }
        Arrays.sort(resampled);
        return Optional.of(new Interval(resampled[TAIL], resampled[RESAMPLES - 1 - TAIL]));
    }
}
