package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Optional;

/**
 * A format whose scales follow from the ranges of values, and which can be given one range for all of them, or one for
 * each feature.
 */
public sealed interface RangedFormat extends GridFormat permits OneScaleFormat, Nvfp4Format {
    /** Returns the config setting with which known ranges decide; empty if they already do. */
    Optional<String> settingForOneRange();

    /** Returns whether 0 is in the middle of a range, so that only its larger end matters. */
    boolean isSymmetric();

    /** Returns whether a known range is that of one feature, not of all values. */
    default boolean hasRangePerFeature() {
        return false;
    }

    /**
     * Rounds a tensor in place with known ranges, and returns its encoding. An infinite value becomes NaN.
     *
     * @param ranges of each feature, if {@link #hasRangePerFeature}; else one
     */
    Encoding fitWithin(List<Bounds> ranges, FloatBuffer values, Shape shape, Operand operand);

    /**
     * Rounds a tensor in place with a scale that is stored elsewhere, and returns its encoding. An infinite value becomes
     * NaN.
     *
     * @param scale of all values, as the format stores it: of {@code nvfp4} that of the tensor
     * @param zeroPoint a code; 0 where a format has none
     * @throws IllegalArgumentException if the format stores no such scale
     */
    Encoding fitWithScale(float scale, int zeroPoint, FloatBuffer values, Shape shape, Operand operand);

    /**
     * Reads the encoding of a stored tensor that was rounded with a known range.
     *
     * @throws IOException if the parts do not belong to such a tensor
     */
    Encoding readWithin(Shape shape, Operand operand, Parts parts) throws IOException;

    /** Returns the storage in bits of a tensor that was rounded with a known range. */
    double storageBitsWithin(Shape shape, Operand operand);

    /** As {@link #differentiable}, with a known range. Rounding and clamping have derivative one here. */
    default NDArray differentiableWithin(List<Bounds> ranges, NDArray values, Operand operand) {
        StaticFormat format = new StaticFormat(this, Optional.empty()).withRanges(ranges);
        return StraightThrough.of(values, constant -> format.fakeQuantize(constant, operand));
    }
}
