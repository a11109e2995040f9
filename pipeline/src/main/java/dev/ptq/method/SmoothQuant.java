package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.calibrate.Statistic;
import dev.ptq.config.ConfigTable;
import dev.ptq.model.Edge;
import dev.ptq.model.ModelConfig;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.tensor.NativeFloats;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * SmoothQuant: moves outliers of activations into the weights that take them, by the factors {@code max|x|^alpha /
 * max|w|^(1 - alpha)}. Source: SmoothQuant (ICML 2023).
 *
 * @param alpha how much of the difficulty goes to the weights
 * @param edges that are smoothed
 */
record SmoothQuant(double alpha, List<Edge.Kind> edges) implements Method {
    static SmoothQuant read(ConfigTable table) {
        return new SmoothQuant(
                table.decimal("alpha", 0.5, 0, 1),
                Edges.read(
                        table,
                        List.of(Edge.Kind.ATTENTION_IN, Edge.Kind.MLP_IN),
                        EnumSet.complementOf(EnumSet.of(Edge.Kind.QUERY_KEY))));
    }

    @Override
    public String name() {
        return "smoothquant";
    }

    @Override
    public Set<Statistic> statistics() {
        return Set.of(Statistic.ABS_MAX);
    }

    @Override
    public void check(ModelConfig shape, QuantizationSettings quantization, ConfigTable table) {
        Edges.check(edges, shape, table);
    }

    @Override
    public Set<Edge.Kind> transforms() {
        return Set.copyOf(edges);
    }

    @Override
    public void apply(BlockWork work) {
        try (NDManager scratch = work.block().manager().newSubManager()) {
            Map<String, NDArray> tensors = work.block().tensors();
            tensors.values().forEach(tensor -> tensor.tempAttach(scratch));
            HeadLayout heads = HeadLayout.of(work.shape());
            ScaleStart start = new ScaleStart(ScaleStart.Rule.BALANCED, alpha);
            List<EquivalentTransform> transforms = new ArrayList<>();
            List<Parameter> scales = new ArrayList<>();
            for (Edge edge : work.edges(transforms())) {
                float[] scale = start.scales(work, edge, edge.consumers());
                if (edge.kind() == Edge.Kind.VALUE_OUT) {
                    scale = heads.largestOfGroup(scale);
                }
                ChannelScaling transform = new ChannelScaling(
                        edge, heads, NativeFloats.of(work.block().manager(), scale, scale.length), null, 0, 0);
                transforms.add(transform);
                scales.addAll(transform.parameters());
            }
            Map<String, NDArray> smoothed = new LinkedHashMap<>(tensors);
            transforms.forEach(transform -> transform.apply(smoothed));
            work.replace(smoothed, Map.of());
            work.keep(name(), scales);
        }
    }
}
