package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * MXINT: sign and mantissa integers, and one power of two shared by a block. A block with a NaN or an infinity becomes
 * NaN.
 *
 * @param bits of a value, sign included
 * @param blockSize rows and columns that share an exponent, or columns alone; -1 is the whole dimension
 * @param exponentBits of a block's exponent
 * @param exponentBias exponents reach from {@code -exponentBias} to {@code 2^exponentBits - 1 - exponentBias}
 */
public record BlockFloatFormat(
        int bits, List<Integer> blockSize, int exponentBits, int exponentBias, ExponentRounding exponentRounding)
        implements NumberFormat {
    /** How a block's exponent follows from the logarithm of its largest magnitude. */
    public enum ExponentRounding {
        /**
         * Up, and mantissas are fractions. Bit for bit the {@code block_fp} of LQER (ICML 2024), its emulation artefacts
         * included: 1e-9 is added to magnitudes, magnitudes up to 1e-8 are left alone, a block whose largest magnitude is
         * exactly a power of two loses it to the clamp, and a block with a magnitude above 2^127 becomes NaN.
         */
        CEIL,
        /**
         * Down, and mantissas have one bit before the point; what is beyond the largest is clamped to it. The rule of the
         * OCP Microscaling Formats (MX) specification 1.0, and of QERA (ICLR 2025).
         */
        FLOOR
    }

    private static final float OFFSET = 1e-9f;
    private static final float UNTOUCHED = 1e-8f;
    private static final int UNTOUCHED_BITS = Float.floatToRawIntBits(UNTOUCHED);
    private static final int LARGEST_FINITE_BITS = 0x7f7fffff;
    /** Times this, any number that matters is beyond 1: a comparison without a branch. */
    private static final float STEEP = 1e30f;

    public BlockFloatFormat {
        blockSize = List.copyOf(blockSize);
        if (bits < 2 || bits > 23 || exponentBits < 1 || exponentBits > 8) {
            throw new IllegalArgumentException("no such format: " + bits + " bits, " + exponentBits + " exponent bits");
        }
    }

    /** The format of LQER. */
    public BlockFloatFormat(int bits, List<Integer> blockSize, int exponentBits, int exponentBias) {
        this(bits, blockSize, exponentBits, exponentBias, ExponentRounding.CEIL);
    }

    /** The exponent range centred as in LQER. */
    public static int defaultBias(int exponentBits) {
        return (1 << (exponentBits - 1)) - 1;
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand, boolean skipFirst) {
        Blocks blocks = blocks(shape, operand, skipFirst);
        AtomicInteger smallest = new AtomicInteger(LARGEST_FINITE_BITS);
        AtomicInteger zeroBlocks = new AtomicInteger();
        blocks.rewrite(values, () -> new Kernel(blocks, smallest, zeroBlocks));
        // LQER gives an all-zero block the smallest maximum there is: where even that is beyond the range, so is zero
        int least = smallest.get() + 1;
        if (ceil() && zeroBlocks.get() > 0 && least <= LARGEST_FINITE_BITS && exponent(least) > Float.MAX_EXPONENT) {
            for (int i = 0; i < values.capacity(); i++) {
                values.put(i, Float.NaN);
            }
        }
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        return (double) bits * shape.size()
                + (double) exponentBits * blocks(shape, operand, false).count();
    }

    @Override
    public boolean roundsSquares(int side) {
        return fromLast(0) > 0 && side % fromLast(0) == 0 && fromLast(1) > 0 && side % fromLast(1) == 0;
    }

    private Blocks blocks(Shape shape, Operand operand, boolean skipFirst) {
        List<Integer> size = blockSize;
        if (operand.heldTransposed()) {
            // a missing entry is the whole dimension, also where it is the other one that is held last
            size = List.of(fromLast(0), fromLast(1));
        }
        return Blocks.over(shape.getShape(), size, skipFirst);
    }

    private int fromLast(int place) {
        return place < blockSize.size() ? blockSize.get(blockSize.size() - 1 - place) : -1;
    }

    private boolean ceil() {
        return exponentRounding == ExponentRounding.CEIL;
    }

    /** Of a block's step to its exponent: {@code step = 2^(exponent - stepsBelow)}. */
    private int stepsBelow() {
        return ceil() ? bits - 1 : bits - 2;
    }

    /** {@code maximumBits} are those of a positive, finite float32. */
    private int exponent(int maximumBits) {
        return clamped(ceil() ? Log2.ceil(maximumBits) : Math.getExponent((double) Float.intBitsToFloat(maximumBits)));
    }

    private int clamped(int exponent) {
        int lowest = -exponentBias;
        int highest = (1 << exponentBits) - 1 - exponentBias;
        return Math.min(Math.max(exponent, lowest), highest);
    }

    private float[] scales() {
        float[] scales = new float[257];
        for (int biased = 0; biased < scales.length; biased++) {
            int exponent = clamped(biased - 127);
            int power = stepsBelow() - exponent;
            // both 2^power and its inverse must be normal numbers; the last two are NaN and the infinities
            boolean exact = Math.abs(power) <= 126 && exponent <= Float.MAX_EXPONENT && biased < 255;
            scales[biased] = exact ? Math.scalb(1f, power) : Float.NaN;
        }
        return scales;
    }

    /**
     * Rounds one row of blocks. The loops over a whole row are written so that the compiler turns them into vector
     * instructions: no branches, no bit patterns, and a scale per column rather than per block.
     */
    private final class Kernel implements Blocks.StripKernel {
        private final int columns;
        private final int blockColumns;
        private final int mantissaBits = bits - 1;
        private final float largestCode = (1 << mantissaBits) - 1;
        /** Bits of the largest magnitude that is left alone. */
        private final int untouchedBits = ceil() ? UNTOUCHED_BITS : 0;

        private final AtomicInteger smallest;
        private final AtomicInteger zeroBlocks;
        /** The row at hand, from index 0: with an offset the compiler gives up. */
        private final float[] line;
        /** The inverse of the step by biased exponent before it is clamped; NaN where the fast way is not exact. */
        private final float[] scaleOf = scales();
        /** Largest magnitude of each column of the strip. */
        private final float[] columnMaxima;
        /** Bits of the largest magnitude of each block. */
        private final int[] maxima;
        /** The inverse of the step of each column's block; 1 where the block's values are too small to be touched. */
        private final float[] scales;

        Kernel(Blocks blocks, AtomicInteger smallest, AtomicInteger zeroBlocks) {
            this.columns = blocks.columns();
            this.blockColumns = blocks.blockColumns();
            this.smallest = smallest;
            this.zeroBlocks = zeroBlocks;
            line = new float[columns];
            columnMaxima = new float[columns];
            maxima = new int[blocks.across()];
            scales = new float[columns];
        }

        @Override
        public void apply(float[] values, int at, int rows) {
            for (int row = 0; row < rows; row++) {
                float[] from = RowKernels.row(values, at + row * columns, line, columns);
                if (row == 0) {
                    magnitudes(from, columnMaxima, columns);
                } else {
                    raise(columnMaxima, from, columns);
                }
            }
            boolean fast = chooseScales();
            for (int row = 0; row < rows; row++) {
                int start = at + row * columns;
                float[] own = rows == 1 && start > 0 ? line : RowKernels.row(values, start, line, columns);
                if (!fast) {
                    roundSlowly(own);
                } else if (ceil()) {
                    roundLine(own, scales, columns, largestCode);
                } else {
                    roundPlainLine(own, scales, columns, largestCode);
                }
                RowKernels.store(own, values, start, columns);
            }
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

        /** Returns whether every block of the strip can be rounded the fast way. */
        private boolean chooseScales() {
            boolean fast = true;
            boolean sawZeros = false;
            int seenSmallest = Integer.MAX_VALUE;
            for (int block = 0, from = 0; from < columns; block++, from += blockColumns) {
                int to = Math.min(columns, from + blockColumns);
                int maximum = RowKernels.largestBits(columnMaxima, from, to);
                maxima[block] = maximum;
                sawZeros |= maximum == 0;
                // zero becomes the largest there is
                seenSmallest = Math.min(seenSmallest, (maximum - 1) & Integer.MAX_VALUE);
                float scale = maximum > untouchedBits ? scaleOf[biased(maximum)] : 1;
                fast &= scale > 0;
                for (int i = from; i < to; i++) {
                    scales[i] = scale;
                }
            }
            if (sawZeros) {
                zeroBlocks.set(1);
            }
            if (seenSmallest < smallest.get()) {
                smallest.accumulateAndGet(seenSmallest, Math::min);
            }
            return fast;
        }

        private int biased(int maximum) {
            // of a subnormal number the true exponent is lower, which the entry for 0 leaves to the slow way
            return ceil() ? Log2.biasedCeil(maximum) : maximum >>> 23;
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
                float scaled = Math.min((magnitude + OFFSET) * scale, largestCode);
                float code = (scaled + RowKernels.WHOLE) - RowKernels.WHOLE;
                float sign = Math.max(-1, Math.min(1, value * STEEP));
                float touched = Math.min(1, Math.max(0, (magnitude - UNTOUCHED) * STEEP));
                values[i] = touched * (sign * (code / scale)) + (1 - touched) * value;
            }
        }

        /** For strips where powers of two leave the normal range. */
        private void roundSlowly(float[] values) {
            for (int column = 0; column < columns; column++) {
                int maximum = maxima[column / blockColumns];
                int exponent = maximum > LARGEST_FINITE_BITS ? 128 : exponent(Math.max(1, maximum));
                if (exponent > Float.MAX_EXPONENT && maximum > 0) {
                    values[column] = Float.NaN;
                } else if (ceil()) {
                    values[column] = slowly(values[column], exponent);
                } else {
                    double step = Math.scalb(1.0, exponent - stepsBelow());
                    double code = Math.min(Math.rint(Math.abs(values[column]) / step), largestCode);
                    values[column] = (float) Math.copySign(code * step, values[column]);
                }
            }
        }

        /** LQER's arithmetic step by step. */
        private float slowly(float value, int exponent) {
            float magnitude = Math.abs(value);
            if (!(magnitude > UNTOUCHED)) {
                return value;
            }
            float codes = 1 << mantissaBits;
            float scale = (float) Math.scalb(1.0, exponent);
            float code = (float) Math.rint((magnitude + OFFSET) / scale * codes);
            return Math.copySign(scale * (Math.min(code, largestCode) / codes), value);
        }
    }
}
