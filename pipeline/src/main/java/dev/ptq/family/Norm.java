package dev.ptq.family;

/**
 * A norm over the last axis.
 *
 * @param path in the block, or name outside of blocks, of its tensors {@code .weight} and {@code .bias}
 * @param epsilon added to the variance, or the mean square
 * @param hasWeight whether a weight multiplies its output
 * @param plusOne whether the weight is stored less one
 */
public record Norm(String path, Kind kind, double epsilon, boolean hasWeight, boolean hasBias, boolean plusOne) {
    /** What is done before the weight. */
    public enum Kind {
        /** {@code x / sqrt(mean(x²) + epsilon)}. */
        RMS,
        /** {@code (x - mean(x)) / sqrt(var(x) + epsilon)}. */
        LAYER
    }

    /** An RMSNorm with a weight. */
    static Norm rms(double epsilon) {
        return new Norm("", Kind.RMS, epsilon, true, false, false);
    }

    /** A LayerNorm with weight and bias. */
    static Norm layer(double epsilon) {
        return new Norm("", Kind.LAYER, epsilon, true, true, false);
    }

    Norm withoutBias() {
        return new Norm(path, kind, epsilon, hasWeight, false, plusOne);
    }

    Norm withoutParameters() {
        return new Norm(path, kind, epsilon, false, false, false);
    }

    Norm storedLessOne() {
        return new Norm(path, kind, epsilon, hasWeight, hasBias, true);
    }

    /** The same as an RMSNorm whose weight is as the model computes with it, without a bias. */
    Norm plain() {
        return new Norm(path, Kind.RMS, epsilon, true, false, false);
    }

    Norm at(String newPath) {
        return new Norm(newPath, kind, epsilon, hasWeight, hasBias, plusOne);
    }

    /** Name of the weight. */
    public String weight() {
        return path + ".weight";
    }

    /** Name of the bias. */
    public String bias() {
        return path + ".bias";
    }
}
