package dev.ptq.stage;

import dev.ptq.evaluate.PairedBootstrap;
import dev.ptq.evaluate.Perplexity;
import dev.ptq.evaluate.PerplexityProtocol;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.TreeSet;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;

/**
 * Two runs on what both were measured on, item by item.
 *
 * @param losses of texts
 * @param notes what is not compared, and why
 */
public record Comparison(List<Loss> losses, List<String> notes) {
    private static final List<String> CONDITIONS =
            List.of("text_sha256", "tokenizer_sha256", "protocol", "seq_len", "batch_size", "chunks", "tokens");

    public Comparison {
        losses = List.copyOf(losses);
        notes = List.copyOf(notes);
    }

    /**
     * The losses on a text.
     *
     * @param first of the first run, in nats per token
     * @param second likewise
     * @param interval of the second minus the first; none for a single chunk
     * @param probability of a difference at least as large where there is none
     */
    public record Loss(
            String text,
            int chunks,
            double first,
            double second,
            Optional<PairedBootstrap.Interval> interval,
            double probability) {}

    /**
     * Compares what the experiments themselves measured, not their baselines.
     *
     * @throws IOException naming the file that is missing or damaged
     */
    public static Comparison of(Path first, Path second) throws IOException {
        List<Loss> losses = new ArrayList<>();
        List<String> notes = new ArrayList<>();
        TreeSet<String> names = new TreeSet<>(measured(first));
        TreeSet<String> others = new TreeSet<>(measured(second));
        for (String name : names) {
            if (others.remove(name)) {
                compare(name, folder(first, name), folder(second, name), losses, notes);
            } else {
                notes.add(name + ": only in " + first);
            }
        }
        others.forEach(name -> notes.add(name + ": only in " + second));
        return new Comparison(losses, notes);
    }

    private static Path folder(Path run, String name) {
        return run.resolve(EvaluateStage.NAME)
                .resolve(Variant.QUANTIZED.label())
                .resolve(name);
    }

    /** What a run was measured on: folders with scores. */
    private static List<String> measured(Path run) throws IOException {
        Path folder = folder(run, "");
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> folders = Files.list(folder)) {
            return folders.filter(path -> Files.exists(path.resolve(EvaluateStage.SCORES)))
                    .map(path -> path.getFileName().toString())
                    .toList();
        }
    }

    private static void compare(String name, Path first, Path second, List<Loss> losses, List<String> notes)
            throws IOException {
        JsonNode scores = JsonFiles.read(first.resolve(EvaluateStage.SCORES));
        JsonNode others = JsonFiles.read(second.resolve(EvaluateStage.SCORES));
        for (String condition : CONDITIONS) {
            if (!scores.path(condition).equals(others.path(condition))) {
                notes.add(name + ": not compared, " + condition + " differs: "
                        + scores.path(condition).asString("-") + " and "
                        + others.path(condition).asString("-"));
                return;
            }
        }
        List<Perplexity.ChunkLoss> chunks = ChunkTable.read(first);
        List<Perplexity.ChunkLoss> otherChunks = ChunkTable.read(second);
        int[] counts = chunks.stream().mapToInt(Perplexity.ChunkLoss::tokens).toArray();
        if (!Arrays.equals(
                counts,
                otherChunks.stream().mapToInt(Perplexity.ChunkLoss::tokens).toArray())) {
            throw new IOException(second.resolve(ChunkTable.FILE) + ": not the chunks of "
                    + first.resolve(ChunkTable.FILE) + ", though the text and the protocol are the same");
        }
        PerplexityProtocol protocol =
                PerplexityProtocol.valueOf(scores.path("protocol").asString("").toUpperCase(Locale.ROOT));
        PairedBootstrap bootstrap = new PairedBootstrap(
                protocol.weights(counts, scores.path("batch_size").asInt()),
                List.of(means(chunks), means(otherChunks)));
        losses.add(new Loss(
                name,
                counts.length,
                scores.path("loss").asDouble(),
                others.path("loss").asDouble(),
                bootstrap.difference(1, 0),
                bootstrap.probability(1, 0)));
    }

    private static double[] means(List<Perplexity.ChunkLoss> chunks) {
        return chunks.stream().mapToDouble(Perplexity.ChunkLoss::mean).toArray();
    }
}
