package dev.ptq.export;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import dev.ptq.model.Linear;
import dev.ptq.model.LowRank;

/** Low-rank paths as part of the weight beside them. */
final class FoldedWeights {
    private FoldedWeights() {}

    /** Returns {@code W + (A B)ᵀ}, summed in double and rounded once, in the manager of the weight; the weight itself without a path. */
    static NDArray of(Linear linear) {
        if (linear.lowRank().isEmpty()) {
            return linear.weight();
        }
        LowRank path = linear.lowRank().get();
        NDArray a = path.a().toType(DataType.FLOAT64, true);
        NDArray b = path.b().toType(DataType.FLOAT64, true);
        NDArray product = a.matMul(b).transpose();
        return product.add(linear.weight().toType(DataType.FLOAT64, true)).toType(DataType.FLOAT32, true);
    }
}
