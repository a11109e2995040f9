package dev.ptq.format;

import dev.ptq.weights.RawTensor;
import java.nio.FloatBuffer;
import java.util.Map;

/** What the codes of one tensor stand for: its format, with what its blocks share. */
sealed interface Encoding permits IntegerEncoding, BlockFloatEncoding, MinifloatEncoding, FixedPointEncoding {
    /** Bits of a code. */
    int bits();

    /** Whether codes are in two's complement; otherwise they start at 0. */
    boolean signed();

    /** Rounds another tensor of the shape in place, with what is shared as it is. */
    void round(FloatBuffer values);

    /** The code of a value that has been rounded; any code where there is none for it. */
    int code(float rounded, int index);

    /** The value of a code at a place in the tensor. */
    float value(int code, int index);

    /** What is shared, to be stored. */
    Map<String, RawTensor> parts();

    /** A scale for each block, if these have one. */
    default float[] scales() {
        return new float[0];
    }

    /** A zero point for each block, if these have one. */
    default int[] zeroPoints() {
        return new int[0];
    }

    /** An exponent for each block, if these have one. */
    default int[] exponents() {
        return new int[0];
    }
}
