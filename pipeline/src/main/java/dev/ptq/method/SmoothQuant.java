package dev.ptq.method;

import ai.djl.ndarray.NDManager;
import dev.ptq.calibrate.Statistic;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Keys;
import dev.ptq.family.ModelConfig;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.SmoothingMapping;
import java.util.EnumSet;
import java.util.LinkedHashMap;
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
    private static final MappingKeys MAPPINGS = MappingKeys.of(
            List.of(SmoothingMapping.Kind.ATTENTION_IN, SmoothingMapping.Kind.MLP_IN),
            EnumSet.complementOf(EnumSet.of(SmoothingMapping.Kind.QUERY_KEY)));

    /** The keys of a step. */
    static final Keys KEYS = Keys.of(ScaleStart.ALPHA, MAPPINGS.key());

    static SmoothQuant read(ConfigTable table) {
        return new SmoothQuant(table.read(ScaleStart.ALPHA), MAPPINGS.read(table));
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
        HeadLayout heads = HeadLayout.of(context.shape().attention());
        ScaleStart start = new ScaleStart(ScaleStart.Rule.BALANCED, alpha);
        Map<SmoothingMapping, float[]> scales = new LinkedHashMap<>();
        try (NDManager scratch = context.block().manager().newSubManager()) {
            context.block().tensors().values().forEach(tensor -> tensor.tempAttach(scratch));
            for (SmoothingMapping mapping : context.mappings(transforms())) {
                float[] scale = start.scales(context, mapping, mapping.balanceLayers());
                boolean ofValues = mapping.kind() == SmoothingMapping.Kind.VALUE_OUT;
                scales.put(mapping, ofValues ? heads.largestOfGroup(scale) : scale);
            }
        }
        ChannelScaling.apply(context, name(), scales);
    }
}
