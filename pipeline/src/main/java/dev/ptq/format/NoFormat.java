package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import java.nio.FloatBuffer;

/** Values left in float32. */
public record NoFormat() implements NumberFormat {
    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand, boolean skipFirst) {}

    @Override
    public NDArray differentiable(NDArray values, Operand operand) {
        return values.add(0);
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        return 32.0 * shape.size();
    }

    @Override
    public boolean roundsTokensAlone(Operand operand) {
        return true;
    }

    @Override
    public boolean isNone() {
        return true;
    }
}
