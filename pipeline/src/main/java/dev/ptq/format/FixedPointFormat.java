package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Fixed point numbers: integers times a given power of two. Bit for bit the {@code integer} of LQER (ICML 2024), which
 * takes no scale from the data.
 *
 * @param bits of a value, sign included
 * @param fractionBits after the point; may be negative, or more than {@code bits}
 * @param signed two's complement, or from zero up
 */
public record FixedPointFormat(int bits, int fractionBits, boolean signed) implements GridFormat {
    /** The name in configs. */
    static final String NAME = "fixed";

    public FixedPointFormat {
        if (bits < 1 || bits > 31 || Math.abs(fractionBits) > 64) {
            throw new IllegalArgumentException(
                    "no such format: " + bits + " bits, " + fractionBits + " after the point");
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

    /** Returns one value rounded. */
    float rounded(float value) {
        float scale = scale();
        float code = (float) Math.rint(value * scale);
        return value(Math.min(Math.max(code, lowestCode()), highestCode()), scale);
    }

    @Override
    public Encoding fit(FloatBuffer values, Shape shape, Operand operand) {
        round(values, shape, operand);
        return new FixedPointEncoding(this, shape);
    }

    @Override
    public Blocks blocks(Shape shape, Operand operand) {
        return Blocks.one(shape);
    }

    @Override
    public Encoding read(Shape shape, Operand operand, Parts parts) {
        return new FixedPointEncoding(this, shape);
    }

    /** Returns the number of codes in a unit. */
    float scale() {
        return Math.scalb(1f, fractionBits);
    }

    int lowestCode() {
        return signed ? -(1 << (bits - 1)) : 0;
    }

    /** Returns the highest code as a float32; above 24 bits it is rounded to a power of two. */
    private float highestCode() {
        return (float) (Math.scalb(1.0, signed ? bits - 1 : bits) - 1);
    }

    static float value(float code, float scale) {
        return code / scale;
    }

    @Override
    public Map<String, Object> table() {
        Map<String, Object> table = new LinkedHashMap<>();
        table.put(Formats.FORMAT, NAME);
        table.put("bits", bits);
        table.put("fraction_bits", fractionBits);
        table.put("signed", signed);
        return table;
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        return (double) bits * shape.size();
    }
}
