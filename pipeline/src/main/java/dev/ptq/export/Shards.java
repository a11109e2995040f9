package dev.ptq.export;

import ai.djl.ndarray.NDArray;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import dev.ptq.weights.StoredType;
import dev.ptq.weights.Weight;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.databind.json.JsonMapper;

/**
 * The weights of a folder, written a part at a time: one file in the end, or the parts with an index where that is too large
 * to handle.
 */
final class Shards {
    /** Larger models stay in parts. */
    static final long MOST_BYTES = 1L << 31;

    /** Without it Hugging Face's loader refuses a file. */
    private static final Map<String, String> METADATA = Map.of("format", "pt");

    private static final String ENDING = ".safetensors";

    private final Path folder;
    private final String name;
    private final StoredType type;
    private final long mostBytes;
    private final List<Path> parts = new ArrayList<>();

    /**
     * Starts.
     *
     * @param name of the file, without its ending
     * @param type of tensors that are not packed
     * @param mostBytes of a single file
     */
    Shards(Path folder, String name, StoredType type, long mostBytes) {
        this.folder = folder;
        this.name = name;
        this.type = type;
        this.mostBytes = mostBytes;
    }

    private Path next() {
        Path part = folder.resolve("part-" + parts.size() + ENDING);
        parts.add(part);
        return part;
    }

    /** Writes a part of tensors in memory. */
    void add(Map<String, NDArray> tensors, Map<String, RawTensor> packed) throws IOException {
        SafetensorsWriter.write(next(), tensors, type, packed, METADATA);
    }

    /** Writes a part of tensors of any size. */
    void add(Map<String, Weight> weights) throws IOException {
        SafetensorsWriter.writeWeights(next(), weights, type, METADATA);
    }

    /** Gives the files their names, and returns the bytes of all. */
    long finish() throws IOException {
        long total = 0;
        for (Path part : parts) {
            total += Files.size(part);
        }
        if (total <= mostBytes) {
            SafetensorsWriter.join(folder.resolve(name + ENDING), parts, METADATA);
            for (Path part : parts) {
                Files.delete(part);
            }
            return total;
        }
        long bytes = 0;
        Map<String, String> places = new LinkedHashMap<>();
        for (int i = 0; i < parts.size(); i++) {
            String place = String.format(Locale.ROOT, "%s-%05d-of-%05d%s", name, i + 1, parts.size(), ENDING);
            Path shard = Files.move(parts.get(i), folder.resolve(place));
            try (Safetensors file = Safetensors.open(shard)) {
                for (Safetensors.Entry tensor : file.entries().values()) {
                    places.put(tensor.name(), place);
                    bytes += tensor.bytes();
                }
            }
        }
        Map<String, Object> index = new LinkedHashMap<>();
        index.put("metadata", Map.of("total_size", bytes));
        index.put("weight_map", places);
        Files.writeString(
                folder.resolve(name + ENDING + ".index.json"),
                JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(index));
        return total;
    }
}
