package dev.ptq.format;

import dev.ptq.format.NormalFloatFormat.Rule;
import java.util.Arrays;

/**
 * The entries of a normal float and the code of a number in [-1, 1], found by one look at a cell of equal width and one
 * comparison.
 *
 * <p>A code grows with the number, so that it follows from the largest number of each code. So does the cell, rounding
 * included: a limit in an earlier cell is below the number, and one in a later cell is not.
 */
final class NormalFloatTable {
    /** Floats from here on are whole numbers, and so are their bits beyond those of this one. */
    private static final float UNITS = 0x1p23f;
    /** Not a method's result: it is needed before the tables below are made. */
    private static final int UNITS_BITS = 150 << 23;

    private static final float[] NF4 = {
        -1,
        -0.6961928f,
        -0.52507305f,
        -0.3949175f,
        -0.28444138f,
        -0.18477343f,
        -0.091050036f,
        0,
        0.0795803f,
        0.1609302f,
        0.2461123f,
        0.33791524f,
        0.44070983f,
        0.562617f,
        0.72295684f,
        1
    };

    private static final NormalFloatTable BITSANDBYTES = between(NF4);
    /** As torchao has it, to four decimals. */
    private static final NormalFloatTable TORCHAO = nearest(
            -1, -0.6962f, -0.5251f, -0.3949f, -0.2844f, -0.1848f, -0.0911f, 0, 0.0796f, 0.1609f, 0.2461f, 0.3379f,
            0.4407f, 0.5626f, 0.7230f, 1);

    private static final NormalFloatTable NF3 = nearest(-1, -0.4786292f, -0.21714179f, 0, NF4[9], NF4[11], NF4[13], 1);
    private static final NormalFloatTable NF2 = nearest(-1, 0, NF4[11], 1);

    /** Beyond it, the distances to several entries may be rounded to the same number. */
    private static final float FAR = 2;

    private final float[] entries;
    private final boolean isNearest;
    /** The last cell, an even number. */
    private final int last;
    /** The number of limits in earlier cells. */
    private final int[] before;
    /** The limit in each cell, or infinity. */
    private final float[] limit;
    /** For each cell, the entry of numbers up to its limit and of those beyond. */
    private final float[] pairs;

    private NormalFloatTable(float[] entries, float[] limits, boolean isNearest) {
        this.entries = entries;
        this.isNearest = isNearest;
        int tried = 2;
        while (shareCell(limits, tried)) {
            tried *= 2;
        }
        last = tried;
        before = new int[last + 1];
        limit = new float[last + 1];
        Arrays.fill(limit, Float.POSITIVE_INFINITY);
        for (int i = 0; i < limits.length; i++) {
            int cell = cell(limits[i], last);
            limit[cell] = limits[i];
            Arrays.fill(before, cell + 1, last + 1, i + 1);
        }
        pairs = new float[2 * limit.length];
        for (int i = 0; i <= last; i++) {
            pairs[2 * i] = entries[before[i]];
            pairs[2 * i + 1] = entries[Math.min(before[i] + 1, entries.length - 1)];
        }
    }

    private static boolean shareCell(float[] limits, int last) {
        for (int i = 1; i < limits.length; i++) {
            if (cell(limits[i - 1], last) == cell(limits[i], last)) {
                return true;
            }
        }
        return false;
    }

    /** Returns {@code round(half · number + half)}, clamped: as the last bits of a sum, the fastest way to a whole number. */
    private static int cell(float number, int last) {
        float half = last / 2f;
        int cell = Float.floatToRawIntBits(number * half + (UNITS + half)) - UNITS_BITS;
        return Math.max(0, Math.min(last, cell));
    }

    /** Returns 1 if a number is beyond a limit, otherwise 0, without a branch that would be mispredicted. */
    private static int isBeyond(float limit, float number) {
        return Float.floatToRawIntBits(limit - number) >>> (Integer.SIZE - 1);
    }

    static NormalFloatTable of(NormalFloatFormat format) {
        return switch (format.bits()) {
            case 2 -> NF2;
            case 3 -> NF3;
            default -> format.rule() == Rule.TORCHAO ? TORCHAO : BITSANDBYTES;
        };
    }

    /** Makes a table in which a number half-way between two entries, in float32, takes the lower. */
    private static NormalFloatTable between(float... entries) {
        float[] limits = new float[entries.length - 1];
        for (int i = 0; i < limits.length; i++) {
            limits[i] = (entries[i] + entries[i + 1]) / 2;
        }
        return new NormalFloatTable(entries, limits, false);
    }

    /** Makes a table of the first of the nearest entries, with distances in float32. */
    private static NormalFloatTable nearest(float... entries) {
        float[] limits = new float[entries.length - 1];
        for (int i = 0; i < limits.length; i++) {
            float low = entries[i];
            float high = entries[i + 1];
            while (Math.nextUp(low) < high) {
                float middle = Math.max(Math.nextUp(low), Math.min(Math.nextDown(high), low / 2 + high / 2));
                if (scan(entries, middle) <= i) {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            limits[i] = low;
        }
        return new NormalFloatTable(entries, limits, true);
    }

    private static int scan(float[] entries, float number) {
        int best = 0;
        for (int i = 1; i < entries.length; i++) {
            best = Math.abs(number - entries[i]) < Math.abs(number - entries[best]) ? i : best;
        }
        return best;
    }

    /** Returns the entries of NF4. */
    static float[] nf4() {
        return NF4.clone();
    }

    int size() {
        return entries.length;
    }

    float entry(int code) {
        return entries[code];
    }

    /** Returns the code of a number; 0 if it is NaN. */
    int code(float number) {
        if (isFar(number)) {
            return scan(entries, number);
        }
        int cell = cell(number, last);
        return Float.isNaN(number) ? 0 : before[cell] + isBeyond(limit[cell], number);
    }

    /** Returns the entry of a number; if it is NaN, the first in a table of nearest entries, any in others. */
    float rounded(float number) {
        return isFar(number) ? entries[scan(entries, number)] : near(number);
    }

    /** Returns the entry of a number for which {@link #isFar} is false. */
    float near(float number) {
        int cell = cell(number, last);
        return pairs[2 * cell + isBeyond(limit[cell], number)];
    }

    /** Returns whether a number is too large for a look, or NaN; so are then numbers of a larger magnitude. */
    boolean isFar(float number) {
        return isNearest && !(Math.abs(number) <= FAR);
    }
}
