package dev.ptq.chart;

import dev.ptq.chart.Axis.Scale;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;

/** The range of values that an axis shows. Marks are decimal, so they sit exactly where their labels say. */
record AxisRange(Scale scale, double low, double high) {
    private static final int FEWEST_MARKS = 3;

    /** Space beyond the outermost values, as a share of the whole. */
    private static final double MARGIN = 0.03;

    /** Candidate marks within a factor of ten on a logarithmic axis, the fewest first. */
    private static final List<int[]> DIGITS =
            List.of(new int[] {1}, new int[] {1, 2, 5}, new int[] {1, 2, 3, 4, 5, 6, 7, 8, 9});

    /** Returns the range of an axis that shows these values and its own. */
    static AxisRange of(Axis axis, double[] values) {
        return of(
                axis.scale(),
                DoubleStream.concat(
                                DoubleStream.of(values),
                                Stream.concat(axis.shown().stream(), axis.marks().stream())
                                        .mapToDouble(Double::doubleValue))
                        .toArray());
    }

    /**
     * Returns the range of an axis that shows all the values, which are finite, and positive on a logarithmic scale.
     */
    static AxisRange of(Scale scale, double[] values) {
        double low = Double.POSITIVE_INFINITY;
        double high = Double.NEGATIVE_INFINITY;
        for (double value : values) {
            low = Math.min(low, value);
            high = Math.max(high, value);
        }
        if (low == high) {
            double space = low == 0 ? 1 : Math.abs(low) / 2;
            return new AxisRange(scale, low - space, high + space);
        }
        if (scale == Scale.LOGARITHMIC) {
            double factor = StrictMath.pow(high / low, MARGIN);
            return new AxisRange(scale, low / factor, high * factor);
        }
        double space = (high - low) * MARGIN;
        // the range starts at zero or above if no value is negative
        return new AxisRange(scale, low >= 0 ? Math.max(0, low - space) : low - space, high + space);
    }

    /** Returns the position of a value: 0 at the low end, 1 at the high end. */
    double position(double value) {
        double start = scale.length(low);
        return (scale.length(value) - start) / (scale.length(high) - start);
    }

    /** Returns round values within the range, in rising order; at least three, and few enough to be told apart. */
    List<BigDecimal> marks() {
        if (scale == Scale.LOGARITHMIC) {
            for (int[] digits : DIGITS) {
                List<BigDecimal> marks = logarithmicMarks(digits);
                if (marks.size() >= FEWEST_MARKS) {
                    return marks;
                }
            }
        }
        return linearMarks();
    }

    private List<BigDecimal> logarithmicMarks(int[] digits) {
        List<BigDecimal> marks = new ArrayList<>();
        int last = exponent(high);
        int first = exponent(low);
        // more than ten powers of ten are too many to mark each
        int step = 1 + (last - first) / 10;
        for (int exponent = first; exponent <= last; exponent += step) {
            for (int digit : digits) {
                BigDecimal mark = BigDecimal.valueOf(digit).scaleByPowerOfTen(exponent);
                if (mark.compareTo(new BigDecimal(low)) >= 0 && mark.compareTo(new BigDecimal(high)) <= 0) {
                    marks.add(mark);
                }
            }
        }
        return marks;
    }

    /** Multiples of 1, 2 or 5 times a power of ten, as far apart as still gives enough marks. */
    private List<BigDecimal> linearMarks() {
        int exponent = exponent(high - low) - 1;
        for (int tenths : new int[] {20, 10, 5}) {
            BigDecimal step = BigDecimal.valueOf(tenths).scaleByPowerOfTen(exponent);
            if ((high - low) / step.doubleValue() >= FEWEST_MARKS) {
                return linearMarks(step);
            }
        }
        return linearMarks(BigDecimal.valueOf(2).scaleByPowerOfTen(exponent));
    }

    private List<BigDecimal> linearMarks(BigDecimal step) {
        List<BigDecimal> marks = new ArrayList<>();
        BigDecimal last =
                new BigDecimal(high).divide(step, 0, RoundingMode.FLOOR).multiply(step);
        BigDecimal first =
                new BigDecimal(low).divide(step, 0, RoundingMode.CEILING).multiply(step);
        for (BigDecimal mark = first; mark.compareTo(last) <= 0; mark = mark.add(step)) {
            marks.add(mark);
        }
        return marks;
    }

    /** Returns the power of ten at or below a positive value. */
    private static int exponent(double value) {
        BigDecimal exact = new BigDecimal(value);
        return exact.precision() - exact.scale() - 1;
    }
}
