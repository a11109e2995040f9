package dev.ptq.format;

import java.util.Arrays;

/** The mean square of each feature of a linear's input: how much an error in that column of its weight matters. */
public final class MeanSquares {
    private final float[] values;

    /**
     * Makes a copy of them.
     *
     * @throws IllegalArgumentException if one is negative or not finite
     */
    public MeanSquares(float... values) {
        this.values = values.clone();
        for (int i = 0; i < values.length; i++) {
            if (!(values[i] >= 0 && values[i] < Float.POSITIVE_INFINITY)) {
                throw new IllegalArgumentException("the mean square of feature " + i + " is " + values[i]
                        + "; expected a finite number of at least 0");
            }
        }
    }

    /** Returns those of features that matter alike. */
    public static MeanSquares equal(int features) {
        float[] ones = new float[features];
        Arrays.fill(ones, 1);
        return new MeanSquares(ones);
    }

    int features() {
        return values.length;
    }

    float[] values() {
        return values.clone();
    }

    MeanSquares ofColumns(int... columns) {
        float[] some = new float[columns.length];
        for (int i = 0; i < some.length; i++) {
            some[i] = values[columns[i]];
        }
        return new MeanSquares(some);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof MeanSquares same && Arrays.equals(values, same.values);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(values);
    }

    @Override
    public String toString() {
        return "mean squares of " + values.length + " features";
    }
}
