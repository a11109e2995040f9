package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import java.nio.FloatBuffer;
import java.util.List;

/**
 * Fixed point numbers: integers times a given power of two. Bit for bit the {@code integer} of LQER (ICML 2024), which
 * derives no scale from the data.
 *
 * @param bits of a value, sign included
 * @param fractionBits after the point; may be negative, or more than {@code bits}
 * @param signed two's complement, or from zero up
 */
public record FixedPointFormat(int bits, int fractionBits, boolean signed) implements NumberFormat {
    public FixedPointFormat {
        if (bits < 1 || bits > 31 || Math.abs(fractionBits) > 64) {
            throw new IllegalArgumentException(
                    "no such format: " + bits + " bits, " + fractionBits + " after the point");
        }
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand, boolean skipFirst) {
        Blocks blocks = Blocks.over(shape.getShape(), List.of(1, -1), false);
        float scale = Math.scalb(1f, fractionBits);
        float lowest = signed ? -Math.scalb(1f, bits - 1) : 0;
        float highest = (float) (Math.scalb(1.0, signed ? bits - 1 : bits) - 1);
        blocks.rewrite(values, () -> (tile, at, rows) -> {
            for (int i = at; i < at + rows * blocks.columns(); i++) {
                float code = (float) Math.rint(tile[i] * scale);
                tile[i] = Math.min(Math.max(code, lowest), highest) / scale;
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
}
