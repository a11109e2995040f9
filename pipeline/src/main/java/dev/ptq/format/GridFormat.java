package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.Optional;

/** A format whose values are codes: all but {@link NoFormat} and {@link LlmInt8Format}. */
sealed interface GridFormat extends NumberFormat
        permits RangedFormat,
                StaticFormat,
                GivenScaleFormat,
                WeightedFormat,
                HalfScaleFormat,
                MinifloatFormat,
                FixedPointFormat,
                MxFormat,
                NormalFloatFormat,
                HqqFormat,
                TernaryFormat {
    /** Rounds a tensor in place, as {@link #round} does, and returns its encoding. */
    Encoding fit(FloatBuffer values, Shape shape, Operand operand);

    /** Returns the blocks of a tensor that share values; one where none are shared. */
    Blocks blocks(Shape shape, Operand operand);

    /**
     * Returns the config setting with which rows of an activation are rounded independently of each other; empty if they
     * already are.
     */
    default Optional<String> settingForRows() {
        return Optional.empty();
    }

    /**
     * Returns the format with the values fixed that all blocks of a tensor share, as far as it has any; parts of the tensor
     * are then rounded as the whole.
     */
    default GridFormat ofTensor(FloatBuffer values, Shape shape, Operand operand) {
        return this;
    }

    /** Returns whether the largest values may lie far beyond the grid by intention, since that leaves less error in all. */
    default boolean cutsOnPurpose() {
        return !unsearched().equals(this);
    }

    /** Returns the format for some columns of a weight, if it knows anything of them. */
    default GridFormat ofColumns(int... columns) {
        return this;
    }

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
