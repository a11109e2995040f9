package dev.ptq.stage;

import dev.ptq.evaluate.Perplexity;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** {@code chunks.csv}: the loss of each chunk of a text, and of how many tokens it is the mean. */
final class ChunkTable {
    static final String FILE = "chunks.csv";

    private static final List<String> HEADER = List.of("chunk", "loss", "tokens");

    private ChunkTable() {}

    /** Writes a row for each chunk; the loss of one without a scored token is left empty. */
    static void write(Path directory, List<Perplexity.ChunkLoss> chunks) throws IOException {
        List<List<Object>> rows = new ArrayList<>();
        for (Perplexity.ChunkLoss chunk : chunks) {
            rows.add(List.of(rows.size(), chunk.tokens() == 0 ? "" : chunk.mean(), chunk.tokens()));
        }
        Tables.write(directory.resolve(FILE), HEADER, rows);
    }

    static List<Perplexity.ChunkLoss> read(Path directory) throws IOException {
        Path file = directory.resolve(FILE);
        List<Perplexity.ChunkLoss> chunks = new ArrayList<>();
        for (List<String> row : Tables.read(file, HEADER)) {
            try {
                int tokens = Integer.parseInt(row.get(2));
                chunks.add(new Perplexity.ChunkLoss(tokens == 0 ? Double.NaN : Double.parseDouble(row.get(1)), tokens));
            } catch (NumberFormatException e) {
                throw new IOException(file + ": expected a loss and a count of tokens, got " + row, e);
            }
        }
        return chunks;
    }
}
