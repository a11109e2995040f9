package dev.ptq.format;

/**
 * Helpers for kernels that work on whole rows. Their loops have no branches and no bit patterns, start at index 0 and
 * take a scale per column rather than per block, so that the compiler vectorizes them.
 */
final class RowKernels {
    /** Adding and subtracting it rounds magnitudes up to 2^22 to whole numbers, half to even. */
    static final float WHOLE = 0x1.8p23f;

    private RowKernels() {}

    /**
     * Returns the row of {@code count} values at {@code at}, from index 0: {@code values} itself if possible, else a
     * copy in {@code line}.
     */
    static float[] row(float[] values, int at, float[] line, int count) {
        if (at == 0) {
            return values;
        }
        System.arraycopy(values, at, line, 0, count);
        return line;
    }

    /** Puts a changed {@link #row} back in its place. */
    static void store(float[] row, float[] values, int at, int count) {
        if (row != values) {
            System.arraycopy(row, 0, values, at, count);
        }
    }

    /** Replaces values that are not finite by NaN and keeps the others: static scales would hide them. */
    static void spoil(float[] values, int from, int count) {
        for (int i = from; i < from + count; i++) {
            values[i] += values[i] * 0;
        }
    }

    /**
     * Returns the bits of the largest of several magnitudes, all without sign: bits compare as these do, NaN above all.
     * Four maxima side by side avoid waiting on a single one. A NaN with a sign is overlooked: {@code Math.abs} removes
     * the sign in compiled code but not in interpreted code, and removing it here costs a fifth of all rounding.
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

    /** Returns the bits of the largest magnitude of several values of either sign, NaN of either sign above all. */
    static int largestMagnitudeBits(float[] values, int from, int to) {
        int a = 0;
        int b = 0;
        int c = 0;
        int d = 0;
        int i = from;
        for (; i + 3 < to; i += 4) {
            a = Math.max(a, Float.floatToRawIntBits(values[i]) & Integer.MAX_VALUE);
            b = Math.max(b, Float.floatToRawIntBits(values[i + 1]) & Integer.MAX_VALUE);
            c = Math.max(c, Float.floatToRawIntBits(values[i + 2]) & Integer.MAX_VALUE);
            d = Math.max(d, Float.floatToRawIntBits(values[i + 3]) & Integer.MAX_VALUE);
        }
        for (; i < to; i++) {
            a = Math.max(a, Float.floatToRawIntBits(values[i]) & Integer.MAX_VALUE);
        }
        return Math.max(Math.max(a, b), Math.max(c, d));
    }

    /** Returns the largest of several values of either sign, NaN above all. */
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

    /** Returns the smallest of several values of either sign, NaN if one is. */
    static float smallest(float[] values, int from, int to) {
        float a = Float.POSITIVE_INFINITY;
        float b = a;
        float c = a;
        float d = a;
        int i = from;
        for (; i + 3 < to; i += 4) {
            a = Math.min(a, values[i]);
            b = Math.min(b, values[i + 1]);
            c = Math.min(c, values[i + 2]);
            d = Math.min(d, values[i + 3]);
        }
        for (; i < to; i++) {
            a = Math.min(a, values[i]);
        }
        return Math.min(Math.min(a, b), Math.min(c, d));
    }
}
