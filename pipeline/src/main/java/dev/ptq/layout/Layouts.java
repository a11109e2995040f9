package dev.ptq.layout;

import dev.ptq.config.Spelling;
import dev.ptq.weights.Checkpoint;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/** All checkpoint layouts, and the way from a folder to its own. */
public final class Layouts {
    private static final List<Layout> ALL = List.of(
            new CompressedTensors(), new Gptq(), new Awq(), new BitsAndBytes(), new BlockFp8(), new ModelOpt());

    /** Names that only packed checkpoints have. */
    private static final Pattern PACKED =
            Pattern.compile(".*(qweight|qzeros|weight_packed|weight\\.absmax|SCB|_blocks|weight_scale|weight_scale_inv)");

    private Layouts() {}

    /** Returns the values of {@code quant_method} that are read. */
    public static List<String> methods() {
        return ALL.stream()
                .flatMap(layout -> layout.methods().stream())
                .sorted()
                .toList();
    }

    static StoredCheckpoint open(Path folder) throws IOException {
        Checkpoint checkpoint = Checkpoint.open(folder);
        try {
            Optional<QuantizationConfig> config = QuantizationConfig.find(folder);
            Optional<String> packed = checkpoint.names().stream()
                    .filter(name -> PACKED.matcher(name).matches())
                    .findFirst();
            if (config.isEmpty()) {
                if (packed.isPresent()) {
                    throw new IOException(folder + ": tensor " + packed.get()
                            + " is part of a packed weight, and config.json has no quantization_config that says how it is"
                            + " packed; fetch config.json again, with the file " + QuantizationConfig.OTHER_FILES
                            + " that the folder came with, if there was one");
                }
                return StoredCheckpoint.of(checkpoint);
            }
            Optional<Layout> layout = layout(config.get());
            if (layout.isPresent()) {
                return PackedCheckpoint.open(checkpoint, layout.get().reader(config.get()));
            }
            if (packed.isPresent()) {
                String method = config.get().method();
                throw new IOException(packed.get() + ": the weights are packed, and " + config.get().place()
                        + ".quant_method: expected one of " + methods() + ", got \"" + method
                        + "\"; take such a checkpoint, or one in float32, float16 or bfloat16"
                        + Spelling.hint(Spelling.closest(method, methods())));
            }
            return StoredCheckpoint.of(checkpoint);
        } catch (IOException | RuntimeException e) {
            checkpoint.close();
            throw e;
        }
    }

    private static Optional<Layout> layout(QuantizationConfig config) throws IOException {
        String method = config.method();
        return ALL.stream().filter(layout -> layout.methods().contains(method)).findFirst();
    }
}
