package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.NativeFloats;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** A number format for weights and activations: values are rounded to its grid and back, in float32. */
public sealed interface NumberFormat permits NoFormat, LlmInt8Format, GridFormat {
    /**
     * Rounds every value to the format, in place.
     *
     * @param values a tensor's values, row-major
     * @param shape the tensor's shape; all but the last two dimensions are a batch of independent matrices
     * @param operand the role of the tensor
     */
    void round(FloatBuffer values, Shape shape, Operand operand);

    /**
     * Returns the output of {@link #fakeQuantize} as codes and scales; empty for {@link NoFormat} and {@link
     * LlmInt8Format}, which have none. Takes longer than rounding alone.
     *
     * @param values float32
     */
    Optional<Grid> fit(NDArray values, Operand operand);

    /**
     * Returns the format as its table in a config, with every key: strings, whole numbers, decimals, booleans and
     * lists.
     */
    Map<String, Object> table();

    /** Returns the storage in bits of a tensor of this shape, including all shared values. */
    double storageBits(Shape shape, Operand operand);

    /**
     * Returns the bits of a value as it enters a product, without what values share; of a value that is not rounded those of
     * half precision, in which hardware multiplies it.
     */
    int bits();

    /** Returns what is wrong with a tensor of a shape, so that it cannot be rounded; empty if it can. */
    default Optional<String> refusal(Shape shape) {
        return Optional.empty();
    }

    /** Returns whether values stay as they are. */
    default boolean isNone() {
        return false;
    }

    /**
     * Returns whether squares of this many rows and columns, from the upper left corner of a matrix, can be rounded
     * independently, and squares of zeros stay zero.
     */
    default boolean roundsSquares(int side) {
        return false;
    }

    /** Returns whether values of an activation depend on other sequences of their batch, which is then rounded whole. */
    default boolean spansBatch() {
        return false;
    }

    /** Returns what the format has to know of the input of its linear before it can round anything. */
    default Set<InputFact> needs() {
        return Set.of();
    }

    /** Returns whether the format has to know anything of its linear besides the values that it rounds. */
    default boolean asksAboutLinear() {
        return !needs().isEmpty();
    }

    /**
     * Returns the format that knows what it asks about its linear; itself if it asks nothing, or knows already.
     *
     * @throws IOException if the facts cannot be read, or are such that nothing can be rounded
     */
    default NumberFormat knowing(LinearFacts facts) throws IOException {
        return this;
    }

    /** Returns the same format without what it knows of a linear, such as a static range, for another place. */
    default NumberFormat dynamic() {
        return this;
    }

    /** Returns the same format with ranges from the smallest to the largest value where it searches for better ones. */
    default NumberFormat unsearched() {
        return this;
    }

    /**
     * Returns the values rounded, as a new tensor in the manager of {@code values}; without a format, {@code values}
     * itself.
     */
    default NDArray fakeQuantize(NDArray values, Operand operand) {
        if (isNone()) {
            return values;
        }
        NDArray rounded = NativeFloats.create(values.getManager(), values.getShape());
        FloatBuffer target = NativeFloats.window(rounded);
        target.put(0, NativeFloats.window(values), 0, target.capacity());
        round(target, values.getShape(), operand);
        return rounded;
    }

    /**
     * Rounds a tensor in its own memory and returns it.
     *
     * @throws IllegalArgumentException if it is not contiguous
     */
    default NDArray fakeQuantizeInPlace(NDArray values, Operand operand) {
        if (!isNone()) {
            round(NativeFloats.writableWindow(values), values.getShape(), operand);
        }
        return values;
    }

    /**
     * Returns the same values as {@link #fakeQuantize} in a differentiable form. Rounding and clamping have derivative
     * one here (straight-through), as in LQER's code.
     */
    default NDArray differentiable(NDArray values, Operand operand) {
        return StraightThrough.of(values, constant -> fakeQuantize(constant, operand));
    }
}
