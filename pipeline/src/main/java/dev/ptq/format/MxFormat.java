package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import dev.ptq.config.ConfigTable;
import dev.ptq.format.SmallFloat.Ties;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A format of the OCP Microscaling Formats (MX) specification 1.0: {@code blockSize} neighbours share a power of two
 * {@code 2^E}, and each is {@code 2^E} times an element, {@code round(x / 2^E)} clamped to the largest. E is at least
 * -127 and at most 127. A block with a NaN or an infinity becomes NaN.
 *
 * <p>Blocks lie along the features: the axis that a product sums over, except for the values of attention, where they
 * lie as in a cache. A last block may be shorter.
 *
 * @param element the type of elements
 * @param scaleRule how E follows from a block's largest magnitude
 * @param ties how elements are rounded
 * @param flush whether a block without a normal float32 number becomes zeros
 */
public record MxFormat(SmallFloat element, int blockSize, ScaleRule scaleRule, Ties ties, boolean flush)
        implements GridFormat {
    /**
     * The rule that gives E for the largest magnitude {@code amax} of a block. Below, {@code emax} is the exponent of the
     * largest element.
     */
    public enum ScaleRule {
        /** {@code floor(log2 amax) - emax}: the rule of the specification, of microxcaling and of torchao's FLOOR. */
        FLOOR,
        /** {@code ceil(log2 amax) - emax}: torchao's CEIL. */
        CEIL,
        /** As {@link #FLOOR}, with {@code amax} first rounded half up to the element's mantissa bits: torchao's EVEN. */
        EVEN,
        /** As {@link #EVEN}, with the one mantissa bit of E2M1 for all elements: compressed-tensors. */
        EVEN_E2M1,
        /** The smallest E with {@code 2^E >= amax / max}, the quotient in float32: torchao's RCEIL, cuBLAS. */
        RCEIL
    }

    /** The block size of the specification. */
    static final int BLOCK_SIZE = 32;

    private static final int SCALE_BITS = 8;
    /** The stored scale of a block that is not a number. */
    private static final int NAN = 255;

    private static final int BIAS = 127;
    private static final int INFINITY_BITS = 0x7f800000;
    private static final int FLOAT_MANTISSA_BITS = 23;

    public MxFormat {
        if (blockSize < 1) {
            throw new IllegalArgumentException("expected a block size of at least 1, got " + blockSize);
        }
    }

    /** Makes the format of the specification. */
    public MxFormat(SmallFloat element) {
        this(element, BLOCK_SIZE, ScaleRule.FLOOR, Ties.EVEN, false);
    }

    /** Returns the name in configs. */
    static String name(SmallFloat element) {
        return switch (element) {
            case E4M3, E5M2, E3M2, E2M3 -> "mxfp" + element.bits() + "_" + element.label();
            case E2M1 -> "mxfp4";
            case INT8 -> "mxint8";
        };
    }

    /** Reads the keys besides the name. */
    static MxFormat read(ConfigTable table, SmallFloat element) {
        return new MxFormat(
                element,
                table.read(FormatKeys.MX_BLOCK_SIZE),
                table.read(FormatKeys.SCALE_RULE),
                table.read(FormatKeys.TIES),
                table.read(FormatKeys.FLUSH));
    }

    private SmallFloatKernel.Rounding rounding() {
        return new SmallFloatKernel.Rounding(element, ties, flush, false);
    }

    @Override
    public Blocks blocks(Shape shape, Operand operand) {
        return IntegerFormat.Granularity.GROUP.blocks(shape, operand, blockSize);
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand) {
        Blocks blocks = blocks(shape, operand);
        SmallFloatKernel.fit(
                values, blocks, rounding(), new PowerOfTwo(this), new float[Math.toIntExact(blocks.count())]);
    }

    @Override
    public Encoding fit(FloatBuffer values, Shape shape, Operand operand) {
        Blocks blocks = blocks(shape, operand);
        float[] scales = new float[Math.toIntExact(blocks.count())];
        SmallFloatKernel.fit(values, blocks, rounding(), new PowerOfTwo(this), scales);
        byte[] stored = new byte[scales.length];
        for (int i = 0; i < stored.length; i++) {
            stored[i] = (byte) (Float.isNaN(scales[i]) ? NAN : Math.getExponent(scales[i]) + BIAS);
        }
        return encoding(blocks, scales, RawTensor.of(stored, blocks.strips(), blocks.across()));
    }

    @Override
    public Encoding read(Shape shape, Operand operand, Parts parts) throws IOException {
        Blocks blocks = blocks(shape, operand);
        ByteBuffer stored = parts.require(SmallFloatEncoding.SCALE, StoredType.U8, blocks.strips(), blocks.across());
        float[] scales = new float[Math.toIntExact(blocks.count())];
        byte[] bytes = new byte[scales.length];
        stored.get(0, bytes);
        for (int i = 0; i < scales.length; i++) {
            scales[i] = scaleOf(bytes[i] & 0xff);
        }
        return encoding(blocks, scales, RawTensor.of(bytes, blocks.strips(), blocks.across()));
    }

    private Encoding encoding(Blocks blocks, float[] scales, RawTensor stored) {
        return SmallFloatEncoding.of(rounding(), new PowerOfTwo(this), blocks, scales, stored);
    }

    /** Returns the power of two that a byte stands for. */
    private static float scaleOf(int stored) {
        return stored == NAN ? Float.NaN : Math.scalb(1f, stored - BIAS);
    }

    /** A power of two; NaN if the block is not a number. */
    private record PowerOfTwo(MxFormat format) implements Scaling {
        @Override
        public float stored(int maximumBits) {
            return maximumBits >= INFINITY_BITS ? Float.NaN : scaleOf(format.biasedExponent(maximumBits));
        }

        @Override
        public float scale(float stored) {
            return stored;
        }

        @Override
        public float factor(float stored) {
            return 1 / stored;
        }
    }

    /** Returns E + 127 for the bits of a finite largest magnitude. */
    private int biasedExponent(int maximumBits) {
        int emax = element.maxExponent();
        int biased = switch (scaleRule) {
            case FLOOR -> exponent(maximumBits) - emax;
            case CEIL -> exponent(maximumBits) + (isPowerOfTwo(maximumBits) ? 0 : 1) - emax;
            case EVEN -> exponent(roundedUp(maximumBits, element.mantissaBits())) - emax;
            case EVEN_E2M1 -> exponent(roundedUp(maximumBits, SmallFloat.E2M1.mantissaBits())) - emax;
            case RCEIL -> {
                int quotient = Float.floatToRawIntBits(Float.intBitsToFloat(maximumBits) / element.largest());
                yield exponent(quotient) + (isPowerOfTwo(quotient) ? 0 : 1);
            }
        };
        return Math.min(Math.max(biased, 0), 2 * BIAS);
    }

    /** Returns the exponent + 127 of a float32; 0 or less for subnormal numbers, 255 for the bits of infinity. */
    private static int exponent(int bits) {
        int biased = bits >>> FLOAT_MANTISSA_BITS;
        return biased > 0 ? biased : Integer.SIZE - FLOAT_MANTISSA_BITS - Integer.numberOfLeadingZeros(bits);
    }

    /** Returns whether a float32 is a power of two or zero. */
    private static boolean isPowerOfTwo(int bits) {
        int mantissa = bits & ((1 << FLOAT_MANTISSA_BITS) - 1);
        return bits == mantissa ? Integer.bitCount(mantissa) <= 1 : mantissa == 0;
    }

    /** Returns the bits of a float32 rounded half up to some mantissa bits; those below are arbitrary. */
    private static int roundedUp(int bits, int mantissaBits) {
        return bits + (1 << (FLOAT_MANTISSA_BITS - 1 - mantissaBits));
    }

    @Override
    public boolean roundsSquares(int side) {
        return side % blockSize == 0;
    }

    @Override
    public Map<String, Object> table() {
        Map<String, Object> table = new LinkedHashMap<>();
        table.put(Formats.FORMAT, name(element));
        table.put("block_size", blockSize);
        table.put("scale_rule", Formats.label(scaleRule));
        table.put("ties", Formats.label(ties));
        table.put("flush", flush);
        return table;
    }

    @Override
    public int bits() {
        return element.bits();
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        return (double) element.bits() * shape.size()
                + (double) SCALE_BITS * blocks(shape, operand).count();
    }
}
