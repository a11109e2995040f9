package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A linear layer of a loaded block: {@code y = x Wᵀ + b}, with the formats of its operands and its low-rank path. */
public final class Linear {
    private final LinearSpec spec;
    private NDArray weight;
    private @Nullable NDArray bias;
    private NumberFormat activation = new NoFormat();
    private NumberFormat output = new NoFormat();
    private @Nullable LowRank lowRank;

    /**
     * Makes a full-precision layer.
     *
     * @param weight {@code [outFeatures, inFeatures]}; this layer owns it
     * @param bias {@code [outFeatures]}, likewise
     */
    public Linear(LinearSpec spec, NDArray weight, @Nullable NDArray bias) {
        this.spec = spec;
        this.weight = weight;
        this.bias = bias;
    }

    public LinearSpec spec() {
        return spec;
    }

    /** The current weight, {@code [outFeatures, inFeatures]}. */
    public NDArray weight() {
        return weight;
    }

    /** The current bias, {@code [outFeatures]}. */
    public @Nullable NDArray bias() {
        return bias;
    }

    /** Replaces both tensors by others of the same shapes. */
    void replace(NDArray newWeight, @Nullable NDArray newBias) {
        weight = newWeight;
        bias = newBias;
    }

    /** Replaces the weight by another of the same shape. */
    public void replaceWeight(NDArray newWeight) {
        weight = newWeight;
    }

    /** Returns a layer with the same tensors and formats. */
    Linear copy() {
        Linear copy = new Linear(spec, weight, bias);
        copy.activation = activation;
        copy.output = output;
        copy.lowRank = lowRank;
        return copy;
    }

    /** The input format. */
    NumberFormat activation() {
        return activation;
    }

    /** Returns whether activations in the layer are rounded. */
    boolean roundsActivations() {
        return !activation.isNone() || !output.isNone() || (lowRank != null && lowRank.roundsActivations(activation));
    }

    /** Returns whether activations in the layer depend on other sequences of their batch. */
    boolean spansBatch() {
        return activation.spansBatch();
    }

    /** Rounds the bias and sets the formats of inputs and outputs; the weight is as its source has it. */
    public void quantize(LinearFormats formats) {
        if (bias != null) {
            bias = formats.bias().fakeQuantize(bias, Operand.BIAS);
        }
        roundOperands(formats);
    }

    /** Sets the formats of inputs and outputs, and leaves the bias. */
    public void roundOperands(LinearFormats formats) {
        activation = formats.activation();
        output = formats.output();
    }

    /** The low-rank path, if there is one. */
    public Optional<LowRank> lowRank() {
        return Optional.ofNullable(lowRank);
    }

    /** Returns whether the low-rank path rounds products on its way, so that no matrix stands for it. */
    public boolean roundsProducts() {
        return lowRank != null && lowRank.roundsActivations(activation);
    }

    /** Sets the low-rank path, whose output is added. */
    public void correct(LowRank path) {
        lowRank = path;
    }

    /** Returns whether its low-rank path reads the input as it was before it was rounded. */
    public boolean readsUnrounded() {
        return lowRank != null && lowRank.readsUnrounded();
    }

    /** Applies the layer to an input that rounding leaves as it is, {@code [..., inFeatures]}. */
    NDArray forward(NDArray input, Operators operators) {
        return forward(input, input, operators);
    }

    /**
     * Applies the layer; the output is rounded here.
     *
     * @param input already rounded, {@code [..., inFeatures]}
     * @param unrounded the same before that
     */
    NDArray forward(NDArray input, NDArray unrounded, Operators operators) {
        NDArray result = operators.linear(input, weight, bias);
        if (lowRank != null) {
            result = operators.add(result, lowRank.forward(input, unrounded, activation, operators));
        }
        return operators.round(output, result, Operand.ACTIVATION);
    }
}
