package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.Optional;

/** A format whose scales follow from the ranges of values, and which can be given one range for all of them. */
public sealed interface RangedFormat extends GridFormat permits OneScaleFormat, Nvfp4Format {
    /** Returns the config setting that makes one range decide; empty if it already does. */
    Optional<String> settingForOneRange();

    /** Rounds a tensor in place with a known range, and returns its encoding. An infinite value becomes NaN. */
    Encoding fitWithin(Bounds bounds, FloatBuffer values, Shape shape, Operand operand);

    /**
     * Reads the encoding of a stored tensor that was rounded with a known range.
     *
     * @throws IOException if the parts do not belong to such a tensor
     */
    Encoding readWithin(Shape shape, Operand operand, Parts parts) throws IOException;

    /** Returns the storage in bits of a tensor that was rounded with a known range. */
    double storageBitsWithin(Shape shape, Operand operand);

    /** As {@link #differentiable}, with a known range. Rounding and clamping have derivative one here. */
    default NDArray differentiableWithin(Bounds bounds, NDArray values, Operand operand) {
        StaticFormat format = new StaticFormat(this, Optional.of(bounds));
        return StraightThrough.of(values, constant -> format.fakeQuantize(constant, operand));
    }
}
