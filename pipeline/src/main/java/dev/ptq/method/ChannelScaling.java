package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import dev.ptq.model.Edge;
import dev.ptq.tensor.NativeFloats;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One positive factor for each channel of an edge, and perhaps a shift: what flows is {@code (x - shift) / scale}, and
 * the consumers' weights make up for it. Source: SmoothQuant (ICML 2023), OmniQuant (ICLR 2024).
 */
final class ChannelScaling implements EquivalentTransform {
    private static final String WEIGHT = ".weight";
    private static final String BIAS = ".bias";

    private final Edge edge;
    private final HeadLayout heads;
    private final float floor;
    private final Parameter scale;
    private final @Nullable Parameter shift;

    /**
     * Starts from given values.
     *
     * @param scale {@code [channels]} of the producer; between queries and keys {@code [kvHeads, headDim]}, or {@code
     *     [kvHeads, headDim / 2]} for one factor per pair that a rotation turns
     * @param shift {@code [channels]}
     * @param floor that training keeps factors above
     */
    ChannelScaling(Edge edge, HeadLayout heads, NDArray scale, @Nullable NDArray shift, double floor, double rate) {
        this.edge = edge;
        this.heads = heads;
        this.floor = (float) floor;
        String label = edge.kind().label();
        this.scale = new Parameter(label + ".scale", scale, rate);
        this.shift = shift == null ? null : new Parameter(label + ".shift", shift, rate);
    }

    @Override
    public List<Parameter> parameters() {
        return Stream.of(scale, shift).filter(Objects::nonNull).toList();
    }

    /** Factors stay positive: at zero the transform has no inverse. */
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
        switch (edge.kind()) {
            case ATTENTION_IN, MLP_IN -> {
                tensors.computeIfPresent(edge.producer() + WEIGHT, (name, weight) -> weight.div(factor));
                unshift(tensors, factor, offset);
                edge.consumers().forEach(consumer -> takeUp(tensors, consumer, factor, offset));
            }
            case MLP_MID -> {
                divideRows(tensors, edge.producer(), factor);
                edge.consumers().forEach(consumer -> takeUp(tensors, consumer, factor, offset));
            }
            case VALUE_OUT -> {
                tensors.computeIfPresent(edge.producer() + WEIGHT, (name, weight) -> weight.div(factor.reshape(-1, 1)));
                unshift(tensors, factor, offset);
                NDArray wide = heads.perQueryChannel(factor);
                NDArray wideOffset = offset == null ? null : heads.perQueryChannel(offset);
                edge.consumers().forEach(consumer -> takeUp(tensors, consumer, wide, wideOffset));
            }
            case QUERY_KEY -> {
                boolean paired = factor.getShape().get(1) < heads.headDim();
                NDArray perKey = paired ? factor.concat(factor, 1) : factor;
                NDArray perQuery = heads.perQueryChannel(perKey);
                edge.consumers().forEach(query -> divideRows(tensors, query, perQuery));
                multiplyRows(tensors, edge.producer(), perKey.reshape(-1));
            }
        }
    }

    /** The producer's bias, which a shift creates where there is none: {@code (bias - shift) / scale}. */
    private void unshift(Map<String, NDArray> tensors, NDArray factor, @Nullable NDArray offset) {
        String name = edge.producer() + BIAS;
        NDArray bias = tensors.get(name);
        if (offset != null) {
            tensors.put(name, (bias == null ? offset.neg() : bias.sub(offset)).div(factor));
        } else if (bias != null) {
            tensors.put(name, bias.div(factor));
        }
    }

    /** A consumer's weight times the factors, by column, and its bias with what the shift would have given. */
    private static void takeUp(
            Map<String, NDArray> tensors, String consumer, NDArray factor, @Nullable NDArray offset) {
        NDArray weight = Objects.requireNonNull(tensors.get(consumer + WEIGHT), consumer);
        if (offset != null) {
            addToBias(tensors, consumer, weight, offset);
        }
        tensors.put(consumer + WEIGHT, weight.mul(factor));
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
