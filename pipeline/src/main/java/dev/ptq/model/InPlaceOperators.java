package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import dev.ptq.family.AttentionShape;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.tensor.Torch;
import org.jspecify.annotations.Nullable;

/** Operators that reuse the memory of arguments they own. */
final class InPlaceOperators extends Operators {
    static final InPlaceOperators INSTANCE = new InPlaceOperators();

    private InPlaceOperators() {}

    @Override
    NDArray add(NDArray own, NDArray values) {
        return own.addi(values);
    }

    @Override
    NDArray scale(NDArray own, float factor) {
        return own.muli(factor);
    }

    @Override
    NDArray own(NDArray values) {
        return values.duplicate();
    }

    @Override
    NDArray linear(NDArray x, NDArray weight, @Nullable NDArray bias) {
        return bias == null ? Torch.linear(x, weight) : Torch.linear(x, weight, bias);
    }

    @Override
    NDArray round(NumberFormat format, NDArray own, Operand operand) {
        return format.fakeQuantizeInPlace(own, operand);
    }

    @Override
    NDArray rounded(NumberFormat format, NDArray values, Operand operand) {
        return format.fakeQuantize(values, operand);
    }

    @Override
    NDArray attention(
            NDArray query,
            Cached key,
            Cached value,
            AttentionShape shape,
            SequenceConstants constants,
            AttentionFormats formats) {
        return formats.probability().isNone() && key.isUniform() && value.isUniform()
                ? Attention.fused(query, key.uniform(), value.uniform(), shape, constants, formats)
                : Attention.attend(query, key, value, shape, constants, formats);
    }

    @Override
    NDArray branch(NDArray own) {
        return own;
    }
}
