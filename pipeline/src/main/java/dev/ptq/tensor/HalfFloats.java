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

    /** Returns the bits of the nearest number, of two the even one; those of infinity beyond the largest. */
    public static short of(float value) {
        int sign = Float.floatToRawIntBits(value) >>> 16 & 0x8000;
        if (Float.isNaN(value)) {
            return (short) (sign | 0x7e00);
        }
        float magnitude = Math.abs(value);
        if (magnitude < 0x1p-14f) {
            // steps of 2^-24 from 0 on; the first beyond them all has the next exponent's bits
            return (short) (sign | (int) Math.rint(magnitude * 0x1p24f));
        }
        int bits = Float.floatToRawIntBits(magnitude);
        int rounded = (bits + 0xfff + (bits >>> 13 & 1)) >>> 13;
        return (short) (sign | Math.min(rounded - (112 << 10), 0x7c00));
    }

    /** Returns the nearest number as {@link #of} finds it. */
    public static float round(float value) {
        return toFloat(of(value));
    }
}
