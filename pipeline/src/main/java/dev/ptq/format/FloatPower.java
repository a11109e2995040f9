package dev.ptq.format;

/**
 * A power of float32 magnitudes, to a relative error of 1e-11: several times as fast as {@link Math#pow}, on which
 * searches would spend most of their time. The power of the mantissa is interpolated in a table, that of the exponent
 * is looked up.
 */
final class FloatPower {
    private static final int MANTISSA_BITS = 23;
    private static final int TABLE_BITS = 11;
    private static final int REST_BITS = MANTISSA_BITS - TABLE_BITS;
    private static final int REST = (1 << REST_BITS) - 1;
    private static final int SPECIAL = 255;
    private static final int BIAS = 127;

    private final double exponent;
    /** Of 2^(i - 127). */
    private final double[] ofExponents = new double[SPECIAL];
    /** For each part of [1, 2): value, first and second coefficient of a parabola over its places in [0, 1). */
    private final double[] parabolas = new double[3 << TABLE_BITS];

    FloatPower(double exponent) {
        this.exponent = exponent;
        for (int i = 1; i < SPECIAL; i++) {
            ofExponents[i] = Math.pow(2, exponent * (i - BIAS));
        }
        int parts = 1 << TABLE_BITS;
        for (int i = 0; i < parts; i++) {
            double left = Math.pow(1 + (double) i / parts, exponent);
            double middle = Math.pow(1 + (i + 0.5) / parts, exponent);
            double right = Math.pow(1 + (i + 1.0) / parts, exponent);
            parabolas[3 * i] = left;
            parabolas[3 * i + 1] = 4 * middle - 3 * left - right;
            parabolas[3 * i + 2] = 2 * (left + right) - 4 * middle;
        }
    }

    /** Returns the power of a number without sign. */
    double of(float magnitude) {
        int bits = Float.floatToRawIntBits(magnitude);
        int place = bits >> MANTISSA_BITS;
        if (place <= 0 || place >= SPECIAL) {
            return Math.pow(magnitude, exponent);
        }
        int mantissa = bits & ((1 << MANTISSA_BITS) - 1);
        int at = 3 * (mantissa >> REST_BITS);
        double rest = (mantissa & REST) * (1.0 / (REST + 1));
        return ofExponents[place] * (parabolas[at] + rest * (parabolas[at + 1] + rest * parabolas[at + 2]));
    }
}
