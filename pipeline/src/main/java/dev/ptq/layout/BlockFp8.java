package dev.ptq.layout;

import dev.ptq.format.Fp8Format;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.SmallFloat;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The layout that DeepSeek and Qwen3 publish FP8 models in: {@code weight} of type E4M3, {@code weight_scale_inv} for each
 * rectangle, by which its values are multiplied despite the name. Inputs are rounded in groups as wide as a rectangle.
 */
final class BlockFp8 implements Layout {
    private static final String SCALES = "weight_scale_inv";

    @Override
    public Set<String> methods() {
        return Set.of("fp8");
    }

    @Override
    public Reader reader(QuantizationConfig config) throws IOException {
        config.expect("fmt", "e4m3", "e4m3");
        config.expect("activation_scheme", "dynamic", "dynamic");
        config.expect("scale_fmt", "float", "float");
        List<Integer> block = config.pair("weight_block_size");
        return new Fp8Reader(
                block.get(0),
                block.get(1),
                config.texts(config.has("modules_to_not_convert") ? "modules_to_not_convert" : "ignored_layers"));
    }

    private record Fp8Reader(int blockRows, int blockColumns, List<String> skipped) implements Reader {
        @Override
        public Set<String> suffixes() {
            return Set.of(ByteCodes.CODES, SCALES);
        }

        @Override
        public boolean packs(String module) {
            return !ModuleNames.contains(skipped, module);
        }

        @Override
        public PackedLinear open(ModuleTensors tensors) throws IOException {
            NumberFormat input = new Fp8Format(
                    SmallFloat.E4M3,
                    Fp8Format.Granularity.BLOCK,
                    List.of(1, blockColumns),
                    Fp8Format.Rule.COMPRESSED_TENSORS);
            String label = "FP8 E4M3, blocks of " + blockRows + " x " + blockColumns;
            return ByteCodes.open(
                            label,
                            tensors,
                            StoredType.F8_E4M3,
                            8,
                            (out, in) -> rectangles(tensors, SCALES, out, in, blockRows, blockColumns))
                    .with(Optional.of(input));
        }
    }

    /** Reads a scale for each rectangle; the last ones may be smaller. */
    static Scales rectangles(ModuleTensors tensors, String name, int out, int in, int rows, int columns)
            throws IOException {
        int down = (out - 1) / rows + 1;
        int across = (in - 1) / columns + 1;
        return Scales.of(tensors.scales(name, down, across), across, rows, columns);
    }
}
