package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import dev.ptq.weights.RawTensor;
import java.nio.FloatBuffer;
import java.util.Map;

/** Minifloats: sign, exponent and mantissa from the highest bit of a code down; blocks share nothing. */
record MinifloatEncoding(MinifloatFormat format, Shape shape) implements Encoding {
    @Override
    public int bits() {
        return format.bits();
    }

    @Override
    public boolean signed() {
        return false;
    }

    @Override
    public void round(FloatBuffer values) {
        format.round(values, shape, Operand.WEIGHT);
    }

    private int mantissaBits() {
        return bits() - 1 - format.exponentBits();
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
        int sign = Float.floatToIntBits(rounded) >>> 31;
        double magnitude = Math.abs(rounded);
        int lowest = -format.exponentBias();
        int most = (1 << format.exponentBits()) - 1;
        // numbers below the second exponent have its step
        int biased = Math.min(Math.max(Math.getExponent(magnitude) - lowest, 0), most);
        double steps = magnitude * Math.scalb((double) format.mantissas(), -(lowest + Math.max(biased, 1)));
        int mantissa = (int) Math.rint(biased == 0 ? steps : steps - format.mantissas());
        return sign << (bits() - 1)
                | biased << mantissaBits()
                | Math.min(Math.max(mantissa, 0), format.mantissas() - 1);
    }

    @Override
    public float value(int code, int index) {
        int biased = code >> mantissaBits() & ((1 << format.exponentBits()) - 1);
        int mantissa = code & (format.mantissas() - 1);
        float magnitude = format.value(MinifloatFormat.scale(biased - format.exponentBias()), biased == 0, mantissa);
        return code >>> (bits() - 1) == 1 ? -magnitude : magnitude;
    }

    @Override
    public Map<String, RawTensor> parts() {
        return Map.of();
    }
}
