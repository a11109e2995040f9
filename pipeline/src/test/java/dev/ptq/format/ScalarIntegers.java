package dev.ptq.format;

import dev.ptq.format.IntegerFormat.Granularity;

/** Integers of a weight in plain loops over doubles or, rounded after every operation, over floats. */
final class ScalarIntegers {
    private final IntegerFormat format;
    private final int rows;
    private final int columns;
    private final int width;
    private final int across;
    private final boolean single;

    ScalarIntegers(IntegerFormat format, int rows, int columns, boolean single) {
        this.format = format;
        this.rows = rows;
        this.columns = columns;
        this.single = single;
        boolean whole = format.granularity() == Granularity.TENSOR;
        width = format.granularity() == Granularity.GROUP ? format.groupSize() : whole ? rows * columns : columns;
        across = whole ? 1 : (columns + width - 1) / width;
    }

    /** How many groups there are. */
    int groups() {
        return format.granularity() == Granularity.TENSOR ? 1 : rows * across;
    }

    /** The group of the value at {@code index}. */
    int group(int index) {
        return format.granularity() == Granularity.TENSOR ? 0 : index / columns * across + index % columns / width;
    }

    private double as(double value) {
        return single ? (float) value : value;
    }

    double lowest() {
        return format.symmetric() ? -Math.pow(2, format.bits() - 1) : 0;
    }

    double highest() {
        return format.symmetric() ? Math.pow(2, format.bits() - 1) - 1 : Math.pow(2, format.bits()) - 1;
    }

    /** The scale and, before it is rounded or clamped, the zero point of a group with factors on its range. */
    double[] scaleAndZero(double[] values, int group, double upper, double lower) {
        double most = Double.NEGATIVE_INFINITY;
        double least = Double.POSITIVE_INFINITY;
        for (int i = 0; i < values.length; i++) {
            if (group(i) == group) {
                most = Math.max(most, values[i]);
                least = Math.min(least, values[i]);
            }
        }
        most = as(most * upper);
        least = as(least * lower);
        double scale;
        if (format.symmetric()) {
            scale = as(Math.max(Math.abs(most), Math.abs(least)) / highest());
        } else {
            if (format.includeZero()) {
                most = Math.max(most, 0);
                least = Math.min(least, 0);
            }
            scale = as(as(most - least) / highest());
            if (!format.includeZero()) {
                scale = Math.max(scale, as(Math.max(Math.abs(most), Math.abs(least)) * 0x1p-20));
            }
        }
        scale = scale == 0 ? 1 : scale;
        return new double[] {scale, format.symmetric() ? 0 : as(-least / scale)};
    }

    double zeroPoint(double unrounded) {
        double zeroPoint = Math.rint(unrounded);
        return format.includeZero() && !format.symmetric() ? Math.min(Math.max(zeroPoint, 0), highest()) : zeroPoint;
    }

    double rounded(double value, double divisor, double scale, double zeroPoint) {
        double code = Math.rint(as(value / divisor)) + zeroPoint;
        return as((Math.min(Math.max(code, lowest()), highest()) - zeroPoint) * scale);
    }

    /** All values with factors on their groups' ranges. */
    double[] clipped(double[] values, double[] upper, double[] lower) {
        double[] result = new double[values.length];
        for (int group = 0; group < groups(); group++) {
            double[] range = scaleAndZero(values, group, upper[group], lower[group]);
            for (int i = 0; i < values.length; i++) {
                if (group(i) == group) {
                    result[i] = rounded(values[i], range[0], range[0], zeroPoint(range[1]));
                }
            }
        }
        return result;
    }
}
