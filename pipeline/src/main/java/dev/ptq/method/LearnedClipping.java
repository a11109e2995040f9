package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import dev.ptq.format.Grid;
import dev.ptq.format.IntegerFormat;
import dev.ptq.model.LinearSpec;
import dev.ptq.tensor.NativeFloats;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Rounding with a learned range: from {@code sigmoid(lower) · min} to {@code sigmoid(upper) · max} of each group of
 * weights. Source: OmniQuant (ICLR 2024), learnable weight clipping.
 */
final class LearnedClipping implements WeightRounding {
    private final IntegerFormat format;
    private final Parameter upper;
    private final Parameter lower;

    /**
     * Starts with every range at {@code sigmoid(init)} of its width.
     *
     * @param manager that owns the parameters, {@code [outFeatures, groups]}
     */
    LearnedClipping(NDManager manager, LinearSpec linear, IntegerFormat format, double init, double rate) {
        this.format = format;
        long[] shape = format.groups(new Shape(linear.outFeatures(), linear.inFeatures()))
                .getShape();
        float[] start = new float[Math.toIntExact(shape[0] * shape[1])];
        Arrays.fill(start, (float) init);
        upper = new Parameter(linear.path() + ".upper", NativeFloats.of(manager, start, shape), rate);
        lower = new Parameter(linear.path() + ".lower", NativeFloats.of(manager, start, shape), rate);
    }

    @Override
    public NDArray round(NDArray weight) {
        return format.clipped(weight, Activation.sigmoid(upper.tensor()), Activation.sigmoid(lower.tensor()));
    }

    @Override
    public Optional<Grid> grid(NDArray weight) {
        try (NDArray upperShare = Activation.sigmoid(upper.tensor());
                NDArray lowerShare = Activation.sigmoid(lower.tensor())) {
            return Optional.of(format.clippedGrid(weight, upperShare, lowerShare));
        }
    }

    @Override
    public List<Parameter> parameters() {
        return List.of(upper, lower);
    }
}
