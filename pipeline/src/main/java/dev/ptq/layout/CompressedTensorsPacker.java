package dev.ptq.layout;

import dev.ptq.format.Fp8Format;
import dev.ptq.format.Grid;
import dev.ptq.format.MxFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Nvfp4Format;
import dev.ptq.layout.IntegerMatrix.Scheme;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Writes compressed-tensors. Formats that differ between linears become groups of modules. */
final class CompressedTensorsPacker implements Packer {
    private static final String NAME = "compressed-tensors";
    /** A release that packs codes densely, as here. */
    private static final String VERSION = "0.19.0";

    private static final String PACKING = "pack-quantized";

    private final ScaleStore scales;
    private final Map<Kind, List<String>> modules = new LinkedHashMap<>();

    private Optional<Map<String, Object>> cache = Optional.empty();

    /** What the description says of weights and of inputs, by key; others are left out in it. */
    private record Kind(String format, Map<String, Object> weights, Optional<Map<String, Object>> input) {}

    CompressedTensorsPacker(ScaleStore scales) {
        this.scales = scales;
    }

    @Override
    public Map<String, RawTensor> pack(String module, Grid grid, NumberFormat input) throws IOException {
        NumberFormat format = grid.format().dynamic();
        SmallFloatMatrix.Packed packed = format instanceof Fp8Format fp8
                ? SmallFloatMatrix.of(grid, fp8, scales)
                : format instanceof MxFormat mx
                        ? SmallFloatMatrix.of(grid, mx)
                        : format instanceof Nvfp4Format nvfp4 ? SmallFloatMatrix.of(grid, nvfp4) : integers(grid);
        Optional<ActivationScheme> scheme = ActivationScheme.of(input);
        Kind kind = new Kind(packed.format(), packed.weights(), scheme.map(ActivationScheme::description));
        modules.computeIfAbsent(kind, some -> new ArrayList<>()).add(module);
        Map<String, RawTensor> tensors = new LinkedHashMap<>(packed.tensors());
        scheme.ifPresent(found -> tensors.putAll(found.tensors()));
        return tensors;
    }

    @Override
    public boolean describes(NumberFormat input) {
        return input.isNone() || ActivationScheme.of(input).isPresent();
    }

    @Override
    public Map<String, Map<String, RawTensor>> packCaches(Map<String, StoredActivations.Cache> caches) {
        Map<String, Map<String, RawTensor>> tensors = new LinkedHashMap<>();
        Set<Map<String, Object>> descriptions = new LinkedHashSet<>();
        for (Map.Entry<String, StoredActivations.Cache> module : caches.entrySet()) {
            Map<String, RawTensor> scales = new LinkedHashMap<>();
            Map.of(
                            CompressedTensors.KEY_SCALE,
                            module.getValue().key(),
                            CompressedTensors.VALUE_SCALE,
                            module.getValue().value())
                    .forEach((name, format) -> ActivationScheme.of(format)
                            .filter(ActivationScheme::isOfCache)
                            .ifPresent(scheme -> {
                                descriptions.add(scheme.description());
                                scales.put(
                                        name,
                                        RawTensor.of(new float[] {scheme.scale().orElseThrow()}, 1));
                            }));
            if (scales.size() < 2) {
                return Map.of();
            }
            tensors.put(module.getKey(), scales);
        }
        if (descriptions.size() != 1) {
            return Map.of();
        }
        cache = descriptions.stream().findFirst();
        return tensors;
    }

    private SmallFloatMatrix.Packed integers(Grid grid) throws IOException {
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
        tensors.put("weight_scale", scales.tensor(matrix.scales(), out, groups));
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
        return new SmallFloatMatrix.Packed(PACKING, weights(scheme), tensors);
    }

    @Override
    public Map<String, @Nullable Object> config(List<String> unpacked) throws IOException {
        if (modules.isEmpty()) {
            throw new IOException("the run left no weight on a grid, so that " + NAME
                    + " has nothing to pack; --format float has a place for all");
        }
        Map<String, @Nullable Object> groups = new LinkedHashMap<>();
        modules.forEach((kind, names) -> {
            Map<String, @Nullable Object> group = new LinkedHashMap<>();
            group.put("format", kind.format());
            group.put("input_activations", ActivationScheme.complete(kind.input()));
            group.put("output_activations", null);
            group.put("targets", modules.size() == 1 ? List.of("Linear") : names);
            group.put("weights", weights(kind));
            groups.put("group_" + groups.size(), group);
        });
        List<String> formats =
                modules.keySet().stream().map(Kind::format).distinct().toList();
        Map<String, @Nullable Object> config = new LinkedHashMap<>();
        config.put("config_groups", groups);
        config.put("format", formats.size() == 1 ? formats.get(0) : "mixed-precision");
        config.put("global_compression_ratio", null);
        config.put("ignore", unpacked);
        config.put("kv_cache_scheme", ActivationScheme.complete(cache));
        config.put("quant_method", NAME);
        config.put("quantization_status", "compressed");
        config.put("sparsity_config", Map.of());
        config.put("transform_config", Map.of());
        config.put("version", VERSION);
        return config;
    }

    private static Map<String, @Nullable Object> weights(Kind kind) {
        Map<String, @Nullable Object> weights = new LinkedHashMap<>();
        for (String key : List.of("actorder", "block_structure", "group_size")) {
            weights.put(key, null);
        }
        weights.put("dynamic", false);
        weights.put("observer", "minmax");
        weights.put("observer_kwargs", Map.of());
        weights.put("symmetric", true);
        weights.put("type", "float");
        weights.putAll(kind.weights());
        return weights;
    }

    private static Map<String, Object> weights(Scheme scheme) {
        Map<String, Object> weights = new LinkedHashMap<>();
        if (scheme.ordered()) {
            weights.put("actorder", "group");
        }
        if (scheme.groupSize() != -1) {
            weights.put("group_size", scheme.groupSize());
        }
        weights.put("num_bits", scheme.bits());
        weights.put("strategy", scheme.groupSize() == -1 ? "channel" : "group");
        weights.put("symmetric", scheme.symmetric());
        weights.put("type", "int");
        return weights;
    }
}
