package dev.ptq.data;

import dev.ptq.config.ConfigTable;
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

/**
 * A file of text and how it falls into rows, the units that perplexity protocols join.
 *
 * @param path of a {@code .txt} or {@code .jsonl} file
 * @param layout how a text file falls into rows; a JSONL file has one in each line
 * @param field of a JSONL line that holds the text
 */
public record TextFile(String path, Layout layout, String field) {
    /** How a text file falls into rows. */
    public enum Layout {
        /** The whole file is one row. */
        DOCUMENT,
        /** Each line is a row, without its line end. */
        LINES,
        /**
         * The tokenised edition of wikitext as its Hugging Face data set presents it: {@code <unk>} becomes
         * {@code unk}, a blank line is an empty row, any other line keeps its line end.
         */
        WIKITEXT
    }

    /** Reads the keys of {@code table} that name a text. */
    public static TextFile read(ConfigTable table) {
        String path = table.string("dataset");
        boolean json = path.endsWith(".jsonl");
        if (!path.isEmpty() && !Files.isRegularFile(Path.of(path))) {
            table.problem(
                    "dataset",
                    path.endsWith(".txt") || json
                            ? "no such file: \"" + path + "\" (paths start at the current directory)"
                            : "expected the path of a .txt or .jsonl file, got \"" + path + "\"");
        } else if (!path.isEmpty() && !path.endsWith(".txt") && !json) {
            table.problem("dataset", "expected the path of a .txt or .jsonl file, got \"" + path + "\"");
        }
        if (json) {
            return new TextFile(path, Layout.LINES, table.string("field", "text"));
        }
        Map<String, Layout> layouts = new LinkedHashMap<>();
        layouts.put("document", Layout.DOCUMENT);
        layouts.put("lines", Layout.LINES);
        layouts.put("wikitext", Layout.WIKITEXT);
        return new TextFile(path, table.choice("layout", layouts, "document"), "");
    }

    /** The name that metrics carry unless the config gives another: the file's without its ending. */
    public String name() {
        Path last = Path.of(path).getFileName();
        String file = last == null ? path : last.toString();
        int dot = file.lastIndexOf('.');
        return dot > 0 ? file.substring(0, dot) : file;
    }

    /** What a fingerprint needs to know of a text. */
    public record Content(String sha256, Layout layout, String field) {}

    /** Hashes the file. */
    public Content content() throws IOException {
        return new Content(Digests.of(Path.of(path)), layout, field);
    }

    /**
     * Reads the rows.
     *
     * @throws IOException naming the file, and the line where one is at fault
     */
    public List<String> rows() throws IOException {
        String text;
        try {
            text = Files.readString(Path.of(path));
        } catch (CharacterCodingException e) {
            throw new IOException(path + ": expected text in UTF-8", e);
        }
        if (!field.isEmpty()) {
            return jsonRows(text);
        }
        return switch (layout) {
            case DOCUMENT -> List.of(text);
            case LINES -> text.lines().toList();
            case WIKITEXT ->
                text.replace("<unk>", "unk")
                        .lines()
                        .map(line -> line.isBlank() ? "" : line + "\n")
                        .toList();
        };
    }

    private List<String> jsonRows(String text) throws IOException {
        List<String> rows = new ArrayList<>();
        int number = 0;
        for (String line : text.lines().toList()) {
            number++;
            if (line.isBlank()) {
                continue;
            }
            JsonNode node;
            try {
                node = JsonMapper.shared().readTree(line);
            } catch (JacksonException e) {
                throw new IOException(path + ":" + number + ": not valid JSON: " + e.getOriginalMessage(), e);
            }
            if (!node.path(field).isString()) {
                throw new IOException(path + ":" + number + ": expected a text under \"" + field + "\", got " + line);
            }
            rows.add(node.path(field).asString());
        }
        return rows;
    }
}
