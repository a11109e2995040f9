package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.Optional;

/** A format whose values are codes: all but {@link NoFormat}. */
sealed interface GridFormat extends NumberFormat
        permits RangedFormat, StaticFormat, MinifloatFormat, FixedPointFormat, NormalFloatFormat, TernaryFormat {
    /** Rounds a tensor in place, as {@link #round} does, and returns its encoding. */
    Encoding fit(FloatBuffer values, Shape shape, Operand operand);

    /**
     * Reads the encoding of a stored tensor.
     *
     * @throws IOException if the parts do not belong to such a tensor
     */
    Encoding read(Shape shape, Operand operand, Parts parts) throws IOException;

    @Override
    default Optional<Grid> fit(NDArray values, Operand operand) {
        return Optional.of(Grid.of(this, values, operand, rounded -> fit(rounded, values.getShape(), operand)));
    }
}
