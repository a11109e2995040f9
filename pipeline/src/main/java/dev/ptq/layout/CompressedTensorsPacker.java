package dev.ptq.layout;

import dev.ptq.format.Grid;
import dev.ptq.layout.IntegerMatrix.Scheme;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Writes compressed-tensors, pack-quantized. Formats that differ between linears become groups of modules. */
final class CompressedTensorsPacker implements Packer {
    private static final String NAME = "compressed-tensors";
    /** A release that packs codes densely, as here. */
    private static final String VERSION = "0.19.0";

    private static final String PACKING = "pack-quantized";

    private final Map<Scheme, List<String>> modules = new LinkedHashMap<>();

    @Override
    public Map<String, RawTensor> pack(String module, Grid grid) throws IOException {
        IntegerMatrix matrix = IntegerMatrix.of(grid, NAME);
        if (matrix.hasNegativeScale()) {
            throw new IOException(NAME + " has no place for negative scales, which grid = \"full_range\" may give;"
                    + " --format gptq has");
        }
        Scheme scheme = matrix.scheme();
        Words words = Words.dense(scheme.bits());
        int out = matrix.out();
        int in = matrix.in();
        int groups = matrix.groups();
        Map<String, RawTensor> tensors = new LinkedHashMap<>();
        tensors.put(
                "weight_packed",
                new RawTensor(
                        StoredType.I32,
                        List.of((long) out, (long) words.count(in)),
                        words.pack(matrix.codes(), Words.Lines.rows(words, out, in), out * words.count(in))));
        tensors.put("weight_shape", RawTensor.of(new long[] {out, in}, 2));
        tensors.put("weight_scale", RawTensor.of(matrix.scales(), out, groups));
        if (!scheme.symmetric()) {
            tensors.put(
                    "weight_zero_point",
                    new RawTensor(
                            StoredType.I32,
                            List.of((long) words.count(out), (long) groups),
                            words.pack(
                                    matrix.turnedZeros(),
                                    Words.Lines.columns(0, groups, groups, out),
                                    words.count(out) * groups)));
        }
        if (scheme.ordered()) {
            tensors.put("weight_g_idx", RawTensor.of(matrix.groupOfColumn(), in));
        }
        modules.computeIfAbsent(scheme, some -> new ArrayList<>()).add(module);
        return tensors;
    }

    @Override
    public Map<String, Object> config(List<String> unpacked) {
        Map<String, @Nullable Object> groups = new LinkedHashMap<>();
        modules.forEach((scheme, names) -> {
            Map<String, @Nullable Object> group = new LinkedHashMap<>();
            group.put("format", PACKING);
            group.put("input_activations", null);
            group.put("output_activations", null);
            group.put("targets", modules.size() == 1 ? List.of("Linear") : names);
            group.put("weights", weights(scheme));
            groups.put("group_" + groups.size(), group);
        });
        Map<String, @Nullable Object> config = new LinkedHashMap<>();
        config.put("config_groups", groups);
        config.put("format", PACKING);
        config.put("global_compression_ratio", null);
        config.put("ignore", unpacked);
        config.put("kv_cache_scheme", null);
        config.put("quant_method", NAME);
        config.put("quantization_status", "compressed");
        config.put("sparsity_config", Map.of());
        config.put("transform_config", Map.of());
        config.put("version", VERSION);
        return config;
    }

    private static Map<String, @Nullable Object> weights(Scheme scheme) {
        Map<String, @Nullable Object> weights = new LinkedHashMap<>();
        weights.put("actorder", scheme.ordered() ? "group" : null);
        weights.put("block_structure", null);
        weights.put("dynamic", false);
        weights.put("group_size", scheme.groupSize() == -1 ? null : scheme.groupSize());
        weights.put("num_bits", scheme.bits());
        weights.put("observer", "minmax");
        weights.put("observer_kwargs", Map.of());
        weights.put("strategy", scheme.groupSize() == -1 ? "channel" : "group");
        weights.put("symmetric", scheme.symmetric());
        weights.put("type", "int");
        return weights;
    }
}
