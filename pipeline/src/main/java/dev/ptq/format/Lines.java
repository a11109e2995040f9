package dev.ptq.format;

/**
 * What kernels share that work on whole rows. Their loops have no branches and no bit patterns, start at index 0 and take
 * a scale per column rather than per block: so written, the compiler turns them into vector instructions.
 */
final class Lines {
    /** Adding and subtracting it rounds magnitudes up to 2^22 to whole numbers, half to even. */
    static final float WHOLE = 0x1.8p23f;

    /** Clears the sign, which a NaN may have too. */
    private static final int MAGNITUDE = 0x7fffffff;

    private Lines() {}

    /** The bits of the largest magnitude: they compare as the magnitudes do, NaN above all; four maxima side by side, since one alone waits for itself. */
    static int largestBits(float[] magnitudes, int from, int to) {
        int a = 0;
        int b = 0;
        int c = 0;
        int d = 0;
        int i = from;
        for (; i + 3 < to; i += 4) {
            a = Math.max(a, Float.floatToRawIntBits(magnitudes[i]) & MAGNITUDE);
            b = Math.max(b, Float.floatToRawIntBits(magnitudes[i + 1]) & MAGNITUDE);
            c = Math.max(c, Float.floatToRawIntBits(magnitudes[i + 2]) & MAGNITUDE);
            d = Math.max(d, Float.floatToRawIntBits(magnitudes[i + 3]) & MAGNITUDE);
        }
        for (; i < to; i++) {
            a = Math.max(a, Float.floatToRawIntBits(magnitudes[i]) & MAGNITUDE);
        }
        return Math.max(Math.max(a, b), Math.max(c, d));
    }
}
