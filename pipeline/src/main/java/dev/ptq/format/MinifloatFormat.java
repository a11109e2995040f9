package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import java.nio.FloatBuffer;
import java.util.List;

/**
 * Small floating point numbers with subnormals and without infinities. Bit for bit the {@code minifloat} of LQER (ICML
 * 2024): the mantissa is clamped, not carried into the next binade, and magnitudes up to 1e-8 are left alone.
 *
 * @param bits sign, exponent and mantissa together
 * @param exponentBits of these
 * @param exponentBias exponents reach from {@code -exponentBias}, the subnormal one, to {@code 2^exponentBits - 1 -
 *     exponentBias}
 */
public record MinifloatFormat(int bits, int exponentBits, int exponentBias) implements NumberFormat {
    private static final float OFFSET = 1e-9f;
    private static final float UNTOUCHED = 1e-8f;

    public MinifloatFormat {
        if (exponentBits < 1 || exponentBits > 8 || bits <= exponentBits || bits > 24) {
            throw new IllegalArgumentException("no such format: " + bits + " bits, " + exponentBits + " exponent bits");
        }
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand, boolean skipFirst) {
        Blocks blocks = Blocks.over(shape.getShape(), List.of(1, -1), false);
        blocks.rewrite(values, () -> (tile, at, rows) -> {
            for (int i = at; i < at + rows * blocks.columns(); i++) {
                tile[i] = rounded(tile[i]);
            }
        });
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        return (double) bits * shape.size();
    }

    @Override
    public boolean roundsTokensAlone(Operand operand) {
        return true;
    }

    private float rounded(float value) {
        float magnitude = Math.abs(value);
        if (magnitude <= UNTOUCHED || Float.isNaN(value)) {
            return value;
        }
        int lowest = -exponentBias;
        int highest = (1 << exponentBits) - 1 - exponentBias;
        int logarithm = Float.isInfinite(magnitude) ? highest : Log2.floor(Float.floatToRawIntBits(magnitude + OFFSET));
        int exponent = Math.min(Math.max(logarithm, lowest), highest);
        float scale = (float) Math.scalb(1.0, exponent);
        float codes = 1 << (bits - exponentBits - 1);
        float scaled = magnitude / scale * codes;
        if (exponent == lowest) {
            float code = clamped(scaled / 2, codes);
            return Math.copySign(scale * (2 * code / codes), value);
        }
        float code = clamped(scaled - codes, codes);
        return Math.copySign(scale * (1 + code / codes), value);
    }

    private static float clamped(float scaled, float codes) {
        return Math.min(Math.max((float) Math.rint(scaled), 0), codes - 1);
    }
}
