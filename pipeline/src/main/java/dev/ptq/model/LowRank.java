package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;

/**
 * The low-rank path beside a linear layer: {@code Qb(Qa(x A) B)} is added to its output. Not a record, since it holds
 * tensors.
 */
public final class LowRank {
    private final NDArray a;
    private final NDArray b;
    private final NumberFormat productA;
    private final NumberFormat productB;

    /**
     * Makes a path.
     *
     * @param a {@code [inFeatures, rank]}, already rounded to its format
     * @param b {@code [rank, outFeatures]}, likewise
     * @param productA format of {@code x A}
     * @param productB format of {@code (x A) B}
     */
    public LowRank(NDArray a, NDArray b, NumberFormat productA, NumberFormat productB) {
        this.a = a;
        this.b = b;
        this.productA = productA;
        this.productB = productB;
    }

    /** Whether what flows through the path is rounded. */
    boolean roundsActivations() {
        return !(productA.isNone() && productB.isNone());
    }

    NDArray forward(NDArray input, Operators operators) {
        NDArray inner = operators.round(productA, input.matMul(a), Operand.ACTIVATION);
        return operators.round(productB, inner.matMul(b), Operand.ACTIVATION);
    }
}
