package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.NativeFloats;
import java.nio.FloatBuffer;

/** A number format that weights and activations are rounded to: to its grid and back, in float32. */
public sealed interface NumberFormat
        permits NoFormat, IntegerFormat, StaticIntegerFormat, BlockFloatFormat, MinifloatFormat, FixedPointFormat {
    /**
     * Rounds every value to the format, in place.
     *
     * @param values a tensor's values, row-major
     * @param shape the tensor's shape; all but the last two dimensions are a batch of independent matrices
     * @param operand what the tensor is
     * @param skipFirst whether the first of two dimensions is a batch too; for a format without blocks it means nothing
     */
    void round(FloatBuffer values, Shape shape, Operand operand, boolean skipFirst);

    /** Storage in bits of a tensor of this shape, everything shared by its values included. */
    double storageBits(Shape shape, Operand operand);

    /** Whether values are left as they are. */
    default boolean isNone() {
        return false;
    }

    /**
     * Whether squares of this many rows and columns, from the upper left corner of a matrix, can be rounded each by
     * itself, and squares of zeros stay zero.
     */
    default boolean roundsSquares(int side) {
        return false;
    }

    /** The same format with nothing that was found beforehand: for values of another place. */
    default NumberFormat dynamic() {
        return this;
    }

    /** Returns the values rounded, as a new tensor beside {@code values}; without a format, {@code values} itself. */
    default NDArray fakeQuantize(NDArray values, Operand operand) {
        if (isNone()) {
            return values;
        }
        NDArray rounded = NativeFloats.create(values.getManager(), values.getShape());
        FloatBuffer target = NativeFloats.window(rounded);
        target.put(0, NativeFloats.window(values), 0, target.capacity());
        round(target, values.getShape(), operand, false);
        return rounded;
    }

    /**
     * Rounds a tensor in its own memory and returns it.
     *
     * @throws IllegalArgumentException if it is not contiguous
     */
    default NDArray fakeQuantizeInPlace(NDArray values, Operand operand) {
        if (!isNone()) {
            round(NativeFloats.writableWindow(values), values.getShape(), operand, false);
        }
        return values;
    }

    /**
     * Returns the same values as {@link #fakeQuantize} in a form that automatic differentiation passes through. Rounding
     * and clamping have derivative one here (straight-through), as in LQER's code.
     */
    default NDArray differentiable(NDArray values, Operand operand) {
        try (NDManager scratch = values.getManager().newSubManager()) {
            NDArray constant = values.stopGradient();
            constant.attach(scratch);
            NDArray rounded = fakeQuantize(constant, operand);
            // zero, with a derivative of one
            NDArray path = values.sub(constant);
            path.attach(scratch);
            NDArray finite = NDArrays.where(path.isNaN(), path.zerosLike(), path);
            finite.attach(scratch);
            NDArray result = finite.add(rounded);
            result.attach(values.getManager());
            return result;
        }
    }
}
