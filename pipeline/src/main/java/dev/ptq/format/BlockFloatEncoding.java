package dev.ptq.format;

import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Map;

/**
 * Block floating point: one exponent per block. The lowest two's-complement code, which is no mantissa, is the negative
 * zero.
 */
final class BlockFloatEncoding implements Encoding {
    private static final String EXPONENT = "exponent";

    private final BlockFloatFormat format;
    private final Blocks blocks;
    private final int[] exponents;

    /**
     * Makes an encoding.
     *
     * @param exponents of blocks, each one that the format has, or {@link BlockFloatFormat#NAN}
     */
    BlockFloatEncoding(BlockFloatFormat format, Blocks blocks, int[] exponents) {
        this.format = format;
        this.blocks = blocks;
        this.exponents = exponents;
    }

    /** Returns the type of exponents: a byte, unless all 256 exponents are those of numbers. */
    private static StoredType exponentType(BlockFloatFormat format) {
        return highestBiased(format) < 255 ? StoredType.U8 : StoredType.I32;
    }

    /** Returns the stand-in for the exponent of a block that is not a number. */
    private static int biasedNan(BlockFloatFormat format) {
        return Math.max(255, highestBiased(format) + 1);
    }

    /** Returns the highest biased exponent of a number. */
    private static int highestBiased(BlockFloatFormat format) {
        return Math.min(format.highestExponent(), Float.MAX_EXPONENT) + format.exponentBias();
    }

    static BlockFloatEncoding read(BlockFloatFormat format, Blocks blocks, Parts parts) throws IOException {
        StoredType type = exponentType(format);
        ByteBuffer biased = parts.require(EXPONENT, type, blocks.strips(), blocks.across());
        int[] exponents = new int[Math.toIntExact(blocks.count())];
        for (int i = 0; i < exponents.length; i++) {
            int found = type == StoredType.U8 ? biased.get(i) & 0xff : biased.getInt(4 * i);
            boolean isNan = found == biasedNan(format);
            if (!isNan && (found < 0 || found > highestBiased(format))) {
                throw parts.wrong(EXPONENT, "from 0 to " + highestBiased(format), found + " at " + i);
            }
            exponents[i] = isNan ? BlockFloatFormat.NAN : found - format.exponentBias();
        }
        return new BlockFloatEncoding(format, blocks, exponents);
    }

    @Override
    public int bits() {
        return format.bits();
    }

    @Override
    public boolean signed() {
        return true;
    }

    @Override
    public int[] exponents() {
        return exponents.clone();
    }

    @Override
    public void round(FloatBuffer values) {
        boolean isOne = exponents.length == 1;
        SmallestBlock unused = new SmallestBlock(format);
        blocks.asRowsIfOne().rewrite(values, layout -> {
            BlockFloatKernel kernel = new BlockFloatKernel(format, layout, unused);
            if (isOne) {
                kernel.set(exponents[0]);
            }
            return (strip, tile, at, rows) -> {
                if (!isOne) {
                    kernel.load(strip, exponents);
                }
                RowKernels.spoil(tile, at, rows * layout.columns());
                kernel.round(tile, at, rows);
            };
        });
    }

    @Override
    public float rounded(float value, int index) {
        return format.rounded(value, exponents[blocks.blockOf(index)]);
    }

    @Override
    public void take(Encoding other, int from, int to) {
        exponents[to] = ((BlockFloatEncoding) other).exponents[from];
    }

    @Override
    public int code(float rounded, int index) {
        double step = Math.scalb(1.0, exponents[blocks.blockOf(index)] - format.stepsBelow());
        int mantissa = (int) Math.min(Math.rint(Math.abs(rounded) / step), format.largestCode());
        if (Float.floatToIntBits(rounded) >= 0) {
            return mantissa;
        }
        return mantissa == 0 ? negativeZero() : -mantissa;
    }

    @Override
    public float value(int code, int index) {
        int exponent = exponents[blocks.blockOf(index)];
        if (exponent == BlockFloatFormat.NAN) {
            return Float.NaN;
        }
        return code == negativeZero() ? -0f : format.value(code, exponent);
    }

    private int negativeZero() {
        return -(1 << (bits() - 1));
    }

    @Override
    public Map<String, RawTensor> parts() {
        int[] biased = new int[exponents.length];
        Arrays.setAll(
                biased,
                i -> exponents[i] == BlockFloatFormat.NAN ? biasedNan(format) : exponents[i] + format.exponentBias());
        RawTensor stored = exponentType(format) == StoredType.U8
                ? RawTensor.ofBytes(biased, blocks.strips(), blocks.across())
                : RawTensor.of(biased, blocks.strips(), blocks.across());
        return Map.of(EXPONENT, stored);
    }
}
