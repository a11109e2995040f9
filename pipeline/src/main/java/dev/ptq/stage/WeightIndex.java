package dev.ptq.stage;

import dev.ptq.artifact.RunFiles;
import dev.ptq.format.Formats;
import dev.ptq.format.NumberFormat;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * {@code weights.json}: the weights that evaluation reads. A weight is stored where a method left it, or rounded to its
 * format when it is read.
 *
 * @param weights by name
 */
record WeightIndex(Map<String, Entry> weights) {
    private static final String VERSION = "version";
    private static final String WEIGHTS = "weights";
    private static final int CURRENT = 1;

    /**
     * The place of a weight.
     *
     * @param format as in a config
     * @param from {@code "approximate/weights"} if it is stored there, or {@code "model"}
     */
    record Entry(String format, String from) {
        static Entry of(NumberFormat format, boolean stored) {
            return new Entry(Formats.written(format), stored ? RunFiles.APPROXIMATE + "/" + RunFiles.WEIGHTS : "model");
        }
    }

    WeightIndex {
        weights = new LinkedHashMap<>(weights);
    }

    void write(Path folder) throws IOException {
        Map<String, Object> content = new LinkedHashMap<>();
        content.put(VERSION, CURRENT);
        content.put(WEIGHTS, weights);
        JsonFiles.write(folder.resolve(RunFiles.WEIGHT_INDEX), content);
    }

    /** Reads the formats of all weights, by name. */
    static Map<String, NumberFormat> formats(Path folder) throws IOException {
        Path file = folder.resolve(RunFiles.WEIGHT_INDEX);
        JsonNode content = JsonFiles.read(file);
        if (content.path(VERSION).asInt(0) != CURRENT) {
            throw new IOException(file + ": expected version " + CURRENT + ", got " + content.path(VERSION));
        }
        Map<String, NumberFormat> formats = new LinkedHashMap<>();
        try {
            Map<String, Entry> entries =
                    JsonMapper.shared().treeToValue(content.path(WEIGHTS), new TypeReference<Map<String, Entry>>() {});
            for (Map.Entry<String, Entry> entry : entries.entrySet()) {
                formats.put(entry.getKey(), Formats.parse(entry.getValue().format(), file.toString()));
            }
        } catch (JacksonException e) {
            throw new IOException(file + ": expected a format and a place for each weight", e);
        }
        return formats;
    }
}
