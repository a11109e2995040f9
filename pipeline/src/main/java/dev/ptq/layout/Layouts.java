package dev.ptq.layout;

import dev.ptq.config.Spelling;
import dev.ptq.weights.Checkpoint;
import dev.ptq.weights.ModelFolder;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/** All checkpoint layouts, and the way from a folder to its own. */
public final class Layouts {
    private static final List<Layout> ALL =
            List.of(new CompressedTensors(), new Gptq(), new Awq(), new BitsAndBytes(), new BlockFp8(), new ModelOpt());

    /** Names that only packed checkpoints have. */
    private static final Pattern PACKED =
            Pattern.compile(".*(\\.(qweight|qzeros|weight_packed|weight\\.absmax|SCB|weight_scale(_inv)?)|_blocks)");

    private Layouts() {}

    /** Returns the values of {@code quant_method} that are read. */
    public static List<String> methods() {
        return ALL.stream()
                .flatMap(layout -> layout.methods().stream())
                .sorted()
                .toList();
    }

    static StoredCheckpoint open(Path folder) throws IOException {
        if (Files.isRegularFile(folder)) {
            return StoredCheckpoint.of(WeightSource.open(folder));
        }
        Checkpoint checkpoint = Checkpoint.open(folder);
        try {
            Optional<String> packed = firstPacked(checkpoint);
            if (packed.isEmpty()) {
                return StoredCheckpoint.of(checkpoint);
            }
            Optional<QuantizationConfig> config = QuantizationConfig.find(folder);
            if (config.isEmpty()) {
                throw new IOException(checkpoint.file(packed.get()).file() + ": tensor " + packed.get() + " is "
                        + checkpoint.storedType(packed.get()) + ", as packed weights are (others are F32, F16 or BF16),"
                        + " and config.json has no quantization_config that says how it is packed; fetch config.json"
                        + " again, with that of " + ModelFolder.PACKING
                        + " that the folder came with, if there was one");
            }
            Optional<Layout> layout = layout(config.get());
            if (layout.isPresent()) {
                return PackedCheckpoint.open(checkpoint, layout.get().reader(config.get()));
            }
            String method = config.get().method();
            throw new IOException(packed.get() + ": the weights are packed, and "
                    + config.get().place()
                    + ".quant_method: expected one of " + methods() + ", got \"" + method
                    + "\"; take such a checkpoint, or one in float32, float16 or bfloat16"
                    + Spelling.hint(Spelling.closest(method, methods())));
        } catch (IOException | RuntimeException e) {
            checkpoint.close();
            throw e;
        }
    }

    private static Optional<String> firstPacked(Checkpoint checkpoint) throws IOException {
        for (String name : checkpoint.names()) {
            if (PACKED.matcher(name).matches() || (name.endsWith(".weight") && !checkpoint.hasFloats(name))) {
                return Optional.of(name);
            }
        }
        return Optional.empty();
    }

    private static Optional<Layout> layout(QuantizationConfig config) throws IOException {
        String method = config.method();
        return ALL.stream().filter(layout -> layout.methods().contains(method)).findFirst();
    }
}
