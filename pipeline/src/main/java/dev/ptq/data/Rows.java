package dev.ptq.data;

import dev.ptq.parquet.ParquetFile;
import java.io.BufferedReader;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Reads files of rows with named fields. */
public final class Rows {
    /** The valid endings; if a split's files have several, the first in this list counts. */
    public static final List<String> ENDINGS = List.of(".parquet", ".jsonl", ".json", ".jsonl.gz", ".json.gz", ".txt");

    private Rows() {}

    /**
     * Reads a file.
     *
     * @param file {@code .parquet}; {@code .jsonl}: one object per line, blank lines are skipped; {@code .json}: the
     *     same, or an array of objects; either of them in gzip, {@code .gz}; {@code .txt}: a line is the field {@code
     *     text}
     * @throws IOException naming the file and the row that is at fault
     */
    public static List<Row> read(Path file) throws IOException {
        return read(file, Optional.empty());
    }

    /** Reads one field of a file; rows may have others too. */
    static List<Row> read(Path file, String field) throws IOException {
        return read(file, Optional.of(field));
    }

    /** Returns whether a file of that name can be read. */
    static boolean hasEnding(String name) {
        return ENDINGS.stream().anyMatch(name::endsWith);
    }

    private static List<Row> read(Path file, Optional<String> field) throws IOException {
        String name = file.toString();
        if (name.endsWith(".parquet")) {
            return numbered(ParquetFile.read(file, field), file);
        }
        try (BufferedReader in = reader(file)) {
            if (name.endsWith(".txt")) {
                return texts(in, file);
            }
            boolean array = (name.endsWith(".json") || name.endsWith(".json.gz")) && startsArray(in);
            return array ? array(in, file) : lines(in, file);
        } catch (CharacterCodingException e) {
            throw new IOException(file + ": expected text in UTF-8", e);
        } catch (ZipException | EOFException e) {
            throw new IOException(file + ": damaged: " + e.getMessage(), e);
        }
    }

    private static BufferedReader reader(Path file) throws IOException {
        if (!file.toString().endsWith(".gz")) {
            return Files.newBufferedReader(file);
        }
        return new BufferedReader(new InputStreamReader(
                new LimitedStream(
                        new GZIPInputStream(Files.newInputStream(file)),
                        Runtime.getRuntime().maxMemory() / 4,
                        file),
                StandardCharsets.UTF_8.newDecoder()));
    }

    private static boolean startsArray(BufferedReader in) throws IOException {
        int first;
        do {
            in.mark(1);
            first = in.read();
        } while (Character.isWhitespace(first));
        in.reset();
        return first == '[';
    }

    private static List<Row> texts(BufferedReader in, Path file) throws IOException {
        List<ObjectNode> rows = new ArrayList<>();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            rows.add(JsonMapper.shared().createObjectNode().put("text", line));
        }
        return numbered(rows, file);
    }

    private static List<Row> numbered(List<ObjectNode> fields, Path file) {
        List<Row> rows = new ArrayList<>();
        for (ObjectNode row : fields) {
            rows.add(new Row(row, file + ":" + (rows.size() + 1)));
        }
        return rows;
    }

    private static List<Row> lines(BufferedReader in, Path file) throws IOException {
        List<Row> rows = new ArrayList<>();
        int number = 0;
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            number++;
            if (!line.isBlank()) {
                rows.add(row(line, file + ":" + number));
            }
        }
        return rows;
    }

    private static Row row(String line, String place) throws IOException {
        try {
            return new Row(object(JsonMapper.shared().readTree(line), place), place);
        } catch (JacksonException e) {
            throw new IOException(place + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
    }

    private static List<Row> array(BufferedReader in, Path file) throws IOException {
        List<ObjectNode> rows = new ArrayList<>();
        try {
            for (JsonNode row : (ArrayNode) JsonMapper.shared().readTree(in)) {
                rows.add(object(row, file + ":" + (rows.size() + 1)));
            }
        } catch (JacksonException e) {
            if (e.getCause() instanceof IOException cause) {
                throw cause;
            }
            throw new IOException(file + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
        return numbered(rows, file);
    }

    private static ObjectNode object(JsonNode node, String place) throws IOException {
        if (node instanceof ObjectNode fields) {
            return fields;
        }
        throw new IOException(place + ": expected an object");
    }
}
