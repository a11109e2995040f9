package dev.ptq.format;

import dev.ptq.format.SmallFloat.Ties;
import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * Rounds one row of blocks to small floats with a scale for each block, {@code value = scale · element}, in loops over
 * whole rows that the compiler vectorizes; see {@link RowKernels}.
 */
final class SmallFloatKernel {
    /** Multiplied by this, any element but zero exceeds 1: a sign without a branch. */
    private static final float STEEP = 1e30f;

    /**
     * The rounding of elements.
     *
     * @param ties rounding of values halfway between two elements
     * @param flush whether blocks without a normal float32 number become zeros
     * @param divides whether values are divided by the scale or multiplied by a factor
     */
    record Rounding(SmallFloat element, Ties ties, boolean flush, boolean divides) {
        /** Returns half-to-even rounding. */
        static Rounding even(SmallFloat element, boolean divides) {
            return new Rounding(element, Ties.EVEN, false, divides);
        }

        /** Returns whether a block becomes zeros because of its largest magnitude. */
        boolean flushes(int maximumBits) {
            return flush && maximumBits < 1 << 23;
        }
    }

    private final Rounding rounding;
    private final SmallFloat element;
    private final int columns;
    private final int blockColumns;
    private final float[] line;
    /** Largest magnitude of each column of the strip. */
    private final float[] columnMaxima;
    /** Bits of the largest magnitude of each measured block. */
    private final int[] maxima;
    /** Scale of each column's block. */
    private final float[] scales;

    private final float[] factors;
    /** Magnitudes and steps of a row, where one loop would be too long to be vectorized. */
    private final float[] magnitudes;

    private final float[] steps;

    SmallFloatKernel(Rounding rounding, Blocks layout) {
        this.rounding = rounding;
        element = rounding.element();
        columns = layout.columns();
        blockColumns = layout.blockColumns();
        line = new float[columns];
        columnMaxima = new float[columns];
        maxima = new int[layout.across()];
        scales = new float[columns];
        factors = new float[columns];
        boolean isEven = rounding.ties() == Ties.EVEN;
        magnitudes = new float[isEven ? 0 : columns];
        steps = new float[magnitudes.length];
    }

    /**
     * Rounds a tensor in place with scales from its own blocks.
     *
     * @param stored receives the scale of each block in its stored form
     */
    static void fit(FloatBuffer values, Blocks blocks, Rounding rounding, Scaling scaling, float[] stored) {
        blocks.rewrite(values, layout -> {
            SmallFloatKernel kernel = new SmallFloatKernel(rounding, layout);
            return (strip, tile, at, rows) -> {
                int[] maxima = kernel.measure(tile, at, rows);
                for (int block = 0; block < maxima.length; block++) {
                    float scale = scaling.stored(maxima[block]);
                    stored[strip * maxima.length + block] = scale;
                    kernel.set(block, scaling.scale(scale), scaling.factor(scale));
                    kernel.flush(block);
                }
                kernel.round(tile, at, rows);
            };
        });
    }

    /** Returns the bits of the largest magnitude of each block of a row of blocks; overwritten by the next call. */
    int[] measure(float[] values, int at, int rows) {
        float[] from = values;
        int start = at;
        if (rows > 1) {
            from = columnMaxima;
            start = 0;
            Arrays.fill(columnMaxima, 0);
            for (int row = 0; row < rows; row++) {
                raise(columnMaxima, RowKernels.row(values, at + row * columns, line, columns), columns);
            }
        }
        for (int block = 0, left = 0; left < columns; block++, left += blockColumns) {
            int right = Math.min(columns, left + blockColumns);
            maxima[block] = RowKernels.largestMagnitudeBits(from, start + left, start + right);
        }
        return maxima;
    }

    private static void raise(float[] maxima, float[] values, int count) {
        for (int i = 0; i < count; i++) {
            maxima[i] = Math.max(maxima[i], Math.abs(values[i]));
        }
    }

    /** Uses a scale and a factor for one block. */
    void set(int block, float scale, float factor) {
        int from = block * blockColumns;
        int to = Math.min(columns, from + blockColumns);
        for (int i = from; i < to; i++) {
            scales[i] = scale;
            factors[i] = factor;
        }
    }

    /** Turns a measured block into zeros if the format wants that. */
    void flush(int block) {
        if (rounding.flushes(maxima[block])) {
            set(block, 1, 0);
        }
    }

    /** Uses one scale and factor for all blocks. */
    void setAll(float scale, float factor) {
        Arrays.fill(scales, scale);
        Arrays.fill(factors, factor);
    }

    /** Rounds a row of blocks with the current scales. */
    void round(float[] values, int at, int rows) {
        for (int row = 0; row < rows; row++) {
            int start = at + row * columns;
            float[] own = RowKernels.row(values, start, line, columns);
            roundLine(own);
            RowKernels.store(own, values, start, columns);
        }
    }

    private void roundLine(float[] values) {
        if (rounding.divides()) {
            divide(values, scales, columns);
        } else {
            multiply(values, factors, columns);
        }
        float largest = element.largest();
        float least = element.leastBinade();
        float fraction = element.fraction();
        float zero = element.addedZero();
        switch (rounding.ties()) {
            case EVEN -> even(values, scales, columns, largest, least, fraction, zero);
            case AWAY -> {
                split(values, magnitudes, steps, columns, largest, least, fraction);
                away(values, scales, magnitudes, steps, columns, zero);
            }
            case TRUNC -> {
                split(values, magnitudes, steps, columns, largest, least, fraction);
                towardsZero(values, scales, magnitudes, steps, columns, zero);
            }
        }
    }

    private static void divide(float[] values, float[] scales, int count) {
        for (int i = 0; i < count; i++) {
            values[i] = values[i] / scales[i];
        }
    }

    private static void multiply(float[] values, float[] factors, int count) {
        for (int i = 0; i < count; i++) {
            values[i] = values[i] * factors[i];
        }
    }

    private static float sign(float value) {
        return Math.max(-1, Math.min(1, value * STEEP));
    }

    private static void even(
            float[] values, float[] scales, int count, float largest, float least, float fraction, float zero) {
        for (int i = 0; i < count; i++) {
            float magnitude = Math.min(Math.abs(values[i]), largest);
            float rounded = SmallFloat.toEven(magnitude, SmallFloat.step(magnitude, least, fraction));
            values[i] = (sign(values[i]) * rounded + zero) * scales[i];
        }
    }

    private static void split(
            float[] values, float[] magnitudes, float[] steps, int count, float largest, float least, float fraction) {
        for (int i = 0; i < count; i++) {
            float magnitude = Math.min(Math.abs(values[i]), largest);
            magnitudes[i] = magnitude;
            steps[i] = SmallFloat.step(magnitude, least, fraction);
        }
    }

    private static void away(float[] values, float[] scales, float[] magnitudes, float[] steps, int count, float zero) {
        for (int i = 0; i < count; i++) {
            values[i] = (sign(values[i]) * SmallFloat.away(magnitudes[i], steps[i]) + zero) * scales[i];
        }
    }

    private static void towardsZero(
            float[] values, float[] scales, float[] magnitudes, float[] steps, int count, float zero) {
        for (int i = 0; i < count; i++) {
            values[i] = (sign(values[i]) * SmallFloat.towardsZero(magnitudes[i], steps[i]) + zero) * scales[i];
        }
    }
}
