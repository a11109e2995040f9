package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Small floating point numbers with subnormals and without infinities. Bit for bit the {@code minifloat} of LQER (ICML
 * 2024): the mantissa is clamped, not carried into the next binade, and magnitudes up to 1e-8 stay unrounded.
 *
 * @param bits sign, exponent and mantissa together
 * @param exponentBits of these
 * @param exponentBias exponents reach from {@code -exponentBias}, the subnormal one, to {@code 2^exponentBits - 1 -
 *     exponentBias}
 */
public record MinifloatFormat(int bits, int exponentBits, int exponentBias) implements GridFormat {
    /** The name in configs. */
    static final String NAME = "minifloat";

    private static final float OFFSET = 1e-9f;
    private static final float UNTOUCHED = 1e-8f;

    public MinifloatFormat {
        if (exponentBits < 1 || exponentBits > 8 || bits <= exponentBits || bits > 24) {
            throw new IllegalArgumentException("no such format: " + bits + " bits, " + exponentBits + " exponent bits");
        }
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand) {
        Blocks.rows(shape).rewrite(values, layout -> (strip, tile, at, rows) -> {
            for (int i = at; i < at + rows * layout.columns(); i++) {
                tile[i] = rounded(tile[i]);
            }
        });
    }

    @Override
    public Encoding fit(FloatBuffer values, Shape shape, Operand operand) {
        round(values, shape, operand);
        return new MinifloatEncoding(this, shape);
    }

    @Override
    public Blocks blocks(Shape shape, Operand operand) {
        return Blocks.one(shape);
    }

    @Override
    public Encoding read(Shape shape, Operand operand, Parts parts) {
        return new MinifloatEncoding(this, shape);
    }

    @Override
    public Map<String, Object> table() {
        Map<String, Object> table = new LinkedHashMap<>();
        table.put(Formats.FORMAT, NAME);
        table.put("bits", bits);
        table.put("exponent_bits", exponentBits);
        table.put("exponent_bias", exponentBias);
        return table;
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        return (double) bits * shape.size();
    }

    /** Returns one value rounded. */
    float rounded(float value) {
        float magnitude = Math.abs(value);
        if (magnitude <= UNTOUCHED || Float.isNaN(value)) {
            return value;
        }
        int lowest = -exponentBias;
        int highest = (1 << exponentBits) - 1 - exponentBias;
        int logarithm = Float.isInfinite(magnitude) ? highest : Log2.floor(Float.floatToRawIntBits(magnitude + OFFSET));
        int exponent = Math.min(Math.max(logarithm, lowest), highest);
        float scale = scale(exponent);
        float codes = mantissas();
        float scaled = magnitude / scale * codes;
        boolean subnormal = exponent == lowest;
        float code = clamped(subnormal ? scaled / 2 : scaled - codes, codes);
        return Math.copySign(value(scale, subnormal, code), value);
    }

    private static float clamped(float scaled, float codes) {
        return Math.min(Math.max((float) Math.rint(scaled), 0), codes - 1);
    }

    /** Returns how many mantissas an exponent has. */
    int mantissas() {
        return 1 << (bits - exponentBits - 1);
    }

    static float scale(int exponent) {
        return (float) Math.scalb(1.0, exponent);
    }

    /**
     * Returns the magnitude of a mantissa, a whole number from 0.
     *
     * @param scale of its exponent
     * @param subnormal whether that is the lowest exponent
     */
    float value(float scale, boolean subnormal, float mantissa) {
        float codes = mantissas();
        return subnormal ? scale * (2 * mantissa / codes) : scale * (1 + mantissa / codes);
    }
}
