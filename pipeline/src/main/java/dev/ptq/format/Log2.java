package dev.ptq.format;

/**
 * The integer part of a base-2 logarithm in single precision: {@code log2} is rounded to float32 first, so a value a
 * few steps from a power of two counts as that power. LQER's formats depend on it.
 */
final class Log2 {
    /** For each biased exponent, how many float32 steps above its power of two still have that logarithm. */
    private static final int[] STEPS_ABOVE = new int[256];
    /** For each biased exponent, the first mantissa whose logarithm is that of the next power of two. */
    private static final int[] FIRST_BELOW = new int[255];

    static {
        for (int biased = 1; biased < 255; biased++) {
            int exponent = biased - 127;
            int above = 0;
            while (rounded(exponent, above + 1) == exponent) {
                above++;
            }
            int below = 1 << 23;
            while (rounded(exponent, below - 1) == exponent + 1) {
                below--;
            }
            STEPS_ABOVE[biased] = above;
            FIRST_BELOW[biased] = below;
        }
    }

    private Log2() {}

    /** Returns float32 of {@code log2(2^exponent (1 + mantissa 2^-23))}. */
    private static float rounded(int exponent, int mantissa) {
        double beyond = mantissa < 1 << 22
                ? Math.log1p(mantissa * 0x1p-23) / Math.log(2)
                : 1 + Math.log1p((mantissa - (1 << 23)) * 0x1p-24) / Math.log(2);
        return (float) (exponent + beyond);
    }

    /** Returns the ceiling; {@code bits} are those of a positive, finite float32. */
    static int ceil(int bits) {
        return bits >>> 23 == 0 ? ofSubnormal(bits, true) : biasedCeil(bits) - 127;
    }

    /**
     * Returns the ceiling plus 127 of a normal number, and 255 or 256 for the bits of an infinity or NaN without sign.
     */
    static int biasedCeil(int bits) {
        int biased = bits >>> 23;
        return biased + ((bits & 0x7fffff) > STEPS_ABOVE[biased] ? 1 : 0);
    }

    /** Returns the floor; {@code bits} are those of a positive, finite float32. */
    static int floor(int bits) {
        int biased = bits >>> 23;
        if (biased == 0) {
            return ofSubnormal(bits, false);
        }
        return biased - 127 + ((bits & 0x7fffff) >= FIRST_BELOW[biased] ? 1 : 0);
    }

    private static int ofSubnormal(int bits, boolean ceiling) {
        // the same value with the leading bit in place, 24 binades up
        int normal = Float.floatToRawIntBits(Float.intBitsToFloat(bits) * 0x1p24f);
        double beyond = rounded((normal >>> 23) - 127 - 24, normal & 0x7fffff);
        return (int) (ceiling ? Math.ceil(beyond) : Math.floor(beyond));
    }
}
