package dev.ptq.report;

import dev.ptq.artifact.QuantizedColumn;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.TableColumn;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads {@code layers.csv} of a stage: a number for each linear. */
final class LayerTable {
    private LayerTable() {}

    /**
     * Reads one column, in the order of the file; linears outside of blocks are left out, and so are empty cells.
     *
     * @param stage the file's folder in the run
     * @return empty if there is no such file
     */
    static Map<LinearName, Double> column(Path run, String stage, TableColumn column) throws IOException {
        String name = stage + "/" + RunFiles.LAYERS;
        Map<LinearName, Double> values = new LinkedHashMap<>();
        for (List<String> row : RunTable.rows(run, name, QuantizedColumn.MODULE, column)) {
            String cell = row.get(1);
            if (!cell.isEmpty()) {
                try {
                    double value = Double.parseDouble(cell);
                    LinearName.of(row.get(0)).ifPresent(found -> values.put(found, value));
                } catch (NumberFormatException e) {
                    throw new IOException(name + ": expected a table of module and " + column.label(), e);
                }
            }
        }
        return values;
    }
}
