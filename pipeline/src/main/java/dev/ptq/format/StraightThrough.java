package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDManager;
import java.util.function.UnaryOperator;

/** Rounding that automatic differentiation ignores (straight-through), as in LQER's code. */
final class StraightThrough {
    private StraightThrough() {}

    /** Returns the rounded values, in the manager of {@code values}, with derivative one. */
    static NDArray of(NDArray values, UnaryOperator<NDArray> rounding) {
        try (NDManager scratch = values.getManager().newSubManager()) {
            NDArray constant = values.stopGradient();
            constant.attach(scratch);
            NDArray rounded = rounding.apply(constant);
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
