package dev.ptq.format;

import java.util.Arrays;

/**
 * Rounds one row of blocks to block floating point. The loops over a whole row are written so that the compiler
 * vectorizes them: no branches, no bit patterns, and a scale per column rather than per block.
 */
final class BlockFloatKernel implements Blocks.StripKernel {
    private static final int UNTOUCHED_BITS = Float.floatToRawIntBits(BlockFloatFormat.UNTOUCHED);
    /** Multiplied by this, any number that matters exceeds 1: a comparison without a branch. */
    private static final float STEEP = 1e30f;

    private final BlockFloatFormat format;
    private final Blocks layout;
    private final int columns;
    private final int blockColumns;
    private final boolean ceil;
    private final float largestCode;
    /** Bits of the largest magnitude that stays unrounded. */
    private final int untouchedBits;

    private final SmallestBlock smallest;
    /** The current row, from index 0: with an offset the compiler does not vectorize. */
    private final float[] line;
    /** The inverse of the step by biased exponent before clamping; NaN if the fast path is not exact. */
    private final float[] scaleOf = new float[257];
    /** Largest magnitude of each column of the strip. */
    private final float[] columnMaxima;
    /** Bits of the largest magnitude of each measured block. */
    private final int[] maxima;
    /** Exponent of each block; for measured blocks only set off the fast path. */
    private final int[] exponents;
    /** The inverse of the step of each column's block; 1 if the block's values are too small to be rounded. */
    private final float[] scales;
    /** Whether every block of the strip can take the fast path. */
    private boolean fast;
    /** Whether measuring has left its single row in {@link #line}. */
    private boolean isInLine;

    /**
     * Makes a kernel.
     *
     * @param smallest is told of every measured block
     */
    BlockFloatKernel(BlockFloatFormat format, Blocks layout, SmallestBlock smallest) {
        this.format = format;
        this.layout = layout;
        this.smallest = smallest;
        columns = layout.columns();
        blockColumns = layout.blockColumns();
        ceil = format.ceil();
        largestCode = format.largestCode();
        untouchedBits = ceil ? UNTOUCHED_BITS : 0;
        line = new float[columns];
        columnMaxima = new float[columns];
        maxima = new int[layout.across()];
        exponents = new int[layout.across()];
        scales = new float[columns];
        for (int biased = 0; biased < scaleOf.length; biased++) {
            // the last two are NaN and the infinities
            scaleOf[biased] = biased < 255 ? scale(format.clamped(biased - 127)) : Float.NaN;
        }
    }

    @Override
    public void apply(int strip, float[] values, int at, int rows) {
        measure(values, at, rows);
        round(values, at, rows);
    }

    /** Computes the exponent of each block of a row of blocks. */
    void measure(float[] values, int at, int rows) {
        isInLine = rows == 1 && at > 0;
        for (int row = 0; row < rows; row++) {
            float[] from = RowKernels.row(values, at + row * columns, line, columns);
            if (row == 0) {
                magnitudes(from, columnMaxima, columns);
            } else {
                raise(columnMaxima, from, columns);
            }
        }
        chooseScales();
    }

    /** Uses one exponent for all blocks. */
    void set(int exponent) {
        float scale = scale(exponent);
        Arrays.fill(exponents, exponent);
        Arrays.fill(scales, scale);
        fast = scale > 0;
    }

    /** Loads the exponents of the blocks of row {@code strip} from those of all blocks. */
    void load(int strip, int[] from) {
        System.arraycopy(from, strip * layout.across(), exponents, 0, exponents.length);
        fast = true;
        for (int block = 0, at = 0; at < columns; block++, at += blockColumns) {
            float scale = scale(exponents[block]);
            fast &= scale > 0;
            Arrays.fill(scales, at, Math.min(columns, at + blockColumns), scale);
        }
    }

