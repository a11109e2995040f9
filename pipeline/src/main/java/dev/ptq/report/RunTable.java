package dev.ptq.report;

import dev.ptq.artifact.TableColumn;
import dev.ptq.run.SmallFile;
import java.io.IOException;
import java.io.StringReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVParser;
import org.apache.commons.csv.CSVRecord;

/** Reads the CSV files in the directory of a run, which anyone may have written. */
final class RunTable {
    private static final int MOST_BYTES = 4 << 20;

    private RunTable() {}

    /**
     * Reads the rows below the header.
     *
     * @param name of the file in the run
     * @return the cells of some columns, row by row; empty if there is no such file
     * @throws IOException naming the file if it is no table with these columns
     */
    static List<List<String>> rows(Path run, String name, TableColumn... columns) throws IOException {
        Path file = run.resolve(name);
        List<List<String>> rows = new ArrayList<>();
        Path folder = file.getParent();
        if (folder == null
                || !Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)
                || !Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
            return rows;
        }
        CSVFormat format = CSVFormat.DEFAULT
                .builder()
                .setHeader()
                .setSkipHeaderRecord(true)
                .get();
        List<String> labels = TableColumn.header(columns);
        String text = new String(SmallFile.read(file, name, MOST_BYTES), StandardCharsets.UTF_8);
        try (CSVParser parser = CSVParser.parse(new StringReader(text), format)) {
            for (CSVRecord row : parser) {
                rows.add(labels.stream().map(row::get).toList());
            }
        } catch (UncheckedIOException | IllegalArgumentException | IllegalStateException e) {
            throw new IOException(name + ": expected a table of " + String.join(" and ", labels), e);
        }
        return rows;
    }
}
