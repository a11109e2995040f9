package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.calibrate.Statistic;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.family.ModelConfig;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.SmoothingMapping;
import dev.ptq.tensor.NativeFloats;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * SmoothQuant: moves activation outliers into the weights that take them, by the factors {@code max|x|^alpha /
 * max|w|^(1 - alpha)}. Source: SmoothQuant (ICML 2023).
 *
 * @param alpha how much of the difficulty goes to the weights
 * @param mappings to be smoothed
 */
record SmoothQuant(double alpha, List<SmoothingMapping.Kind> mappings) implements Method {
    private static final Key<List<SmoothingMapping.Kind>> MAPPINGS = MappingKeys.key(
            List.of(SmoothingMapping.Kind.ATTENTION_IN, SmoothingMapping.Kind.MLP_IN),
            EnumSet.complementOf(EnumSet.of(SmoothingMapping.Kind.QUERY_KEY)));

    /** The keys of a step. */
    static final Keys KEYS = Keys.of(ScaleStart.ALPHA, MAPPINGS);

    static SmoothQuant read(ConfigTable table) {
        return new SmoothQuant(table.read(ScaleStart.ALPHA), MappingKeys.read(table, MAPPINGS));
    }

    @Override
    public String name() {
        return "smoothquant";
    }

    @Override
    public Phase phase() {
        return Phase.TRANSFORM;
    }

    @Override
    public Needs needs() {
        return Needs.of(Set.of(Statistic.ABS_MAX));
    }

    @Override
    public void check(ModelConfig shape, QuantizationSettings quantization, ConfigTable table) {}

    @Override
    public Set<SmoothingMapping.Kind> transforms() {
        return Set.copyOf(mappings);
    }

    @Override
    public void apply(BlockContext context) {
        try (NDManager scratch = context.block().manager().newSubManager()) {
            Map<String, NDArray> tensors = context.block().tensors();
            tensors.values().forEach(tensor -> tensor.tempAttach(scratch));
            HeadLayout heads = HeadLayout.of(context.shape().attention());
            ScaleStart start = new ScaleStart(ScaleStart.Rule.BALANCED, alpha);
            List<EquivalentTransform> transforms = new ArrayList<>();
            List<Parameter> scales = new ArrayList<>();
            for (SmoothingMapping mapping : context.mappings(transforms())) {
                float[] scale = start.scales(context, mapping, mapping.balanceLayers());
                if (mapping.kind() == SmoothingMapping.Kind.VALUE_OUT) {
                    scale = heads.largestOfGroup(scale);
                }
                ChannelScaling transform = new ChannelScaling(
                        mapping, heads, NativeFloats.of(context.block().manager(), scale, scale.length), null, 0, 0);
                transforms.add(transform);
                scales.addAll(transform.parameters());
            }
            FusedParts fused = new FusedParts(context.shape());
            Map<String, NDArray> smoothed = fused.apart(tensors);
            transforms.forEach(transform -> transform.apply(smoothed));
            context.transform(fused.together(smoothed));
            context.keep(name(), scales);
        }
    }
}
