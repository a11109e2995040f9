package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import dev.ptq.family.AttentionShape;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * The arithmetic of a forward pass. A family's pass is written once and takes its operators as an argument: in-place
 * ones, the fastest, or differentiable ones. An argument called {@code own} belongs to the caller alone and is given
 * up: the result may take its memory. All other arguments are left as they are.
 */
public abstract sealed class Operators permits InPlaceOperators, DifferentiableOperators {
    Operators() {}

    /** Operators to run a model. */
    public static Operators inPlace() {
        return InPlaceOperators.INSTANCE;
    }

    /** Operators to train a block: nothing is overwritten, and every operator has its derivative. */
    public static Operators differentiable() {
        return DifferentiableOperators.PLAIN;
    }

    /**
     * The same, with {@code dropout} applied to the outputs of attention and MLP before they enter the residual stream.
     */
    static Operators differentiable(UnaryOperator<NDArray> dropout) {
        return new DifferentiableOperators(dropout);
    }

    /** Returns {@code own + values}. */
    abstract NDArray add(NDArray own, NDArray values);

    /** Returns {@code own · factor}. */
    abstract NDArray scale(NDArray own, float factor);

    /** Returns the values in a form that {@link #round} may take as its own. */
    abstract NDArray own(NDArray values);

    /** Returns {@code x Wᵀ + b}. */
    abstract NDArray linear(NDArray x, NDArray weight, @Nullable NDArray bias);

    /** Rounds {@code own} to a format. */
    abstract NDArray round(NumberFormat format, NDArray own, Operand operand);

    /** Returns values rounded to a format. */
    abstract NDArray rounded(NumberFormat format, NDArray values, Operand operand);

    /** Attends like {@link Attention#attend}, by the kernel that fits the formats. */
    abstract NDArray attention(
            NDArray query,
            Cached key,
            Cached value,
            AttentionShape shape,
            SequenceConstants constants,
            AttentionFormats formats);

    /** Returns the output of attention or MLP as it enters the residual stream. */
    abstract NDArray branch(NDArray own);
}
