package dev.ptq.evaluate.task;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The log of a task's documents, {@code samples_TASK.jsonl}, written by this program or the harness. */
public final class SampleLog {
    private SampleLog() {}

    /**
     * The outcome of a document.
     *
     * @param id its number in its split
     * @param promptHash of the prompt
     * @param metrics name to value; without the weighted ones
     */
    public record Outcome(int id, String promptHash, Map<String, Double> metrics) {}

    /**
     * Reads a log.
     *
     * @throws IOException naming the file and the line that is at fault
     */
    public static List<Outcome> read(Path file) throws IOException {
        List<Outcome> outcomes = new ArrayList<>();
        try (BufferedReader lines = Files.newBufferedReader(file)) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                try {
                    outcomes.add(outcome(JsonMapper.shared().readTree(line)));
                } catch (JacksonException | IllegalArgumentException e) {
                    throw new IOException(
                            file + ":" + (outcomes.size() + 1) + ": not a line of a sample log: " + e.getMessage(), e);
                }
            }
        } catch (CharacterCodingException e) {
            throw new IOException(file + ": expected text in UTF-8", e);
        }
        return outcomes;
    }

    private static Outcome outcome(JsonNode line) {
        if (!line.path("doc_id").isInt() || !line.path("metrics").isArray()) {
            throw new IllegalArgumentException("expected doc_id and metrics");
        }
        Map<String, Double> metrics = new LinkedHashMap<>();
        for (JsonNode name : line.path("metrics")) {
            JsonNode value = line.path(name.asString(""));
            if (value.isNumber()) {
                metrics.put(name.asString(), value.doubleValue());
            }
        }
        return new Outcome(
                line.path("doc_id").intValue(), line.path("prompt_hash").asString(""), metrics);
    }
}
