package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.util.Optional;

/** A format whose scales follow from the range of the values that share one. */
public sealed interface RangedFormat extends GridFormat permits IntegerFormat, BlockFloatFormat {
    /** The setting in a config with which all values of a tensor share a scale; empty where they do. */
    Optional<String> settingForOneRange();

    /** The blocks of a tensor that share a scale. */
    Blocks blocks(Shape shape, Operand operand);

    /** What codes stand for where all values are one block and their range is known. */
    Encoding within(Blocks one, Bounds bounds);

    /**
     * Reads what the codes of a stored tensor stand for.
     *
     * @throws IOException if the parts do not belong to these blocks
     */
    Encoding read(Blocks blocks, Parts parts) throws IOException;

    @Override
    default Encoding read(Shape shape, Operand operand, Parts parts) throws IOException {
        return read(blocks(shape, operand), parts);
    }

    /** As {@link #differentiable} where the range is known. Rounding and clamping have derivative one here. */
    default NDArray differentiableWithin(Bounds bounds, NDArray values, Operand operand) {
        StaticFormat format = new StaticFormat(this, Optional.of(bounds));
        return StraightThrough.of(values, constant -> format.fakeQuantize(constant, operand));
    }
}
