package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import dev.ptq.family.BlockShape;
import dev.ptq.format.Grid;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.model.Block;
import dev.ptq.model.Linear;
import dev.ptq.model.ModelFormats;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Function;

/**
 * A block's tensors as a function of parameters: equivalent transforms, then rounding of each weight. Training and the
 * final weights use the same function.
 */
final class BlockParametrization {
    private final FusedParts fused;
    private final List<? extends EquivalentTransform> transforms;
    private final Map<String, WeightRounding> roundings = new LinkedHashMap<>();
    private final Map<String, NumberFormat> biases = new LinkedHashMap<>();

    /**
     * Combines the given parts.
     *
     * @param shape of the block
     * @param rounding of each linear's weight
     */
    BlockParametrization(
            Block block,
            BlockShape shape,
            ModelFormats formats,
            List<? extends EquivalentTransform> transforms,
            Function<Linear, WeightRounding> rounding) {
        this.fused = new FusedParts(shape);
        this.transforms = List.copyOf(transforms);
        for (Linear linear : block.linears()) {
            String name = linear.spec().path();
            roundings.put(name + ".weight", rounding.apply(linear));
            biases.put(name + ".bias", formats.of(linear.spec()).bias());
        }
    }

    /** Returns the block's tensors with the transforms applied. */
    Map<String, NDArray> transformed(Map<String, NDArray> tensors) {
        Map<String, NDArray> apart = fused.apart(tensors);
        transforms.forEach(transform -> transform.apply(apart));
        return fused.together(apart);
    }

    /** Returns transformed tensors with the weights of linears, and their biases, rounded. */
    Map<String, NDArray> rounded(Map<String, NDArray> transformed) {
        Map<String, NDArray> result = new LinkedHashMap<>(transformed);
        roundings.forEach((name, rounding) -> result.computeIfPresent(name, (key, weight) -> rounding.round(weight)));
        biases.forEach((name, format) -> {
            if (!format.isNone()) {
                result.computeIfPresent(name, (key, bias) -> format.differentiable(bias, Operand.BIAS));
            }
        });
        return result;
    }

    /** Returns a transformed weight on its grid, if it has a format. */
    Optional<Grid> grid(Linear linear) {
        return Objects.requireNonNull(roundings.get(linear.spec().path() + ".weight"))
                .grid(linear.weight());
    }

    /** All learned parameters. */
    List<Parameter> parameters() {
        List<Parameter> parameters = new ArrayList<>();
        parts().forEach(part -> parameters.addAll(part.parameters()));
        return parameters;
    }

    void project() {
        parts().forEach(Learned::project);
    }

    void startEpoch(int epoch, int epochs) {
        parts().forEach(part -> part.startEpoch(epoch, epochs));
    }

    private List<Learned> parts() {
        List<Learned> parts = new ArrayList<>(transforms);
        parts.addAll(roundings.values());
        return parts;
    }
}
