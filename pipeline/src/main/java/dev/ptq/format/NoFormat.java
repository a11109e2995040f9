package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import java.nio.FloatBuffer;
import java.util.Map;
import java.util.Optional;

/** No format: values stay in float32. */
public record NoFormat() implements NumberFormat {
    /** The name in configs. */
    static final String NAME = "none";

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand) {}

    @Override
    public Optional<Grid> fit(NDArray values, Operand operand) {
        return Optional.empty();
    }

    @Override
    public Map<String, Object> table() {
        return Map.of(Formats.FORMAT, NAME);
    }

    @Override
    public NDArray differentiable(NDArray values, Operand operand) {
        return values.add(0);
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        return 32.0 * shape.size();
    }

    @Override
    public int bits() {
        return Short.SIZE;
    }

    @Override
    public boolean isNone() {
        return true;
    }
}
