package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * How a forward pass computes. The pass of a family is written once and gets its operators as an argument: those that work
 * in place, the fastest there are, or those that gradients pass. An argument called {@code own} belongs to the caller
 * alone and is lost to it: the result may take its memory. All others stay as they are.
 */
public abstract sealed class Operators permits InPlaceOperators, DifferentiableOperators {
    Operators() {}

    /** Those that run a model. */
    public static Operators inPlace() {
        return InPlaceOperators.INSTANCE;
    }

    /** Those that training runs a block with: nothing is overwritten, and every operator has its derivative. */
    public static Operators differentiable() {
        return DifferentiableOperators.PLAIN;
    }

    /** The same with something done to the outputs of attention and MLP before they enter the residual stream. */
    static Operators differentiable(UnaryOperator<NDArray> dropout) {
        return new DifferentiableOperators(dropout);
    }

    /** Returns {@code own + values}. */
    abstract NDArray add(NDArray own, NDArray values);

    /** Returns {@code own · factor}. */
    abstract NDArray scale(NDArray own, float factor);

    /** Returns the values as something that {@link #round} may take as its own. */
    abstract NDArray own(NDArray values);

    /** Returns {@code x Wᵀ + b}. */
    abstract NDArray linear(NDArray x, NDArray weight, @Nullable NDArray bias);

    /** Rounds {@code own} to a format. */
    abstract NDArray round(NumberFormat format, NDArray own, Operand operand);

    /** Returns values rounded to a format. */
    abstract NDArray rounded(NumberFormat format, NDArray values, Operand operand);

    /** Attends, see {@link Attention#attend}, by the kernel that fits the formats. */
    abstract NDArray attention(
            NDArray query,
            NDArray key,
            NDArray value,
            float scoreDivisor,
            SequenceConstants constants,
            AttentionFormats formats);

    /** Returns the output of attention or MLP as it enters the residual stream. */
    abstract NDArray branch(NDArray own);
}
