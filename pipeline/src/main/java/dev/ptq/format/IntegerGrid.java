package dev.ptq.format;

/** The tool whose integers are meant: how scale and zero point follow from a range, and in which order it rounds. */
public enum IntegerGrid {
    /** {@link IntegerFormat}: symmetric ranges end at the highest code, so that the lowest is of no use to them. */
    NARROW,
    /**
     * GPTQ and GPTQModel. Symmetric: the range reaches equally far to both sides, but in a group without negative
     * values it starts at 0, and all that is above 7/15 of its end (of four bits) is clamped. A scale of 0, which only
     * numbers near the smallest have, leaves the whole tensor unrounded.
     */
    GPTQ,
    /**
     * compressed-tensors and llm-compressor. Symmetric: half a step of the range on either side is beyond the last
     * codes. Codes are clamped before they are rounded.
     */
    COMPRESSED_TENSORS,
    /**
     * AutoRound's. Symmetric: the end of the larger magnitude has the lowest code, {@code -2^(bits-1)}, so that no code
     * is lost; the scale is negative if that end is positive. Magnitudes of scales are at least 1e-5.
     */
    FULL_RANGE,
    /** torchao. Values are multiplied by the reciprocal of the scale, which is at least 2^-126. */
    TORCHAO;

    /** The place of the range among the codes. */
    public enum Mapping {
        /** Without a zero point. */
        SYMMETRIC,
        /** Of torchao: without a zero point, and neither end of the range is clamped. */
        SYMMETRIC_NO_CLIPPING_ERR,
        /** From the smallest to the largest value and 0. */
        ASYMMETRIC,
        /** Of torchao: from the smallest to the largest value; the zero point remains among the codes. */
        ASYMMETRIC_NO_ZERO,
        /** Of torchao, for its tinygemm kernels: the same with a floating-point value of the middle code. */
        ASYMMETRIC_FLOAT;

        /** Returns whether there is no zero point. */
        public boolean symmetric() {
            return this == SYMMETRIC || this == SYMMETRIC_NO_CLIPPING_ERR;
        }

        boolean isOfTorchao() {
            return this != SYMMETRIC && this != ASYMMETRIC;
        }
    }
}
