package dev.ptq.report;

import dev.ptq.artifact.QuantizedColumn;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.TableColumn;
import dev.ptq.run.SmallFile;
import java.io.IOException;
import java.io.StringReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVParser;
import org.apache.commons.csv.CSVRecord;

/** Reads {@code layers.csv} of a stage: a number for each linear. */
final class LayerTable {
    private static final String MODULE = QuantizedColumn.MODULE.label();
    private static final int MOST_BYTES = 4 << 20;

    private LayerTable() {}

    /**
     * Reads one column, in the order of the file; linears outside of blocks are left out, and so are empty cells.
     *
     * @param stage the file's folder in the run
     * @return empty if there is no such file
     */
    static Map<LinearName, Double> column(Path run, String stage, TableColumn column) throws IOException {
        Path folder = run.resolve(stage);
        Path file = folder.resolve(RunFiles.LAYERS);
        Map<LinearName, Double> values = new LinkedHashMap<>();
        if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS) || !Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
            return values;
        }
        CSVFormat format = CSVFormat.DEFAULT
                .builder()
                .setHeader()
                .setSkipHeaderRecord(true)
                .get();
        String text =
                new String(SmallFile.read(file, stage + "/" + RunFiles.LAYERS, MOST_BYTES), StandardCharsets.UTF_8);
        try (CSVParser parser = CSVParser.parse(new StringReader(text), format)) {
            for (CSVRecord row : parser) {
                Optional<LinearName> linear = LinearName.of(row.get(MODULE));
                String cell = row.get(column.label());
                if (!cell.isEmpty()) {
                    double value = Double.parseDouble(cell);
                    linear.ifPresent(found -> values.put(found, value));
                }
            }
        } catch (UncheckedIOException | IllegalArgumentException | IllegalStateException e) {
            throw new IOException(
                    stage + "/" + RunFiles.LAYERS + ": expected a table of module and " + column.label(), e);
        }
        return values;
    }
}
