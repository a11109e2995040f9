package dev.ptq.format;

/**
 * The 256 values from -1 to 1 with which bitsandbytes quantizes largest magnitudes: in each of seven decades twice as
 * many as in the one below, on both sides of 0, then 0 and 1. Source: 8-bit Optimizers via Block-wise Quantization (ICLR
 * 2022).
 */
final class DynamicTable {
    private static final int DECADES = 7;
    private static final float[] VALUES = values();
    /** The largest bin; bins divide the range from -1 to 1. */
    private static final int LAST_BIN = 65535;

    private static final byte[] CODES = codes();

    private DynamicTable() {}

    /** Returns the value of a code from 0 to 255, ascending. */
    static float value(int code) {
        return VALUES[code];
    }

    /** Returns the code nearest to the bin of a number from -1 to 1; 0 if it is NaN. */
    static int code(float number) {
        int bin = (int) ((number + 1) * 0.5f * LAST_BIN + 0.5f);
        return CODES[Math.min(Math.max(bin, 0), LAST_BIN)] & 0xff;
    }

    private static float[] values() {
        float[] values = new float[256];
        int zero = values.length / 2 - 1;
        int above = zero;
        for (int decade = 0; decade < DECADES; decade++) {
            int parts = 1 << decade;
            float unit = (float) Math.pow(10, decade - DECADES + 1);
            for (int i = 0; i < parts; i++) {
                values[++above] = unit * ((edge(i, parts) + edge(i + 1, parts)) / 2);
                values[2 * zero - above] = -values[above];
            }
        }
        values[++above] = 1;
        return values;
    }

    /** Returns the end of a part of the range from 0.1 to 1: from the nearer end, rounded once, as torch does. */
    private static float edge(int index, int parts) {
        float step = (1 - 0.1f) / parts;
        return 2 * index < parts + 1 ? Math.fma(step, index, 0.1f) : Math.fma(-step, parts - index, 1);
    }

    private static byte[] codes() {
        byte[] codes = new byte[LAST_BIN + 1];
        int code = 0;
        for (int bin = 0; bin <= LAST_BIN; bin++) {
            float number = -1 + 2f * bin / LAST_BIN;
            while (code < VALUES.length - 1 && (VALUES[code] + VALUES[code + 1]) / 2 < number) {
                code++;
            }
            codes[bin] = (byte) code;
        }
        return codes;
    }
}
