package dev.ptq.stage;

import dev.ptq.artifact.TableColumn;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVParser;
import org.apache.commons.csv.CSVPrinter;
import org.apache.commons.csv.CSVRecord;

/** Reads and writes the CSV files of a run. */
public final class Tables {
    private Tables() {}

    /** Writes a table. */
    public static void write(Path file, List<String> header, List<List<Object>> rows) throws IOException {
        CSVFormat format = format(header);
        try (Writer writer = Files.newBufferedWriter(file);
                CSVPrinter printer = new CSVPrinter(writer, format)) {
            printer.printRecords(rows);
        }
    }

    /**
     * The rows below the header, each by column name, in order.
     *
     * @throws IOException if the file has another header, or rows of another length
     */
    public static List<Map<String, String>> read(Path file, List<String> header) throws IOException {
        List<List<String>> rows = new ArrayList<>();
        try (CSVParser parser = CSVParser.parse(file, StandardCharsets.UTF_8, format(header))) {
            for (CSVRecord row : parser) {
                rows.add(row.toList());
            }
        } catch (UncheckedIOException e) {
            throw new IOException(file + ": not a table: " + e.getMessage(), e);
        }
        if (rows.isEmpty()
                || !rows.get(0).equals(header)
                || rows.stream().anyMatch(row -> row.size() != header.size())) {
            throw new IOException(file + ": expected a table of " + String.join(", ", header));
        }
        return rows.subList(1, rows.size()).stream()
                .map(row -> byColumn(header, row))
                .toList();
    }

    private static Map<String, String> byColumn(List<String> header, List<String> row) {
        Map<String, String> cells = new LinkedHashMap<>();
        for (int i = 0; i < header.size(); i++) {
            cells.put(header.get(i), row.get(i));
        }
        return cells;
    }

    /** The cell in a row from {@link #read}. */
    public static String cell(Map<String, String> row, TableColumn column) {
        return Objects.requireNonNull(row.get(column.label()), column.label());
    }

    private static CSVFormat format(List<String> header) {
        return CSVFormat.DEFAULT
                .builder()
                .setHeader(header.toArray(String[]::new))
                .setRecordSeparator('\n')
                .get();
    }
}
