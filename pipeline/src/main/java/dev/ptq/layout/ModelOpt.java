package dev.ptq.layout;

import dev.ptq.format.GivenScaleFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Nvfp4Format;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * The layout of NVIDIA's Model Optimizer for NVFP4: {@code weight} of type E2M1, {@code weight_scale} of type E4M3 for 16
 * columns, and {@code weight_scale_2} and {@code input_scale}, each the tensor's largest magnitude by 2688, by which block
 * scales are multiplied.
 */
final class ModelOpt implements Layout {
    private static final String CODES = "weight";
    private static final String SCALES = "weight_scale";
    private static final String TENSOR_SCALE = "weight_scale_2";
    private static final String INPUT_SCALE = "input_scale";
    private static final String KEY_SCALE = "k_proj.k_scale";
    private static final String VALUE_SCALE = "v_proj.v_scale";
    private static final int BLOCK_SIZE = 16;

    @Override
    public Set<String> methods() {
        return Set.of("modelopt");
    }

    @Override
    public Reader reader(QuantizationConfig config) throws IOException {
        // the tool's own file has the same settings one table deeper
        QuantizationConfig settings = config.has("quantization") ? config.table("quantization") : config;
        settings.expect("quant_algo", "", "NVFP4");
        if (settings.number("group_size", BLOCK_SIZE) != BLOCK_SIZE) {
            throw settings.wrong("group_size", "16");
        }
        String cache = settings.text("kv_cache_quant_algo", "none");
        boolean isScheme = settings.has("kv_cache_scheme");
        if (isScheme) {
            cache = "FP8";
            QuantizationConfig scheme = settings.table("kv_cache_scheme");
            scheme.expect("type", "float", "float");
            if (scheme.number("num_bits") != 8 || scheme.flag("dynamic", false)) {
                throw settings.wrong("kv_cache_scheme", "8 bits with stored scales");
            }
        }
        if (!Set.of("none", "FP8").contains(cache)) {
            throw settings.wrong("kv_cache_quant_algo", "null or \"FP8\"");
        }
        List<String> excluded = settings.texts(settings.has("exclude_modules") ? "exclude_modules" : "ignore");
        return new ModelOptReader(excluded, cache.equals("FP8"));
    }

    private record ModelOptReader(List<String> excluded, boolean hasCache) implements Reader {
        @Override
        public Set<String> suffixes() {
            return Set.of(CODES, SCALES, TENSOR_SCALE, INPUT_SCALE);
        }

        /** {@inheritDoc} A star in a name stands for anything. */
        @Override
        public boolean packs(String module) {
            return excluded.stream().noneMatch(name -> {
                String pattern = Pattern.quote(name).replace("*", "\\E.*\\Q");
                return module.matches(pattern) || ModuleNames.contains(List.of(name), module);
            });
        }

        @Override
        public PackedLinear open(ModuleTensors tensors) throws IOException {
            tensors.scalar(TENSOR_SCALE);
            // engines take the reciprocal, which is the global scale of compressed-tensors
            NumberFormat input = new GivenScaleFormat(new Nvfp4Format(), 1 / tensors.scalar(INPUT_SCALE), 0);
            return E2m1Codes.open("ModelOpt NVFP4", tensors, CODES, (out, in) -> {
                        float[] scales = E2m1Codes.blockScales(tensors, SCALES, out, in, BLOCK_SIZE);
                        float tensorScale = tensors.scalar(TENSOR_SCALE);
                        for (int i = 0; i < scales.length; i++) {
                            scales[i] *= tensorScale;
                        }
                        return Scales.of(scales, in / BLOCK_SIZE, 1, BLOCK_SIZE);
                    })
                    .with(Optional.of(input));
        }

        @Override
        public Set<String> cacheSuffixes() {
            return hasCache ? Set.of(KEY_SCALE, VALUE_SCALE) : Set.of();
        }

        @Override
        public StoredActivations.Cache cache(ModuleTensors scales) throws IOException {
            return new StoredActivations.Cache(
                    Activations.fp8(scales.scalar(KEY_SCALE)), Activations.fp8(scales.scalar(VALUE_SCALE)));
        }
    }
}
