package dev.ptq.data;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Files of rows with named fields. */
public final class Rows {
    private Rows() {}

    /**
     * Reads a file.
     *
     * @param file {@code .jsonl}: an object in each line; blank lines are passed over
     * @throws IOException naming the file and the line that is at fault
     */
    public static List<Row> read(Path file) throws IOException {
        List<Row> rows = new ArrayList<>();
        try (BufferedReader lines = Files.newBufferedReader(file)) {
            int number = 0;
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                number++;
                if (!line.isBlank()) {
                    rows.add(row(line, file + ":" + number));
                }
            }
        } catch (CharacterCodingException e) {
            throw new IOException(file + ": expected text in UTF-8", e);
        }
        return rows;
    }

    private static Row row(String line, String place) throws IOException {
        JsonNode node;
        try {
            node = JsonMapper.shared().readTree(line);
        } catch (JacksonException e) {
            throw new IOException(place + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
        if (!(node instanceof ObjectNode fields)) {
            throw new IOException(place + ": expected an object");
        }
        return new Row(fields, place);
    }
}
