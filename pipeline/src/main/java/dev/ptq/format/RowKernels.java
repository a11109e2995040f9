package dev.ptq.format;

/**
 * What kernels share that work on whole rows. Their loops have no branches and no bit patterns, start at index 0 and take
 * a scale per column rather than per block: so written, the compiler turns them into vector instructions.
 */
final class RowKernels {
    /** Adding and subtracting it rounds magnitudes up to 2^22 to whole numbers, half to even. */
    static final float WHOLE = 0x1.8p23f;

    private RowKernels() {}

    /** The row of {@code count} values that starts at {@code at}, from index 0: itself if it does, else a copy in {@code line}. */
    static float[] row(float[] values, int at, float[] line, int count) {
        if (at == 0) {
            return values;
        }
        System.arraycopy(values, at, line, 0, count);
        return line;
    }

    /** Puts what became of {@link #row} back in its place. */
    static void store(float[] row, float[] values, int at, int count) {
        if (row != values) {
            System.arraycopy(row, 0, values, at, count);
        }
    }

    /** Makes values that are not finite NaN and leaves the others: scales found beforehand would hide them. */
    static void spoil(float[] values, int from, int count) {
        for (int i = from; i < from + count; i++) {
            values[i] += values[i] * 0;
        }
    }

    /**
     * The bits of the largest of several magnitudes, all without sign: bits compare as these do, NaN above all. Four maxima
     * side by side, since one alone waits for itself. A NaN that has a sign is overlooked: {@code Math.abs} takes it away
     * when it is compiled and leaves it while it is interpreted, and to take it away here costs a fifth of all rounding.
     */
    static int largestBits(float[] magnitudes, int from, int to) {
        int a = 0;
        int b = 0;
        int c = 0;
        int d = 0;
        int i = from;
        for (; i + 3 < to; i += 4) {
            a = Math.max(a, Float.floatToRawIntBits(magnitudes[i]));
            b = Math.max(b, Float.floatToRawIntBits(magnitudes[i + 1]));
            c = Math.max(c, Float.floatToRawIntBits(magnitudes[i + 2]));
            d = Math.max(d, Float.floatToRawIntBits(magnitudes[i + 3]));
        }
        for (; i < to; i++) {
            a = Math.max(a, Float.floatToRawIntBits(magnitudes[i]));
        }
        return Math.max(Math.max(a, b), Math.max(c, d));
    }

    /** The largest of several values with either sign, NaN above all. */
    static float largest(float[] values, int from, int to) {
        float a = Float.NEGATIVE_INFINITY;
        float b = a;
        float c = a;
        float d = a;
        int i = from;
        for (; i + 3 < to; i += 4) {
            a = Math.max(a, values[i]);
            b = Math.max(b, values[i + 1]);
            c = Math.max(c, values[i + 2]);
            d = Math.max(d, values[i + 3]);
        }
        for (; i < to; i++) {
            a = Math.max(a, values[i]);
        }
        return Math.max(Math.max(a, b), Math.max(c, d));
    }
}
