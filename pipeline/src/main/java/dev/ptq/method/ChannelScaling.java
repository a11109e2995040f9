package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.model.SmoothingMapping;
import dev.ptq.tensor.NativeFloats;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One positive factor per channel of a mapping, and optionally a shift: the activation becomes {@code (x - shift) /
 * scale}, and the balance layers' weights compensate. Source: SmoothQuant (ICML 2023), OmniQuant (ICLR 2024).
 */
final class ChannelScaling implements EquivalentTransform {
    private static final String WEIGHT = ".weight";
    private static final String BIAS = ".bias";

    private final SmoothingMapping mapping;
    private final HeadLayout heads;
    private final float floor;
    private final Parameter scale;
    private final @Nullable Parameter shift;

    /**
     * Starts from given values.
     *
     * @param scale {@code [channels]} of the smooth layer; between queries and keys {@code [kvHeads, headDim]}, or
     *     {@code [kvHeads, headDim - pairs]} for one factor per rotary pair
     * @param shift {@code [channels]}
     * @param floor lower bound of the factors in training
     */
    ChannelScaling(
            SmoothingMapping mapping,
            HeadLayout heads,
            NDArray scale,
            @Nullable NDArray shift,
            double floor,
            double rate) {
        this.mapping = mapping;
        this.heads = heads;
        this.floor = (float) floor;
        String label = mapping.label();
        this.scale = new Parameter(label + ".scale", scale, rate);
        this.shift = shift == null ? null : new Parameter(label + ".shift", shift, rate);
    }

    /**
     * Rescales a block by given factors, and keeps these.
     *
     * @param factors {@code [channels]} of each mapping's smooth layer
     */
    static void apply(BlockContext context, String method, Map<SmoothingMapping, float[]> factors) {
        HeadLayout heads = HeadLayout.of(context.shape().attention());
        List<ChannelScaling> scalings = new ArrayList<>();
        factors.forEach((mapping, values) -> scalings.add(new ChannelScaling(
                mapping, heads, NativeFloats.of(context.block().manager(), values, values.length), null, 0, 0)));
        try (NDManager scratch = context.block().manager().newSubManager()) {
            Map<String, NDArray> tensors = context.block().tensors();
            tensors.values().forEach(tensor -> tensor.tempAttach(scratch));
            FusedParts fused = new FusedParts(context.shape());
            Map<String, NDArray> apart = fused.apart(tensors);
            scalings.forEach(scaling -> scaling.apply(apart));
            context.transform(fused.together(apart));
        }
        context.keep(
                method,
                scalings.stream()
                        .flatMap(scaling -> scaling.parameters().stream())
                        .toList());
    }

    @Override
    public List<Parameter> parameters() {
        return Stream.of(scale, shift).filter(Objects::nonNull).toList();
    }

    /** Keeps factors positive: at zero the transform has no inverse. */
    @Override
    public void project() {
        FloatBuffer values = NativeFloats.writableWindow(scale.tensor());
        for (int i = 0; i < values.capacity(); i++) {
            if (values.get(i) < floor) {
                values.put(i, floor);
            }
        }
    }

    @Override
    public void apply(Map<String, NDArray> tensors) {
        NDArray factor = scale.tensor();
        NDArray offset = shift == null ? null : shift.tensor();
        switch (mapping.kind()) {
            case ATTENTION_IN, MLP_IN -> {
                tensors.computeIfPresent(mapping.smoothLayer() + WEIGHT, (name, weight) -> weight.div(factor));
                unshift(tensors, factor, offset);
                mapping.balanceLayers().forEach(balanceLayer -> takeUp(tensors, balanceLayer, factor, offset));
            }
            case MLP_MID -> {
                divideRows(tensors, mapping.smoothLayer(), factor);
                mapping.balanceLayers().forEach(balanceLayer -> takeUp(tensors, balanceLayer, factor, offset));
            }
            case VALUE_OUT -> {
                tensors.computeIfPresent(
                        mapping.smoothLayer() + WEIGHT, (name, weight) -> weight.div(factor.reshape(-1, 1)));
                unshift(tensors, factor, offset);
                NDArray wide = heads.perQueryChannel(factor);
                NDArray wideOffset = offset == null ? null : heads.perQueryChannel(offset);
                mapping.balanceLayers().forEach(balanceLayer -> takeUp(tensors, balanceLayer, wide, wideOffset));
            }
            case QUERY_KEY -> {
                boolean paired = factor.getShape().get(1) < heads.headDim();
                NDArray perKey = paired ? heads.perChannel(factor) : factor;
                NDArray perQuery = heads.perQueryChannel(perKey);
                mapping.balanceLayers().forEach(query -> divideRows(tensors, query, perQuery));
                multiplyRows(tensors, mapping.smoothLayer(), perKey.reshape(-1));
            }
        }
    }

    /** Makes the smooth layer's bias {@code (bias - shift) / scale}; a shift creates a missing one. */
    private void unshift(Map<String, NDArray> tensors, NDArray factor, @Nullable NDArray offset) {
        String name = mapping.smoothLayer() + BIAS;
        NDArray bias = tensors.get(name);
        if (offset != null) {
            tensors.put(name, (bias == null ? offset.neg() : bias.sub(offset)).div(factor));
        } else if (bias != null) {
            tensors.put(name, bias.div(factor));
        }
    }

    /**
     * Multiplies a balance layer's weight by the factors, column by column, and adds the shift's contribution to its
     * bias.
     */
    private static void takeUp(
            Map<String, NDArray> tensors, String balanceLayer, NDArray factor, @Nullable NDArray offset) {
        NDArray weight = Objects.requireNonNull(tensors.get(balanceLayer + WEIGHT), balanceLayer);
        if (offset != null) {
            addToBias(tensors, balanceLayer, weight, offset);
        }
        tensors.put(balanceLayer + WEIGHT, weight.mul(factor));
    }

    /** Adds {@code weight · offset} to a linear's bias. */
    static void addToBias(Map<String, NDArray> tensors, String linear, NDArray weight, NDArray offset) {
        NDArray added = weight.matMul(offset.reshape(-1, 1)).reshape(-1);
        NDArray bias = tensors.get(linear + BIAS);
        tensors.put(linear + BIAS, bias == null ? added : added.add(bias));
    }

    private static void divideRows(Map<String, NDArray> tensors, String linear, NDArray factor) {
        tensors.computeIfPresent(linear + WEIGHT, (name, weight) -> weight.div(factor.reshape(-1, 1)));
        tensors.computeIfPresent(linear + BIAS, (name, bias) -> bias.div(factor));
    }

    private static void multiplyRows(Map<String, NDArray> tensors, String linear, NDArray factor) {
        tensors.computeIfPresent(linear + WEIGHT, (name, weight) -> weight.mul(factor.reshape(-1, 1)));
        tensors.computeIfPresent(linear + BIAS, (name, bias) -> bias.mul(factor));
    }
}
