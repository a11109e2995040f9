package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import dev.ptq.weights.RawTensor;
import java.nio.FloatBuffer;
import java.util.Map;

/** Fixed point numbers; blocks share nothing. */
record FixedPointEncoding(FixedPointFormat format, Shape shape) implements Encoding {
    @Override
    public int bits() {
        return format.bits();
    }

    @Override
    public boolean signed() {
        return format.signed();
    }

    @Override
    public void round(FloatBuffer values) {
        format.round(values, shape, Operand.WEIGHT);
    }

    @Override
    public float rounded(float value, int index) {
        return format.rounded(value);
    }

    @Override
    public void take(Encoding other, int from, int to) {
        // nothing is shared
    }

    @Override
    public int code(float rounded, int index) {
        long lowest = format.lowestCode();
        long highest = lowest + (1L << bits()) - 1;
        return (int) Math.min(Math.max((long) Math.rint((double) rounded * format.scale()), lowest), highest);
    }

    @Override
    public float value(int code, int index) {
        return FixedPointFormat.value(code, format.scale());
    }

    @Override
    public Map<String, RawTensor> parts() {
        return Map.of();
    }
}
