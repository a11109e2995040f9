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
    private final LowRankFormats formats;

    /**
     * Makes a path.
     *
     * @param a {@code [inFeatures, rank]}, already rounded to its format
     * @param b {@code [rank, outFeatures]}, likewise
     */
    public LowRank(NDArray a, NDArray b, LowRankFormats formats) {
        this.a = a;
        this.b = b;
        this.formats = formats;
    }

    /** {@code [inFeatures, rank]}. */
    public NDArray a() {
        return a;
    }

    /** {@code [rank, outFeatures]}. */
    public NDArray b() {
        return b;
    }

    /** The formats of factors and products. */
    public LowRankFormats formats() {
        return formats;
    }

    /** Storage of both factors, in bits. */
    public double bits() {
        return formats.factor().storageBits(a.getShape(), Operand.FACTOR)
                + formats.factor().storageBits(b.getShape(), Operand.FACTOR);
    }

    /** Returns whether activations in the path are rounded, beside a layer whose inputs have this format. */
    boolean roundsActivations(NumberFormat activation) {
        return !(productA(activation).isNone() && productB(activation).isNone());
    }

    private NumberFormat productA(NumberFormat activation) {
        return formats.productA().orElseGet(activation::dynamic);
    }

    private NumberFormat productB(NumberFormat activation) {
        return formats.productB().orElseGet(activation::dynamic);
    }

    NDArray forward(NDArray input, NumberFormat activation, Operators operators) {
        NDArray inner = operators.round(productA(activation), input.matMul(a), Operand.ACTIVATION);
        return operators.round(productB(activation), inner.matMul(b), Operand.ACTIVATION);
    }
}
