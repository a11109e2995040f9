package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * MXINT: sign-and-mantissa integers that share one power of two per block. A block with a NaN or an infinity becomes
 * NaN.
 *
 * @param bits of a value, sign included
 * @param blockSize rows and columns that share an exponent, or columns alone; -1 is the whole dimension
 * @param exponentBits of a block's exponent
 * @param exponentBias exponents reach from {@code -exponentBias} to {@code 2^exponentBits - 1 - exponentBias}
 */
public record BlockFloatFormat(
        int bits, List<Integer> blockSize, int exponentBits, int exponentBias, ExponentRounding exponentRounding)
        implements OneScaleFormat {
    /** The rule that turns the logarithm of a block's largest magnitude into its exponent. */
    public enum ExponentRounding {
        /**
         * Up, and mantissas are fractions. Bit for bit the {@code block_fp} of LQER (ICML 2024), its emulation
         * artefacts included: 1e-9 is added to magnitudes, magnitudes up to 1e-8 stay unrounded, a block whose largest
         * magnitude is exactly a power of two loses it to the clamp, and a block with a magnitude above 2^127 becomes
         * NaN.
         */
        CEIL,
        /**
         * Down, and mantissas have one bit before the point; larger values are clamped to the largest. The rule of the
         * OCP Microscaling Formats (MX) specification 1.0, and of QERA (ICLR 2025).
         */
        FLOOR
    }

    /** The name in configs. */
    static final String NAME = "mxint";
    /** Magnitudes up to this stay unrounded where exponents are rounded up, as in LQER's code. */
    static final float UNTOUCHED = 1e-8f;
    /** Added to magnitudes there before they are rounded. */
    static final float OFFSET = 1e-9f;
    /** The exponent of a block that is not a number. */
    static final int NAN = Float.MAX_EXPONENT + 1;

    static final int LARGEST_FINITE_BITS = 0x7f7fffff;

    public BlockFloatFormat {
        blockSize = List.copyOf(blockSize);
        if (bits < 2 || bits > 23 || exponentBits < 1 || exponentBits > 8) {
            throw new IllegalArgumentException("no such format: " + bits + " bits, " + exponentBits + " exponent bits");
        }
    }

    /** Makes the format of LQER. */
    public BlockFloatFormat(int bits, List<Integer> blockSize, int exponentBits, int exponentBias) {
        this(bits, blockSize, exponentBits, exponentBias, ExponentRounding.CEIL);
    }

    /** Returns the bias that centres the exponent range as in LQER. */
    public static int defaultBias(int exponentBits) {
        return (1 << (exponentBits - 1)) - 1;
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand) {
        SmallestBlock smallest = new SmallestBlock(this);
        blocks(shape, operand).rewrite(values, layout -> new BlockFloatKernel(this, layout, smallest));
        if (smallest.spoilsAll()) {
            spoil(values);
        }
    }

    private static void spoil(FloatBuffer values) {
        for (int i = 0; i < values.capacity(); i++) {
            values.put(i, Float.NaN);
        }
    }

    @Override
    public BlockFloatEncoding fit(FloatBuffer values, Shape shape, Operand operand) {
        Blocks blocks = blocks(shape, operand);
        int[] exponents = new int[Math.toIntExact(blocks.count())];
        SmallestBlock smallest = new SmallestBlock(this);
        blocks.rewrite(values, layout -> {
            BlockFloatKernel kernel = new BlockFloatKernel(this, layout, smallest);
            return (strip, tile, at, rows) -> {
                kernel.measure(tile, at, rows);
                kernel.store(strip, exponents);
                kernel.round(tile, at, rows);
            };
        });
        if (smallest.spoilsAll()) {
            spoil(values);
            Arrays.fill(exponents, NAN);
        }
        return new BlockFloatEncoding(this, blocks, exponents);
    }

    @Override
    public BlockFloatEncoding within(Blocks blocks, List<Bounds> ranges) {
        int[] exponents = new int[ranges.size()];
        Arrays.setAll(
                exponents,
                block -> blockExponent(Float.floatToRawIntBits(ranges.get(block).largestMagnitude())));
        return new BlockFloatEncoding(this, blocks, exponents);
    }

    @Override
    public boolean isSymmetric() {
        return true;
    }

    @Override
    public BlockFloatEncoding read(Blocks blocks, Parts parts) throws IOException {
        return BlockFloatEncoding.read(this, blocks, parts);
    }

    @Override
    public Optional<String> settingForOneRange() {
        return fromLast(0) == -1 && fromLast(1) == -1 ? Optional.empty() : Optional.of("block_size = [-1, -1]");
    }

    @Override
    public Optional<String> settingForRows() {
        return fromLast(1) == 1 ? Optional.empty() : Optional.of("block_size = [1, 16] or another with one row");
    }

    @Override
    public Map<String, Object> table() {
        Map<String, Object> table = new LinkedHashMap<>();
        table.put(Formats.FORMAT, NAME);
        table.put("bits", bits);
        table.put("block_size", blockSize);
        table.put("exponent_bits", exponentBits);
        table.put("exponent_bias", exponentBias);
        table.put("exponent_rounding", Formats.label(exponentRounding));
        return table;
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        return (double) bits * shape.size()
                + (double) exponentBits * blocks(shape, operand).count();
    }

    @Override
    public boolean roundsSquares(int side) {
        return fromLast(0) > 0 && side % fromLast(0) == 0 && fromLast(1) > 0 && side % fromLast(1) == 0;
    }

    @Override
    public Blocks blocks(Shape shape, Operand operand) {
        List<Integer> size = blockSize;
        if (operand.heldTransposed()) {
            // a missing entry is the whole dimension, even if the other dimension is held last
            size = List.of(fromLast(0), fromLast(1));
        }
        return Blocks.over(shape.getShape(), size);
    }

    private int fromLast(int place) {
        return place < blockSize.size() ? blockSize.get(blockSize.size() - 1 - place) : -1;
    }

    boolean ceil() {
        return exponentRounding == ExponentRounding.CEIL;
    }

    float largestCode() {
        return (1 << (bits - 1)) - 1;
    }

    /** Returns the distance of a block's step from its exponent: {@code step = 2^(exponent - stepsBelow)}. */
    int stepsBelow() {
        return ceil() ? bits - 1 : bits - 2;
    }

    int lowestExponent() {
        return -exponentBias;
    }

    int highestExponent() {
        return (1 << exponentBits) - 1 - exponentBias;
    }

    /** Returns the nearest exponent within range. */
    int clamped(int exponent) {
        return Math.min(Math.max(exponent, lowestExponent()), highestExponent());
    }

    /**
     * Returns the exponent of a block; {@link #NAN} if its values are not numbers. All-zero blocks may have any
     * exponent, and get that of one.
     *
     * @param maximumBits of the block's largest magnitude
     */
    int blockExponent(int maximumBits) {
        if (maximumBits > LARGEST_FINITE_BITS) {
            return NAN;
        }
        if (maximumBits == 0) {
            return clamped(0);
        }
        int exponent = ceil() ? Log2.ceil(maximumBits) : Math.getExponent((double) Float.intBitsToFloat(maximumBits));
        return Math.min(clamped(exponent), NAN);
    }

    /** Returns a value rounded in a block with this exponent. */
    float rounded(float value, int exponent) {
        float magnitude = Math.abs(value);
        if (exponent > Float.MAX_EXPONENT) {
            return Float.NaN;
        }
        if (!ceil()) {
            double code = Math.rint(magnitude / Math.scalb(1.0, exponent - stepsBelow()));
            return Math.copySign(value(Math.min(code, largestCode()), exponent), value);
        }
        if (magnitude <= UNTOUCHED) {
            return value;
        }
        // LQER's arithmetic step by step
        float scale = (float) Math.scalb(1.0, exponent);
        float code = (float) Math.rint((magnitude + OFFSET) / scale * (largestCode() + 1));
        return Math.copySign(value(Math.min(code, largestCode()), exponent), value);
    }

    /** Returns the value of a mantissa, a whole number; rounded once if it is not a normal number. */
    float value(double code, int exponent) {
        return (float) (code * Math.scalb(1.0, exponent - stepsBelow()));
    }
}
