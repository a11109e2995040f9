package dev.ptq.experiment;

import dev.ptq.artifact.Metric;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.TextCondition;
import dev.ptq.artifact.Variant;
import dev.ptq.evaluate.McNemar;
import dev.ptq.evaluate.PairedBootstrap;
import dev.ptq.evaluate.Perplexity;
import dev.ptq.evaluate.PerplexityProtocol;
import dev.ptq.evaluate.task.SampleLog;
import dev.ptq.stage.ChunkTable;
import dev.ptq.stage.Scores;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * Two runs compared item by item, on everything that both were measured on.
 *
 * @param losses of texts
 * @param accuracies of tasks
 * @param notes what is not compared, and why
 */
public record Comparison(List<Loss> losses, List<Accuracy> accuracies, List<String> notes) {
    /** Conditions that must be equal for losses to be compared. */
    private static final List<TextCondition> CONDITIONS = List.of(
            TextCondition.TEXT_SHA256,
            TextCondition.TOKENIZER_SHA256,
            TextCondition.PROTOCOL,
            TextCondition.SEQ_LEN,
            TextCondition.BATCH_SIZE,
            TextCondition.CHUNKS,
            TextCondition.TOKENS);

    private static final List<String> METRICS = List.of(Metric.ACC.label(), Metric.ACC_NORM.label());

    public Comparison {
        losses = List.copyOf(losses);
        accuracies = List.copyOf(accuracies);
        notes = List.copyOf(notes);
    }

    /**
     * The losses on a text.
     *
     * @param first of the first run, in nats per token
     * @param second likewise
     * @param interval of the second minus the first; none for a single chunk
     * @param probability of a difference at least as large if there is none
     * @param spread the larger {@link Metric#NUMERICAL_SPREAD} of both, 0 if not measured
     */
    public record Loss(
            String text,
            int chunks,
            double first,
            double second,
            Optional<PairedBootstrap.Interval> interval,
            double probability,
            double spread) {
        /** Returns whether the difference is no larger than one that next to nothing makes. */
        public boolean isBelowSpread() {
            return Math.abs(second - first) < spread;
        }
    }

    /**
     * The accuracies on a task or group.
     *
     * @param metric {@code acc} or {@code acc_norm}
     * @param interval of the second minus the first; none for a single document
     * @param probability of counts at least as uneven if both are right equally often
     * @param lost documents that only the first run has right
     * @param won documents that only the second has right
     */
    public record Accuracy(
            String task,
            String metric,
            int documents,
            double first,
            double second,
            Optional<PairedBootstrap.Interval> interval,
            double probability,
            List<String> lost,
            List<String> won) {
        public Accuracy {
            lost = List.copyOf(lost);
            won = List.copyOf(won);
        }
    }

    /**
     * Compares the results of the experiments themselves, not of their baselines.
     *
     * @throws IOException naming the file that is missing or damaged
     */
    public static Comparison of(Path first, Path second) throws IOException {
        List<Loss> losses = new ArrayList<>();
        List<Accuracy> accuracies = new ArrayList<>();
        List<String> notes = new ArrayList<>();
        String texts = RunFiles.variant(Variant.QUANTIZED);
        for (String text : both(first, second, texts, RunFiles.SCORES, notes)) {
            String folder = RunFiles.text(Variant.QUANTIZED, text);
            compareLosses(text, first.resolve(folder), second.resolve(folder), losses, notes);
        }
        for (String name : both(first, second, texts + "/" + RunFiles.TASKS, RunFiles.METRICS, notes)) {
            String folder = RunFiles.task(Variant.QUANTIZED, name);
            compareAccuracies(
                    name, documents(first.resolve(folder)), documents(second.resolve(folder)), accuracies, notes);
        }
        return new Comparison(losses, accuracies, notes);
    }

    /** Returns the folders in which both runs have such a file. */
    private static List<String> both(Path first, Path second, String below, String file, List<String> notes)
            throws IOException {
        List<String> names = new ArrayList<>();
        TreeSet<String> others = new TreeSet<>(measured(second.resolve(below), file));
        for (String name : new TreeSet<>(measured(first.resolve(below), file))) {
            if (others.remove(name)) {
                names.add(name);
            } else {
                notes.add(name + ": only in " + first);
            }
        }
        others.forEach(name -> notes.add(name + ": only in " + second));
        return names;
    }

