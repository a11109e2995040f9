package dev.ptq.tensor;

/** Numbers of IEEE 754 binary16, for which Java 17 has no type. */
public final class HalfFloats {
    private HalfFloats() {}

    /** Converts to binary32; exact. */
    public static float toFloat(short half) {
        int sign = (half & 0x8000) << 16;
        int exponent = (half >>> 10) & 0x1f;
        int mantissa = half & 0x3ff;
        if (exponent == 0) {
            float magnitude = mantissa * 0x1p-24f;
            return sign == 0 ? magnitude : -magnitude;
        }
        int bits = exponent == 31 ? 0x7f800000 : (exponent + 112) << 23;
        return Float.intBitsToFloat(sign | bits | (mantissa << 13));
    }
}
