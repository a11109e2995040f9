package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import dev.ptq.config.Choices;
import dev.ptq.format.ColumnRounding;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Parallel;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * The search for smaller ranges of a weight: each group of values that share a scale is clamped to parts of its range,
 * rounded, and keeps the range with which its share of the output is closest to what it was. Of equal ones the largest is
 * kept. Where groups also share something, such as a scale of the tensor, the error of a group is that with all of them
 * clamped alike. Source: AWQ (MLSys 2024), its released code.
 *
 * @param steps ranges that are tried, the whole one first
 * @param least the last of them, as a share of the whole range
 * @param tokens of the input that errors are taken on, see {@link dev.ptq.calibrate.TokenSample}
 * @param ends of a range
 * @param queriesAndKeys whether weights that make queries and keys are clipped too
 */
record ClipSearch(int steps, double least, int tokens, Ends ends, boolean queriesAndKeys) {
    /** Rows whose errors are computed at once. */
    private static final int TILE = 256;

    /** The ends of a range. */
    enum Ends {
        /** The smallest and the largest value. */
        OWN,
        /** The largest magnitude to both sides. */
        SYMMETRIC;

        static final Choices<Ends> CHOICES = Choices.of("own", OWN, "from the smallest to the largest value of a group")
                .and("symmetric", SYMMETRIC, "the largest magnitude to both sides");
    }

    /**
     * What was found.
     *
     * @param nearestLoss mean over outputs of the sum over groups of the mean square over tokens, with whole ranges
     * @param loss the same with the ranges kept
     * @param clipped the share of the groups whose range is smaller
     */
    record Found(NDArray weight, double nearestLoss, double loss, double clipped) {}

    /**
     * Searches.
     *
     * @param weight {@code [outFeatures, inFeatures]}, float32
     * @param format that it is rounded to
     * @param input {@code [tokens, inFeatures]}, float32
     * @return the clipped weight, in the weight's manager
     */
    Found run(NDArray weight, NumberFormat format, NDArray input) throws IOException {
        Groups groups = Groups.of(format, weight);
        float[] low = new float[groups.count()];
        float[] high = new float[groups.count()];
        groups.ranges(NativeFloats.window(weight), low, high);
        if (ends == Ends.SYMMETRIC) {
            for (int i = 0; i < low.length; i++) {
                high[i] = Math.max(-low[i], high[i]);
                low[i] = -high[i];
            }
        }
        double[] best = new double[groups.count()];
        float[] kept = new float[groups.count()];
        Arrays.fill(best, Double.POSITIVE_INFINITY);
        Arrays.fill(kept, 1);
        double whole = 0;
        for (int step = 0; step < steps; step++) {
            float share = share(step);
            float[] shares = new float[groups.count()];
            Arrays.fill(shares, share);
            double[] errors = errors(groups, weight, format, input, groups.clamped(weight, low, high, shares));
            whole = step == 0 ? Arrays.stream(errors).sum() : whole;
            for (int i = 0; i < errors.length; i++) {
                if (errors[i] < best[i]) {
                    best[i] = errors[i];
                    kept[i] = share;
                }
            }
        }
        int clipped = 0;
        for (float share : kept) {
            clipped += share < 1 ? 1 : 0;
        }
        return new Found(
                groups.clamped(weight, low, high, kept),
                whole / groups.rows(),
                Arrays.stream(best).sum() / groups.rows(),
                clipped / (double) kept.length);
    }

    private float share(int step) {
        return step == 0 ? 1 : (float) (1 - step * (1 - least) / (steps - 1));
    }

    /** The error of each group; {@code clamped} is given up. */
    private static double[] errors(Groups groups, NDArray weight, NumberFormat format, NDArray input, NDArray clamped)
            throws IOException {
        int tiles = (groups.rows() + TILE - 1) / TILE;
        float[][] ofRows = new float[groups.rows()][groups.across()];
        try (NDManager scratch = weight.getManager().newSubManager()) {
            clamped.attach(scratch);
            NDArray error = format.fakeQuantizeInPlace(clamped, Operand.WEIGHT).subi(weight);
            Parallel.forEachOfTensors(tiles, tiles, i -> {
                int to = Math.min(groups.rows(), (i + 1) * TILE);
                for (int group = 0; group < groups.across(); group++) {
                    float[] squares = squares(scratch, groups, error, input, i * TILE, to, group);
                    for (int row = 0; row < squares.length; row++) {
                        ofRows[i * TILE + row][group] = squares[row];
                    }
                }
            });
        }
        double[] errors = new double[groups.count()];
        for (int row = 0; row < groups.rows(); row++) {
            for (int group = 0; group < groups.across(); group++) {
                errors[groups.number(row, group)] += ofRows[row][group];
            }
        }
        return errors;
    }

    /** The mean over tokens of the square of what a group adds to the outputs of some rows. */
    private static float[] squares(
            NDManager manager, Groups groups, NDArray error, NDArray input, int from, int to, int group) {
        int first = group * groups.blockColumns();
        int end = Math.min(groups.columns(), first + groups.blockColumns());
        try (NDManager own = manager.newSubManager()) {
            NDArray some = error.get(new NDIndex("{}:{},{}:{}", from, to, first, end));
            some.attach(own);
            NDArray values = input.get(new NDIndex(":,{}:{}", first, end));
            values.attach(own);
            return values.matMul(some.transpose(1, 0))
                    .square()
                    .mean(new int[] {0})
                    .toFloatArray();
        }
    }

    /** The values of a weight that share a scale. */
    private record Groups(int rows, int columns, int blockRows, int blockColumns) {
        static Groups of(NumberFormat format, NDArray weight) {
            return new Groups(
                    (int) weight.getShape().get(0),
                    (int) weight.getShape().get(1),
                    ColumnRounding.groupRows(format, weight.getShape()),
                    ColumnRounding.groupColumns(format, weight.getShape()));
        }

        int across() {
            return (columns + blockColumns - 1) / blockColumns;
        }

        int count() {
            return (rows + blockRows - 1) / blockRows * across();
        }

        int number(int row, int group) {
            return row / blockRows * across() + group;
        }

        void ranges(FloatBuffer values, float[] low, float[] high) {
            Arrays.fill(low, Float.POSITIVE_INFINITY);
            Arrays.fill(high, Float.NEGATIVE_INFINITY);
            float[] line = new float[columns];
            for (int row = 0; row < rows; row++) {
                values.get(row * columns, line);
                for (int i = 0; i < columns; i++) {
                    int number = number(row, i / blockColumns);
                    low[number] = Math.min(low[number], line[i]);
                    high[number] = Math.max(high[number], line[i]);
                }
            }
        }

        /** Returns the weight clamped to a share of the range of each group, in its manager. */
        NDArray clamped(NDArray weight, float[] low, float[] high, float[] shares) {
            FloatBuffer source = NativeFloats.window(weight);
            NDArray clamped = NativeFloats.create(weight.getManager(), weight.getShape());
            FloatBuffer target = NativeFloats.window(clamped);
            Parallel.forEach(rows, () -> new float[columns], (line, row) -> {
                source.get(row * columns, line);
                for (int i = 0; i < columns; i++) {
                    int number = number(row, i / blockColumns);
                    float share = shares[number];
                    if (share < 1) {
                        line[i] = Math.min(Math.max(line[i], low[number] * share), high[number] * share);
                    }
                }
                target.put(row * columns, line);
            });
            return clamped;
        }
    }
}