    /** Stores the measured exponents of the blocks of row {@code strip} among those of all blocks. */
    void store(int strip, int[] into) {
        for (int block = 0; block < maxima.length; block++) {
            into[strip * layout.across() + block] = format.blockExponent(maxima[block]);
        }
    }

    /** Rounds a row of blocks with the current exponents. */
    void round(float[] values, int at, int rows) {
        for (int row = 0; row < rows; row++) {
            int start = at + row * columns;
            float[] own = isInLine ? line : RowKernels.row(values, start, line, columns);
            if (!fast) {
                roundSlowly(own);
            } else if (ceil) {
                roundLine(own, scales, columns, largestCode);
            } else {
                roundPlainLine(own, scales, columns, largestCode);
            }
            RowKernels.store(own, values, start, columns);
        }
        isInLine = false;
    }

    /** Returns the inverse of the step; NaN if it or the step is not a normal number. */
    private float scale(int exponent) {
        int power = format.stepsBelow() - exponent;
        return Math.abs(power) <= 126 && exponent <= Float.MAX_EXPONENT ? Math.scalb(1f, power) : Float.NaN;
    }

    private static void magnitudes(float[] values, float[] target, int count) {
        for (int i = 0; i < count; i++) {
            target[i] = Math.abs(values[i]);
        }
    }

    private static void raise(float[] maxima, float[] values, int count) {
        for (int i = 0; i < count; i++) {
            maxima[i] = Math.max(maxima[i], Math.abs(values[i]));
        }
    }

    private void chooseScales() {
        boolean all = true;
        boolean sawZeros = false;
        int seenSmallest = Integer.MAX_VALUE;
        for (int block = 0, from = 0; from < columns; block++, from += blockColumns) {
            int to = Math.min(columns, from + blockColumns);
            int maximum = RowKernels.largestBits(columnMaxima, from, to);
            maxima[block] = maximum;
            sawZeros |= maximum == 0;
            // zero becomes the largest number there is
            seenSmallest = Math.min(seenSmallest, (maximum - 1) & Integer.MAX_VALUE);
            float scale = maximum > untouchedBits ? scaleOf[biased(maximum)] : 1;
            all &= scale > 0;
            for (int i = from; i < to; i++) {
                scales[i] = scale;
            }
        }
        smallest.see(seenSmallest, sawZeros);
        fast = all;
        if (!all) {
            Arrays.setAll(exponents, block -> format.blockExponent(maxima[block]));
        }
    }

    private int biased(int maximum) {
        // a subnormal number has a lower exponent; the entry for 0 sends it to the slow path
        return ceil ? Log2.biasedCeil(maximum) : maximum >>> 23;
    }

    private static void roundPlainLine(float[] values, float[] scales, int count, float largestCode) {
        for (int i = 0; i < count; i++) {
            float scale = scales[i];
            float scaled = Math.max(-largestCode, Math.min(values[i] * scale, largestCode));
            values[i] = ((scaled + RowKernels.WHOLE) - RowKernels.WHOLE) / scale;
        }
    }

    private static void roundLine(float[] values, float[] scales, int count, float largestCode) {
        for (int i = 0; i < count; i++) {
            float value = values[i];
            float scale = scales[i];
            float magnitude = Math.abs(value);
            float scaled = Math.min((magnitude + BlockFloatFormat.OFFSET) * scale, largestCode);
            float code = (scaled + RowKernels.WHOLE) - RowKernels.WHOLE;
            float sign = Math.max(-1, Math.min(1, value * STEEP));
            float touched = Math.min(1, Math.max(0, (magnitude - BlockFloatFormat.UNTOUCHED) * STEEP));
            values[i] = touched * (sign * (code / scale)) + (1 - touched) * value;
        }
    }

    /** Rounds strips in which powers of two leave the normal range. */
    private void roundSlowly(float[] values) {
        for (int column = 0; column < columns; column++) {
            values[column] = format.rounded(values[column], exponents[column / blockColumns]);
        }
    }
}
