package dev.ptq.method;

import dev.ptq.format.ColumnRounding;
import dev.ptq.format.NumberFormat;
import dev.ptq.model.Linear;
import dev.ptq.tensor.NativeFloats;
import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * The mean magnitude of the weights that take a channel, each as a share of the largest of its group, those values that share
 * a scale: {@code mean over rows of |W| / (max of the group + 1e-6)}. Source: AWQ (MLSys 2024), its released code.
 */
final class WeightMeans {
    private static final float ADDED = 1e-6f;

    private final double[] sums;
    private long rows;

    WeightMeans(int channels) {
        sums = new double[channels];
    }

    /** Takes in a weight. */
    void add(Linear linear, NumberFormat format) {
        int columns = sums.length;
        int blockColumns = ColumnRounding.groupColumns(format, linear.weight().getShape());
        int blockRows = ColumnRounding.groupRows(format, linear.weight().getShape());
        int all = Math.toIntExact(linear.weight().getShape().get(0));
        FloatBuffer window = NativeFloats.window(linear.weight());
        float[] line = new float[columns];
        float[] largest = new float[(columns + blockColumns - 1) / blockColumns];
        for (int from = 0; from < all; from += blockRows) {
            int to = Math.min(all, from + blockRows);
            Arrays.fill(largest, 0);
            for (int row = from; row < to; row++) {
                window.get(row * columns, line);
                for (int i = 0; i < columns; i++) {
                    largest[i / blockColumns] = Math.max(largest[i / blockColumns], Math.abs(line[i]));
                }
            }
            for (int row = from; row < to; row++) {
                window.get(row * columns, line);
                for (int i = 0; i < columns; i++) {
                    sums[i] += Math.abs(line[i]) / (largest[i / blockColumns] + ADDED);
                }
            }
        }
        rows += all;
    }

    /** Returns a mean for each channel. */
    float[] means() {
        float[] means = new float[sums.length];
        for (int i = 0; i < means.length; i++) {
            means[i] = (float) (sums[i] / rows);
        }
        return means;
    }
}
