package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import dev.ptq.format.NoFormat;
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
    private final int sharing;

    /**
     * Makes a path.
     *
     * @param a {@code [inFeatures, rank]}, already rounded to its format
     * @param b {@code [rank, outFeatures]}, likewise
     * @param sharing how many paths have this {@code a}, this one included
     */
    public LowRank(NDArray a, NDArray b, LowRankFormats formats, int sharing) {
        this.a = a;
        this.b = b;
        this.formats = formats;
        this.sharing = sharing;
    }

    /** Makes a path with factors of its own. */
    public LowRank(NDArray a, NDArray b, LowRankFormats formats) {
        this(a, b, formats, 1);
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

    /** How many paths have the factor {@code A} of this one, itself included. */
    public int sharing() {
        return sharing;
    }

    /** Storage of both factors, in bits; a factor that paths share counts as one over all of them. */
    public double bits() {
        return formats.factor().storageBits(a.getShape(), Operand.FACTOR) / sharing
                + formats.factor().storageBits(b.getShape(), Operand.FACTOR);
    }

    /**
     * Bit operations for a token, see {@link TokenCost}; those of a factor that paths share count as those of one over all
     * of them.
     *
     * @param activation format of the layer's inputs
     */
    double bitOperations(NumberFormat activation) {
        int input = readsUnrounded() ? new NoFormat().bits() : activation.bits();
        return (double) formats.factor().bits()
                * (a.size() * (double) input / sharing
                        + b.size() * (double) productA(activation).bits());
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

    /** Returns whether it reads the layer's input as it was before it was rounded. */
    boolean readsUnrounded() {
        return formats.input() == LowRankFormats.Input.UNROUNDED;
    }

    /**
     * Applies the path.
     *
     * @param input of the layer, rounded to {@code activation}
     * @param unrounded the same before that
     */
    NDArray forward(NDArray input, NDArray unrounded, NumberFormat activation, Operators operators) {
        NDArray read = readsUnrounded() ? unrounded : input;
        NDArray inner = operators.round(productA(activation), read.matMul(a), Operand.ACTIVATION);
        return operators.round(productB(activation), inner.matMul(b), Operand.ACTIVATION);
    }
}
