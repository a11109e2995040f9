package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.util.Optional;

/** A format whose scales follow from the ranges of the values that share them. */
public sealed interface RangedFormat extends GridFormat permits IntegerFormat, BlockFloatFormat, IntegerGridFormat {
    /** Returns the config setting that makes all values of a tensor share a scale; empty if they already do. */
    Optional<String> settingForOneRange();

    /** Returns the blocks of a tensor that share a scale. */
    Blocks blocks(Shape shape, Operand operand);

    /** Returns the encoding if all values are one block of known range. */
    Encoding within(Blocks one, Bounds bounds);

    /**
     * Reads the encoding of a stored tensor.
     *
     * @throws IOException if the parts do not belong to these blocks
     */
    Encoding read(Blocks blocks, Parts parts) throws IOException;

    @Override
    default Encoding read(Shape shape, Operand operand, Parts parts) throws IOException {
        return read(blocks(shape, operand), parts);
    }

    /** As {@link #differentiable}, with a known range. Rounding and clamping have derivative one here. */
    default NDArray differentiableWithin(Bounds bounds, NDArray values, Operand operand) {
        StaticFormat format = new StaticFormat(this, Optional.of(bounds));
        return StraightThrough.of(values, constant -> format.fakeQuantize(constant, operand));
    }
}
