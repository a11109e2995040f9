package dev.ptq.format;

import java.util.Arrays;

/**
 * Searches for the range of a group of values that minimizes the sum of {@code |w - ŵ|^2.4}.
 *
 * <p>Symmetric: the range of all values, reduced by up to 79 hundredths. Not symmetric: 1 to 100 hundredths of the
 * range of all values and 0, each with every zero point among the codes; ties go to the smallest range, then the
 * smallest zero point. Source: the released code of FlexRound (ICML 2023) and LRQ (NAACL 2025).
 *
 * <p>An error is the sum of the rounding error, which all zero points of a range share, and the clamping error, which
 * is summed from the ends of the sorted values until it exceeds the best. Scores are exact to about 1e-7.
 */
final class RangeSearch {
    private static final double EXPONENT = 2.4;
    private static final int PARTS = 100;
    private static final int SHRINKS = 80;
    /** {@code x^2.4} from 0 to a half, in steps of 2^-13. */
    private static final float[] POWERS = new float[(1 << 12) + 2];

    private static final float PER_UNIT = 1 << 13;

    static {
        for (int i = 0; i < POWERS.length; i++) {
            POWERS[i] = (float) Math.pow(i / PER_UNIT, EXPONENT);
        }
    }

    private final IntegerFormat format;
    private final float highest;
    private float[] sorted = new float[0];
    private int count;
    private float scale;
    private float zeroPoint;
    private double best;

    RangeSearch(IntegerFormat format) {
        this.format = format;
        this.highest = format.highestCode();
    }

    /** Returns the step found. */
    float scale() {
        return scale;
    }

    /** Returns the zero point that belongs to it. */
    float zeroPoint() {
        return zeroPoint;
    }

    /** Searches among the first {@code size} values. */
    void run(float[] values, int size) {
        if (sorted.length < size) {
            sorted = new float[size];
        }
        count = size;
        System.arraycopy(values, 0, sorted, 0, size);
        Arrays.sort(sorted, 0, size);
        // NaN sorts above all
        float above = size == 0 ? 0 : Math.max(0, sorted[size - 1]);
        float below = size == 0 ? 0 : Math.max(0, -sorted[0]);
        scale = format.step(above, below);
        zeroPoint = format.zeroPoint(below, scale);
        best = Double.POSITIVE_INFINITY;
        float range = format.symmetric() ? Math.max(above, below) : above + below;
        if (range > 0 && range < Float.POSITIVE_INFINITY) {
            if (format.symmetric()) {
                shrink(range);
            } else {
                shift(range);
            }
        }
    }

    private void shrink(float range) {
        for (int i = 0; i < SHRINKS; i++) {
            float share = 1 - i / (float) PARTS;
            float step = share * range / highest;
            if (step > 0) {
                double unit = Math.pow(share, EXPONENT);
                double excess = clamping(step, format.lowestCode(), highest, best / unit);
                double score = excess < best / unit ? (excess + rounding(step)) * unit : Double.POSITIVE_INFINITY;
                if (score < best) {
                    best = score;
                    scale = step;
                }
            }
        }
    }

    private void shift(float range) {
        // from the largest, which is near the best, so that the others are soon ruled out
        for (int i = PARTS; i > 0; i--) {
            float reach = range / PARTS * i;
            float step = reach / highest;
            if (step > 0) {
                double unit = Math.pow(i / (double) PARTS, EXPONENT);
                double least = Math.nextUp(best / unit);
                int leastAt = -1;
                for (int zero = 0; zero <= highest; zero++) {
                    double excess = clamping(step, -zero, highest - zero, least);
                    if (excess < least) {
                        least = excess;
                        leastAt = zero;
                    }
                }
                double score = leastAt < 0 ? Double.POSITIVE_INFINITY : (least + rounding(step)) * unit;
                if (score <= best) {
                    best = score;
                    // as in the source: from the ends of the range
                    float below = leastAt * step;
                    scale = format.step(Math.max(0, reach - below), below);
                    zeroPoint = format.zeroPoint(below, scale);
                }
            }
        }
    }

    /** Returns the sum of {@code |v - round(v)|^2.4} over all {@code v = w / step}. */
    private double rounding(float step) {
        double sum = 0;
        for (int i = 0; i < count; i++) {
            sum += ofRounding(sorted[i] / step);
        }
        return sum;
    }

    private static float ofRounding(float value) {
        float position = Math.abs(value - (float) Math.rint(value)) * PER_UNIT;
        int index = (int) position;
        float from = POWERS[index];
        return from + (position - index) * (POWERS[index + 1] - from);
    }

    /** Returns the error that clamping codes to {@code lowest..most} adds; infinite once it is not below the bound. */
    private double clamping(float step, float lowest, float most, double bound) {
        double sum = 0;
        for (int i = count - 1; i >= 0 && sum < bound; i--) {
            float value = sorted[i] / step;
            if (Math.rint(value) <= most) {
                break;
            }
            sum += Math.pow(value - most, EXPONENT) - ofRounding(value);
        }
        for (int i = 0; i < count && sum < bound; i++) {
            float value = sorted[i] / step;
            if (Math.rint(value) >= lowest) {
                break;
            }
            sum += Math.pow(lowest - value, EXPONENT) - ofRounding(value);
        }
        return sum < bound ? sum : Double.POSITIVE_INFINITY;
    }
}
