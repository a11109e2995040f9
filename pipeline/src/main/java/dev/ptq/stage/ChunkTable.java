package dev.ptq.stage;

import dev.ptq.artifact.ChunkColumn;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.TableColumn;
import dev.ptq.evaluate.Perplexity;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** {@code chunks.csv}: the loss of each chunk of a text, and the number of tokens it averages. */
public final class ChunkTable {
    private static final List<String> HEADER = TableColumn.header(ChunkColumn.values());

    private ChunkTable() {}

    /** Writes a row for each chunk; the loss of a chunk without a scored token is left empty. */
    public static void write(Path directory, List<Perplexity.ChunkLoss> chunks) throws IOException {
        List<List<Object>> rows = new ArrayList<>();
        for (Perplexity.ChunkLoss chunk : chunks) {
            rows.add(List.of(rows.size(), chunk.tokens() == 0 ? "" : chunk.mean(), chunk.tokens()));
        }
        Tables.write(file(directory), HEADER, rows);
    }

    /** The table's path in the folder of a text. */
    public static Path file(Path directory) {
        return directory.resolve(RunFiles.CHUNKS);
    }

    /**
     * Reads the chunks of a text.
     *
     * @throws IOException naming the file that is absent or damaged
     */
    public static List<Perplexity.ChunkLoss> read(Path directory) throws IOException {
        Path file = file(directory);
        List<Perplexity.ChunkLoss> chunks = new ArrayList<>();
        for (Map<String, String> row : Tables.read(file, HEADER)) {
            try {
                int tokens = Integer.parseInt(Tables.cell(row, ChunkColumn.TOKENS));
                double mean = tokens == 0 ? Double.NaN : Double.parseDouble(Tables.cell(row, ChunkColumn.LOSS));
                chunks.add(new Perplexity.ChunkLoss(mean, tokens));
            } catch (NumberFormatException e) {
                throw new IOException(file + ": expected a loss and a count of tokens, got " + row.values(), e);
            }
        }
        return chunks;
    }
}
