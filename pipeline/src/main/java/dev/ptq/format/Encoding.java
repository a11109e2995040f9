package dev.ptq.format;

import dev.ptq.weights.RawTensor;
import java.nio.FloatBuffer;
import java.util.Map;

/** The meaning of one tensor's codes: its format, with the values its blocks share. */
sealed interface Encoding
        permits IntegerEncoding,
                BlockFloatEncoding,
                MinifloatEncoding,
                FixedPointEncoding,
                SmallFloatEncoding,
                StepEncoding,
                NormalFloatEncoding,
                OrderedEncoding {
    /** Returns the bits of a code. */
    int bits();

    /** Returns whether codes are in two's complement; otherwise they start at 0. */
    boolean signed();

    /** Rounds another tensor of the shape in place, with the same shared values. */
    void round(FloatBuffer values);

    /** Returns one value rounded with the shared values at an index of the tensor; NaN where these are not finite. */
    float rounded(float value, int index);

    /**
     * Takes over what a block shares.
     *
     * @param other encoding of the same format
     * @param from its block
     * @param to the block in this encoding
     */
    void take(Encoding other, int from, int to);

    /**
     * Replaces the scale of each block by one of float16, see {@link HalfScaleFormat}.
     *
     * @throws UnsupportedOperationException if it is not of integers
     */
    default void storeScales() {
        throw new UnsupportedOperationException("no scales of integers");
    }

    /** Returns the code of a rounded value; any code if it has none. */
    int code(float rounded, int index);

    /** Returns the value of a code at an index of the tensor. */
    float value(int code, int index);

    /** Returns the shared values, to be stored. */
    Map<String, RawTensor> parts();

    /** Returns the scale of each block, if blocks have one. */
    default float[] scales() {
        return new float[0];
    }

    /** Returns the zero point of each block, if blocks have one. */
    default int[] zeroPoints() {
        return new int[0];
    }

    /** Returns the exponent of each block, if blocks have one. */
    default int[] exponents() {
        return new int[0];
    }
}
