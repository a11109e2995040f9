package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import dev.ptq.family.AttentionShape;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** Differentiable operators: nothing is overwritten, and no scalar is left to the engine's own arithmetic. */
sealed class DifferentiableOperators extends Operators permits ProbedOperators {
    static final DifferentiableOperators PLAIN = new DifferentiableOperators(UnaryOperator.identity());

    private final UnaryOperator<NDArray> dropout;

    DifferentiableOperators(UnaryOperator<NDArray> dropout) {
        this.dropout = dropout;
    }

    @Override
    NDArray add(NDArray own, NDArray values) {
        return own.add(values);
    }

    @Override
    NDArray scale(NDArray own, float factor) {
        return own.mul(NativeFloats.scalar(own.getManager(), factor));
    }

    /** Nothing is overwritten, and a copy would stop the gradient. */
    @Override
    NDArray own(NDArray values) {
        return values;
    }

    @Override
    NDArray linear(NDArray x, NDArray weight, @Nullable NDArray bias) {
        NDArray product = Torch.differentiableLinear(x, weight);
        return bias == null ? product : product.add(bias);
    }

    @Override
    NDArray round(NumberFormat format, NDArray own, Operand operand) {
        return rounded(format, own, operand);
    }

    @Override
    NDArray rounded(NumberFormat format, NDArray values, Operand operand) {
        return format.isNone() ? values : format.differentiable(values, operand);
    }

    @Override
    NDArray attention(
            NDArray query,
            Cached key,
            Cached value,
            AttentionShape shape,
            SequenceConstants constants,
            AttentionFormats formats) {
        return Attention.differentiable(query, key, value, shape, constants, formats);
    }

    @Override
    NDArray branch(NDArray own) {
        return dropout.apply(own);
    }
}
