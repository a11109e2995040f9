package dev.ptq.stage;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

/** Reads and writes the JSON files of a run. */
public final class JsonFiles {
    private static final JsonMapper JSON =
            JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

    private JsonFiles() {}

    /** Writes a file, indented. */
    public static void write(Path file, Object content) throws IOException {
        Files.writeString(file, JSON.writeValueAsString(content) + "\n");
    }

    /**
     * Reads a file.
     *
     * @throws IOException naming the file if it is absent or not valid
     */
    public static JsonNode read(Path file) throws IOException {
        try {
            return JSON.readTree(Files.readString(file));
        } catch (JacksonException e) {
            throw new IOException(file + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
    }
}
