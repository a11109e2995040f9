package dev.ptq.format;

import java.util.Locale;

/**
 * The element types of the OCP Microscaling Formats (MX) specification 1.0, and their rounding. Besides the small
 * floating point numbers these are fixed point numbers of 8 bits, {@link #INT8}: numbers with a single exponent.
 *
 * <p>With {@code m} mantissa bits, the code of a magnitude is {@code (exponent - minExponent) 2^m + mantissa}, the
 * mantissa including its leading bit; the sign is the highest bit, or that of two's complement for {@link #INT8}.
 */
public enum SmallFloat {
    /** 4 exponent bits, 3 mantissa bits, one code for NaN, no infinity. */
    E4M3(8, 3, -6, 8, 448f, 0x7f),
    /** 5 exponent bits, 2 mantissa bits, NaN and infinity. */
    E5M2(8, 2, -14, 15, 57344f, 0x7f),
    /** 3 exponent bits, 2 mantissa bits, numbers only. */
    E3M2(6, 2, -2, 4, 28f, 0),
    /** 2 exponent bits, 3 mantissa bits, numbers only. */
    E2M3(6, 3, 0, 2, 7.5f, 0),
    /** 2 exponent bits, 1 mantissa bit, numbers only. */
    E2M1(4, 1, 0, 2, 6f, 0),
    /** 64ths from -127 to 127. */
    INT8(8, 6, 0, 0, 127 / 64f, 0);

    /** The rounding of values halfway between two numbers; or of all. */
    public enum Ties {
        /** To the even code. */
        EVEN,
        /** Away from zero. */
        AWAY,
        /** All values go towards zero, wherever they lie. */
        TRUNC
    }

    private static final float SPLIT = (1 << 23) + 1;
    /** Multiplied by this, 2^-24 of any step exceeds 1: a comparison without a branch. */
    private static final float STEEP = 0x1p100f;
    /** The float32 number below 1. */
    private static final float BELOW_ONE = 0x1.fffffep-1f;

    private final int bits;
    private final int mantissaBits;
    private final int minExponent;
    private final int maxExponent;
    private final float largest;
    private final int nanCode;
    /** The value of each code. */
    @SuppressWarnings("ImmutableEnumChecker") // never handed out, never changed
    private final float[] values;

    SmallFloat(int bits, int mantissaBits, int minExponent, int maxExponent, float largest, int nanCode) {
        this.bits = bits;
        this.mantissaBits = mantissaBits;
        this.minExponent = minExponent;
        this.maxExponent = maxExponent;
        this.largest = largest;
        this.nanCode = nanCode;
        values = new float[1 << bits];
        for (int code = 0; code < values.length; code++) {
            values[code] = decoded(code);
        }
    }

    /** Returns the name in format names. */
    String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Returns the bits of a code. */
    int bits() {
        return bits;
    }

    /** Returns the mantissa bits behind the leading one. */
    int mantissaBits() {
        return mantissaBits;
    }

    /** Returns the exponent of the largest number. */
    int maxExponent() {
        return maxExponent;
    }

    /** Returns the largest number. */
    float largest() {
        return largest;
    }

    /**
     * Returns whether codes are in two's complement, as those of fixed point numbers are: beside the sign they have a
     * bit for the whole part. Otherwise the highest bit is the sign.
     */
    boolean isTwosComplement() {
        return bits - 1 - mantissaBits == 1;
    }

    /** Returns the number added to a rounded value, so that a negative zero without a code becomes zero. */
    float addedZero() {
        return isTwosComplement() ? 0f : -0f;
    }

    /** Returns the power of two below which all numbers have one step. */
    float leastBinade() {
        return Math.scalb(1f, minExponent);
    }

    /** Returns the step of numbers from 1 to 2, if the exponent has such numbers. */
    float fraction() {
        return Math.scalb(1f, -mantissaBits);
    }

    /**
     * Returns the number nearest to a value, the largest for those beyond. NaN stays.
     *
     * @param ties for values halfway between two numbers
     */
    float round(float value, Ties ties) {
        float magnitude = Math.min(Math.abs(value), largest);
        float step = step(magnitude, leastBinade(), fraction());
        float rounded = switch (ties) {
            case EVEN -> toEven(magnitude, step);
            case AWAY -> away(magnitude, step);
            case TRUNC -> towardsZero(magnitude, step);
        };
        return Math.copySign(rounded, value) + addedZero();
    }

    /**
     * Returns the step at a magnitude of at most 2^104. The power of two below it is found by float32 arithmetic alone,
     * so that loops are vectorized: Rump, Ogita and Oishi, Accurate floating-point summation, part I (2008), section 3.
     *
     * @param leastBinade see {@link #leastBinade}
     * @param fraction see {@link #fraction}
     */
    static float step(float magnitude, float leastBinade, float fraction) {
        float scaled = SPLIT * magnitude;
        float binade = Math.abs(scaled - BELOW_ONE * scaled);
        return Math.max(binade, leastBinade) * fraction;
    }

    /** Returns the nearest multiple of the step, the even one of two. */
    static float toEven(float magnitude, float step) {
        float shift = RowKernels.WHOLE * step;
        return (magnitude + shift) - shift;
    }

    /** Returns the nearest multiple of the step, the larger of two. */
    static float away(float magnitude, float step) {
        float even = toEven(magnitude, step);
        // what was cut off is at most half a step; short of that it is below by 2^-24 of a step at least
        float excess = (magnitude - even) * 2 - BELOW_ONE * step;
        return even + Math.min(1, Math.max(0, excess * STEEP)) * step;
    }

    /** Returns the largest multiple of the step up to the magnitude. */
    static float towardsZero(float magnitude, float step) {
        float even = toEven(magnitude, step);
        // what rounding up has added is at least 2^-24 of a step
        float wentUp = Math.min(1, Math.max(0, (even - magnitude) * STEEP));
        return even - wentUp * step;
    }

    /** Returns the code of one of the numbers, or of NaN; 0 for NaN if there is no such code. */
    int code(float number) {
        if (Float.isNaN(number)) {
            return nanCode;
        }
        float magnitude = Math.abs(number);
        int exponent = Math.max(Math.getExponent(magnitude), minExponent);
        // times a power of two
        int steps = (int) (magnitude * Float.intBitsToFloat((Float.MAX_EXPONENT + mantissaBits - exponent) << 23));
        int code = ((exponent - minExponent) << mantissaBits) + steps;
        if (Float.floatToRawIntBits(number) >= 0) {
            return code;
        }
        return isTwosComplement() ? -code : code | 1 << (bits - 1);
    }

    /** Returns the value of a code; in two's complement codes may be negative. */
    public float value(int code) {
        return values[code & (values.length - 1)];
    }

    private float decoded(int code) {
        int sign = 1 << (bits - 1);
        if (isTwosComplement()) {
            return (code < sign ? code : code - 2 * sign) * fraction();
        }
        int magnitude = code & (sign - 1);
        int mantissas = 1 << mantissaBits;
        int exponent = Math.max(magnitude >> mantissaBits, 1);
        int steps = magnitude < mantissas ? magnitude : mantissas + (magnitude & (mantissas - 1));
        float value = Math.scalb((float) steps, exponent - 1 + minExponent - mantissaBits);
        if (value > largest) {
            value = steps == mantissas ? Float.POSITIVE_INFINITY : Float.NaN;
        }
        return code < sign ? value : -value;
    }
}
