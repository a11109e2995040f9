package dev.ptq.layout;

import dev.ptq.format.SmallFloat;
import java.nio.ByteBuffer;
import java.util.function.IntFunction;

/** The values of the codes of small floats. */
final class Tables {
    private static final int NAN = 255;
    private static final int BIAS = 127;

    private Tables() {}

    /** Returns the values of E4M3; two codes have none. */
    static float[] e4m3() {
        return table(256, SmallFloat.E4M3::value);
    }

    /** Returns the values of E2M1. */
    static float[] e2m1() {
        return table(16, SmallFloat.E2M1::value);
    }

    /** Returns the values of E8M0, powers of two; the last code has none. */
    static float[] e8m0() {
        return table(256, code -> code == NAN ? Float.NaN : Math.scalb(1f, code - BIAS));
    }

    private static float[] table(int codes, IntFunction<Float> value) {
        float[] table = new float[codes];
        for (int code = 0; code < codes; code++) {
            table[code] = value.apply(code);
        }
        return table;
    }

    /** Returns the bytes of a tensor. */
    static byte[] array(ByteBuffer bytes) {
        byte[] array = new byte[bytes.remaining()];
        bytes.get(array);
        return array;
    }
}
