package dev.ptq.data;

import dev.ptq.config.ConfigTable;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import tools.jackson.databind.JsonNode;

/**
 * A file of text.
 *
 * @param path of a file of {@link Rows}
 * @param layout how a text file is divided into rows; other files have rows of their own
 * @param field of a row that holds the text; empty for a text file
 */
public record TextFile(String path, Layout layout, String field) implements Text {
    /** The division of a text file into rows. */
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

    static TextFile read(ConfigTable table, String path, Split defaultSplit) {
        if (!isFile(path)) {
            table.problem(
                    TextKeys.DATASET,
                    "no such file: \"" + path
                            + "\" (a path in a file starts at its folder, others at the current directory)");
        }
        table.refuse(TextKeys.split(defaultSplit), "a file has no splits; remove it");
        table.refuse(TextKeys.CONFIG, "a file is one data set; remove it");
        if (!path.endsWith(".txt")) {
            return new TextFile(path, Layout.LINES, table.read(TextKeys.FIELD));
        }
        return new TextFile(path, table.read(TextKeys.LAYOUT), "");
    }

    /** Returns the file's name without its ending. */
    @Override
    public String name() {
        String file = lastPart(path);
        int dot = file.lastIndexOf('.');
        return dot > 0 ? file.substring(0, dot) : file;
    }

    /** Returns the part after the last separator of a possible path. */
    static String lastPart(String path) {
        return path.replaceFirst("[/\\\\]+$", "").replaceFirst("(?s).*[/\\\\]", "");
    }

    private static boolean isFile(String path) {
        try {
            return Files.isRegularFile(Path.of(path));
        } catch (InvalidPathException e) {
            return false;
        }
    }

    @Override
    public String label() {
        return path;
    }

    /** The file's digest, and the way it is read. */
    public record Content(String sha256, Layout layout, String field) implements Text.Content {}

    @Override
    public List<Path> files() {
        return List.of(Path.of(path));
    }

    @Override
    public Content content() throws IOException {
        return new Content(Digests.of(Path.of(path)), layout, field);
    }

    @Override
    public List<String> rows() throws IOException {
        if (!field.isEmpty()) {
            return texts(Rows.read(Path.of(path), field), field);
        }
        String text;
        try {
            text = Files.readString(Path.of(path));
        } catch (CharacterCodingException e) {
            throw new IOException(path + ": expected text in UTF-8", e);
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

    /** Returns the texts in a field of rows. */
    static List<String> texts(List<Row> rows, String field) throws IOException {
        List<String> texts = new ArrayList<>();
        for (Row row : rows) {
            JsonNode text = row.fields().path(field);
            if (!text.isString()) {
                throw new IOException(row.place() + ": expected a text under \"" + field + "\", "
                        + (text.isMissingNode()
                                ? "found only " + row.fields().propertyNames()
                                : "got " + text.getNodeType().name().toLowerCase(Locale.ROOT)));
            }
            texts.add(text.asString());
        }
        return texts;
    }
}
