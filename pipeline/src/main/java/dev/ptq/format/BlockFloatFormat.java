package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * MXINT: sign and mantissa integers, and one power of two shared by a block. Bit for bit the {@code block_fp} of LQER
 * (ICML 2024), its emulation artefacts included: 1e-9 is added to magnitudes, magnitudes up to 1e-8 are left alone, a
 * block whose largest magnitude is exactly a power of two loses it to the clamp, and a block with a magnitude above
 * 2^127 becomes NaN, as does one with a NaN or an infinity.
 *
 * @param bits of a value, sign included
 * @param blockSize rows and columns that share an exponent, or columns alone; -1 is the whole dimension
 * @param exponentBits of a block's exponent
 * @param exponentBias exponents reach from {@code -exponentBias} to {@code 2^exponentBits - 1 - exponentBias}
 */
public record BlockFloatFormat(int bits, List<Integer> blockSize, int exponentBits, int exponentBias)
        implements NumberFormat {
    private static final float OFFSET = 1e-9f;
    private static final float UNTOUCHED = 1e-8f;
    private static final int UNTOUCHED_BITS = Float.floatToRawIntBits(UNTOUCHED);
    private static final int LARGEST_FINITE_BITS = 0x7f7fffff;
    private static final int MAGNITUDE = 0x7fffffff;
    /** Adding and subtracting it rounds magnitudes below it to whole numbers, half to even. */
    private static final float WHOLE = 0x1p23f;

    public BlockFloatFormat {
        blockSize = List.copyOf(blockSize);
        if (bits < 2 || bits > 23 || exponentBits < 1 || exponentBits > 8) {
            throw new IllegalArgumentException("no such format: " + bits + " bits, " + exponentBits + " exponent bits");
        }
    }

    /** The exponent range centred as in LQER. */
    public static int defaultBias(int exponentBits) {
        return (1 << (exponentBits - 1)) - 1;
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand, boolean skipFirst) {
        Blocks blocks = blocks(shape, operand, skipFirst);
        AtomicInteger smallest = new AtomicInteger(Integer.MAX_VALUE);
        AtomicInteger zeroBlocks = new AtomicInteger();
        blocks.rewrite(values, () -> new Kernel(blocks, smallest, zeroBlocks));
        // LQER gives an all-zero block the smallest maximum there is: where even that is beyond the range, so is zero
        if (zeroBlocks.get() > 0
                && smallest.get() <= LARGEST_FINITE_BITS
                && exponent(smallest.get()) > Float.MAX_EXPONENT) {
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

    private Blocks blocks(Shape shape, Operand operand, boolean skipFirst) {
        List<Integer> size = blockSize;
        if (operand.heldTransposed() && size.size() == 2) {
            size = new ArrayList<>(size);
            Collections.reverse(size);
        }
        return Blocks.over(shape.getShape(), size, skipFirst);
    }

    private int exponent(int maximumBits) {
        int lowest = -exponentBias;
        int highest = (1 << exponentBits) - 1 - exponentBias;
        return Math.min(Math.max(Log2.ceil(maximumBits), lowest), highest);
    }

    /** Rounds one row of blocks; the maxima first, so that memory is read row by row whatever the block. */
    private final class Kernel implements Blocks.StripKernel {
        private final int columns;
        private final int blockColumns;
        private final int mantissaBits = bits - 1;
        private final float largestCode = (1 << mantissaBits) - 1;
        private final AtomicInteger smallest;
        private final AtomicInteger zeroBlocks;
        private final int[] maxima;
        private final float[] inverse;
        private final float[] step;

        Kernel(Blocks blocks, AtomicInteger smallest, AtomicInteger zeroBlocks) {
            this.columns = blocks.columns();
            this.blockColumns = blocks.blockColumns();
            this.smallest = smallest;
            this.zeroBlocks = zeroBlocks;
            maxima = new int[blocks.across()];
            inverse = new float[blocks.across()];
            step = new float[blocks.across()];
        }

        @Override
        public void apply(float[] values, int at, int rows) {
            for (int block = 0; block < maxima.length; block++) {
                maxima[block] = 0;
            }
            for (int row = 0; row < rows; row++) {
                int start = at + row * columns;
                for (int block = 0, from = 0; from < columns; block++, from += blockColumns) {
                    int to = Math.min(columns, from + blockColumns);
                    maxima[block] = maximum(values, start + from, start + to, maxima[block]);
                }
            }
            chooseSteps();
            for (int row = 0; row < rows; row++) {
                int start = at + row * columns;
                for (int block = 0, from = 0; from < columns; block++, from += blockColumns) {
                    int to = Math.min(columns, from + blockColumns);
                    if (inverse[block] > 0) {
                        roundRun(values, start + from, start + to, inverse[block], step[block]);
                    } else if (maxima[block] > UNTOUCHED_BITS || inverse[block] != 0) {
                        roundSlowly(values, start + from, start + to, maxima[block]);
                    }
                }
            }
        }

        private static int maximum(float[] values, int from, int to, int start) {
            int maximum = start;
            for (int i = from; i < to; i++) {
                maximum = Math.max(maximum, Float.floatToRawIntBits(values[i]) & MAGNITUDE);
            }
            return maximum;
        }

        /** Sets {@code inverse} to 2^(m - e), to 0 where nothing changes, or to -1 where the fast way is not exact. */
        private void chooseSteps() {
            int seenSmallest = Integer.MAX_VALUE;
            for (int block = 0; block < maxima.length; block++) {
                int maximum = maxima[block];
                if (maximum == 0) {
                    zeroBlocks.lazySet(1);
                    inverse[block] = 0;
                    continue;
                }
                seenSmallest = Math.min(seenSmallest, maximum);
                int exponent = maximum > LARGEST_FINITE_BITS ? 128 : exponent(maximum);
                if (maximum <= UNTOUCHED_BITS && exponent <= Float.MAX_EXPONENT) {
                    inverse[block] = 0;
                } else if (exponent >= mantissaBits - 126 && exponent <= Float.MAX_EXPONENT) {
                    inverse[block] = Math.scalb(1f, mantissaBits - exponent);
                    step[block] = Math.scalb(1f, exponent - mantissaBits);
                } else {
                    inverse[block] = -1;
                }
            }
            if (seenSmallest < smallest.get()) {
                smallest.accumulateAndGet(seenSmallest, Math::min);
            }
        }

        private void roundRun(float[] values, int from, int to, float inverse, float step) {
            for (int i = from; i < to; i++) {
                float value = values[i];
                float magnitude = Math.abs(value);
                if (magnitude > UNTOUCHED) {
                    float scaled = Math.min((magnitude + OFFSET) * inverse, largestCode);
                    float code = (scaled + WHOLE) - WHOLE;
                    int sign = Float.floatToRawIntBits(value) & ~MAGNITUDE;
                    values[i] = Float.intBitsToFloat(Float.floatToRawIntBits(code * step) | sign);
                }
            }
        }

        /** LQER's arithmetic step by step, where powers of two leave the normal range. */
        private void roundSlowly(float[] values, int from, int to, int maximum) {
            int exponent = maximum > LARGEST_FINITE_BITS ? 128 : exponent(maximum);
            float scale = (float) Math.scalb(1.0, exponent);
            float codes = 1 << mantissaBits;
            for (int i = from; i < to; i++) {
                float magnitude = Math.abs(values[i]);
                if (exponent > Float.MAX_EXPONENT) {
                    values[i] = Float.NaN;
                } else if (magnitude > UNTOUCHED) {
                    float code = (float) Math.rint((magnitude + OFFSET) / scale * codes);
                    values[i] = Math.copySign(scale * (Math.min(code, largestCode) / codes), values[i]);
                }
            }
        }
    }
}