    /** Returns the folders with such a file. */
    private static List<String> measured(Path folder, String file) throws IOException {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> folders = Files.list(folder)) {
            return folders.filter(path -> Files.exists(path.resolve(file)))
                    .map(path -> path.getFileName().toString())
                    .toList();
        }
    }

    /** A document of a task, with a name that is unique among the parts of a group. */
    private record Document(String name, SampleLog.Outcome outcome) {}

    private static List<Document> documents(Path folder) throws IOException {
        Map<String, List<SampleLog.Outcome>> parts = TaskScores.outcomes(folder);
        List<Document> documents = new ArrayList<>();
        parts.forEach((part, outcomes) -> outcomes.forEach(outcome ->
                documents.add(new Document((parts.size() == 1 ? "" : part + "/") + outcome.id(), outcome))));
        return documents;
    }

    private static void compareAccuracies(
            String task, List<Document> first, List<Document> second, List<Accuracy> accuracies, List<String> notes) {
        if (!asked(first).equals(asked(second))) {
            notes.add(task + ": not compared, the documents or their prompts differ: " + first.size() + " and "
                    + second.size() + " documents");
            return;
        }
        for (String metric : METRICS) {
            if (!first.isEmpty() && have(metric, first) && have(metric, second)) {
                accuracies.add(accuracy(task, metric, first, second));
            }
        }
    }

    private static boolean have(String metric, List<Document> documents) {
        return documents.stream()
                .allMatch(document -> document.outcome().metrics().containsKey(metric));
    }

    private static List<String> asked(List<Document> documents) {
        return documents.stream()
                .map(document -> document.name() + " " + document.outcome().promptHash())
                .toList();
    }

    private static Accuracy accuracy(String task, String metric, List<Document> first, List<Document> second) {
        double[] weights = new double[first.size()];
        Arrays.fill(weights, 1.0 / first.size());
        double[] firstRight = values(metric, first);
        double[] secondRight = values(metric, second);
        List<String> lost = new ArrayList<>();
        List<String> won = new ArrayList<>();
        for (int i = 0; i < firstRight.length; i++) {
            if (firstRight[i] > secondRight[i]) {
                lost.add(first.get(i).name());
            } else if (firstRight[i] < secondRight[i]) {
                won.add(first.get(i).name());
            }
        }
        return new Accuracy(
                task,
                metric,
                first.size(),
                Arrays.stream(firstRight).average().orElseThrow(),
                Arrays.stream(secondRight).average().orElseThrow(),
                new PairedBootstrap(weights, List.of(firstRight, secondRight)).difference(1, 0),
                McNemar.probability(lost.size(), won.size()),
                lost,
                won);
    }

    private static double[] values(String metric, List<Document> documents) {
        return documents.stream()
                .mapToDouble(document ->
                        Objects.requireNonNull(document.outcome().metrics().get(metric)))
                .toArray();
    }

    private static void compareLosses(String name, Path first, Path second, List<Loss> losses, List<String> notes)
            throws IOException {
        Scores scores = Scores.read(first);
        Scores others = Scores.read(second);
        for (TextCondition condition : CONDITIONS) {
            Object own = scores.conditions().getOrDefault(condition, "-");
            Object other = others.conditions().getOrDefault(condition, "-");
            if (!own.equals(other)) {
                notes.add(name + ": not compared, " + condition.label() + " differs: " + own + " and " + other);
                return;
            }
        }
        List<Perplexity.ChunkLoss> chunks = ChunkTable.read(first);
        List<Perplexity.ChunkLoss> otherChunks = ChunkTable.read(second);
        int[] counts = chunks.stream().mapToInt(Perplexity.ChunkLoss::tokens).toArray();
        if (!Arrays.equals(
                counts,
                otherChunks.stream().mapToInt(Perplexity.ChunkLoss::tokens).toArray())) {
            throw new IOException(ChunkTable.file(second) + ": not the chunks of " + ChunkTable.file(first)
                    + ", though the text and the protocol are the same");
        }
        PerplexityProtocol protocol = scores.protocol()
                .orElseThrow(() -> new IOException(first.resolve(RunFiles.SCORES) + ": expected one of "
                        + Arrays.toString(PerplexityProtocol.values()) + " as protocol; make it again with --force "
                        + RunFiles.EVALUATE));
        PairedBootstrap bootstrap = new PairedBootstrap(
                protocol.weights(counts, scores.batchSize()), List.of(means(chunks), means(otherChunks)));
        losses.add(new Loss(
                name,
                counts.length,
                scores.metric(Metric.LOSS),
                others.metric(Metric.LOSS),
                bootstrap.difference(1, 0),
                bootstrap.probability(1, 0),
                Math.max(spread(scores), spread(others))));
    }

    private static double spread(Scores scores) {
        return scores.metrics().getOrDefault(Metric.NUMERICAL_SPREAD, 0.0);
    }

    private static double[] means(List<Perplexity.ChunkLoss> chunks) {
        return chunks.stream().mapToDouble(Perplexity.ChunkLoss::mean).toArray();
    }
}
