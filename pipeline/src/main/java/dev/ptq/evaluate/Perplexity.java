package dev.ptq.evaluate;

import dev.ptq.artifact.Metric;
import dev.ptq.config.ConfigException;
import dev.ptq.data.Tokenizer;
import dev.ptq.family.ModelConfig;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.Divergence;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Predictions;
import dev.ptq.model.ResumeState;
import dev.ptq.model.TargetPositions;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.IntToDoubleFunction;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Token perplexity of a model on a text. */
public final class Perplexity {
    /** Hidden states held at a time, in values; a longer text goes through the model in several passes. */
    private static final long HIDDEN_VALUES = 1L << 26;

    private static final Logger log = LoggerFactory.getLogger(Perplexity.class);

    private Perplexity() {}

    /**
     * A perplexity and the numbers behind it.
     *
     * @param loss mean negative log-likelihood in nats, as the protocol averages it
     * @param scoredTokens predictions that count
     * @param divergences from a reference, for each chunk; empty if there was none
     */
    public record Result(
            double loss,
            double perplexity,
            List<ChunkLoss> chunks,
            long scoredTokens,
            List<ChunkDivergence> divergences) {
        /** Returns the mean divergence and agreement over all scored tokens. */
        public Optional<ChunkDivergence> divergence() {
            if (divergences.isEmpty()) {
                return Optional.empty();
            }
            double divergence = 0;
            double agreement = 0;
            for (int i = 0; i < divergences.size(); i++) {
                int tokens = chunks.get(i).tokens();
                if (tokens > 0) {
                    divergence += tokens * divergences.get(i).divergence();
                    agreement += tokens * divergences.get(i).agreement();
                }
            }
            return Optional.of(new ChunkDivergence(divergence / scoredTokens, agreement / scoredTokens));
        }
    }

    /**
     * The loss of one chunk.
     *
     * @param mean over its scored tokens, in nats; NaN if there are none
     * @param tokens that are scored
     */
    public record ChunkLoss(double mean, int tokens) {}

    /**
     * The differences between the predictions of one chunk and a reference model's.
     *
     * @param divergence mean over the scored tokens of the Kullback-Leibler divergence from the reference, in nats; NaN
     *     if there are none
     * @param agreement the share of them for which both have the same likeliest token
     */
    public record ChunkDivergence(double divergence, double agreement) {}

    /**
     * The models that score a text.
     *
     * @param runner makes the blocks
     * @param reference makes the blocks of the model to compare predictions with; none without a comparison
     */
    public record Models(LanguageModel model, BlockRunner runner, Optional<BlockRunner> reference) {
        /** A model without a reference. */
        public Models(LanguageModel model, BlockRunner runner) {
            this(model, runner, Optional.empty());
        }

        /** Returns how many sets of hidden states go through the blocks and are held at a time. */
        int copies() {
            return reference.isPresent() ? 2 : 1;
        }
    }

    /**
     * Cuts the text into chunks.
     *
     * @param vocabulary of the model, by which known texts are recognized
     * @throws ConfigException if there is not one whole chunk, or no token in them is scored
     * @throws IOException if the text cannot be read, or the model cannot take the length of a chunk
     */
    public static int[][] chunks(PerplexitySettings settings, Tokenizer tokenizer, int maxPositions, int vocabulary)
            throws IOException {
        requireLength(settings.seqLen(), maxPositions);
        int[][] chunks = settings.protocol().chunks(documents(settings), tokenizer, settings);
        if (chunks.length == 0) {
            throw new ConfigException(settings.text().label() + ": the text is shorter than one chunk of "
                    + settings.seqLen() + " tokens; lower seq_len or take a longer text");
        }
        KnownTexts.warning(settings, chunks.length, vocabulary).ifPresent(log::warn);
        int count = settings.protocol().limited(chunks.length, settings.maxSamples(), settings.batchSize());
        int[][] evaluated = Arrays.copyOf(chunks, count);
        OptionalInt unscored = settings.protocol().unscored(tokenizer.padId());
        if (Arrays.stream(evaluated).allMatch(chunk -> scored(chunk, unscored) == 0)) {
            throw new ConfigException(settings.text().label() + ": every token to be predicted is padding, which"
                    + " protocol lqer leaves out; take another text or protocol");
        }
        return evaluated;
    }

    /** Returns the rows of a text; with protocol {@code rolling} only non-empty ones, and no more than asked for. */
    private static List<String> documents(PerplexitySettings settings) throws IOException {
        List<String> rows = settings.text().rows();
        if (settings.protocol() != PerplexityProtocol.ROLLING) {
            return rows;
        }
        return rows.stream()
                .filter(row -> !row.isEmpty())
                .limit(settings.maxSamples().orElse(Integer.MAX_VALUE))
                .toList();
    }

    /**
     * Returns the metrics of a result: perplexity and loss, with protocol {@code rolling} also per word and per byte,
     * and with a reference the differences between predictions.
     */
    public static Map<Metric, Double> metrics(PerplexitySettings settings, Result result) throws IOException {
        Map<Metric, Double> metrics = new EnumMap<>(Metric.class);
        metrics.put(Metric.PERPLEXITY, result.perplexity());
        metrics.put(Metric.LOSS, result.loss());
        if (settings.protocol() == PerplexityProtocol.ROLLING) {
            addPerWordAndByte(settings, result, metrics);
        }
        result.divergence().ifPresent(mean -> {
            metrics.put(Metric.KL_DIVERGENCE, mean.divergence());
            metrics.put(Metric.TOP1_AGREEMENT, mean.agreement());
        });
        return metrics;
    }

    /**
     * Adds the metrics that do not depend on the tokenizer. Words are separated by white space as Python sees it; bytes
     * are UTF-8.
     */
    private static void addPerWordAndByte(PerplexitySettings settings, Result result, Map<Metric, Double> metrics)
            throws IOException {
        double sum = result.loss() * result.scoredTokens();
        long words = 0;
        long bytes = 0;
        for (String document : documents(settings)) {
            words += PythonText.words(document);
            bytes += document.getBytes(StandardCharsets.UTF_8).length;
        }
        metrics.put(Metric.WORD_PERPLEXITY, Math.exp(sum / words));
        metrics.put(Metric.BYTE_PERPLEXITY, Math.exp(sum / bytes));
        metrics.put(Metric.BITS_PER_BYTE, sum / bytes / Math.log(2));
    }

    /** Returns how many predictions in a chunk count. */
    private static int scored(int[] chunk, OptionalInt unscored) {
        return (int) IntStream.range(0, chunk.length - 1)
                .filter(position -> isScored(chunk, position, unscored))
                .count();
    }

    /** Returns whether the prediction at a position counts. */
    private static boolean isScored(int[] chunk, int position, OptionalInt unscored) {
        return unscored.isEmpty() || chunk[position + 1] != unscored.getAsInt();
    }

    /**
     * Checks a chunk length.
     *
     * @throws IOException if the model has fewer positions
     */
    public static void requireLength(int seqLen, int maxPositions) throws IOException {
        if (seqLen > maxPositions) {
            throw new IOException("seq_len " + seqLen + " is more than the model's " + maxPositions + " positions");
        }
    }

    /** Returns the most bytes of hidden states that {@link #evaluate} holds at a time. */
    public static long hiddenBytes(PerplexitySettings settings, ModelConfig shape) {
        long chunk = (long) settings.seqLen() * shape.hiddenSize();
        long batch = chunk * settings.batchSize();
        long wanted = settings.maxSamples().isPresent()
                ? chunk * settings.maxSamples().getAsInt()
                : HIDDEN_VALUES;
        long copies = settings.divergence() ? 2 : 1;
        return Math.max(copies * batch, Math.min(copies * wanted, HIDDEN_VALUES)) * Float.BYTES;
    }

    /**
     * Scores the chunks.
     *
     * @param padId of the tokenizer, whose prediction some protocols leave out
     * @param unfinished the resume state
     */
    public static Result evaluate(
            Models models,
            PerplexitySettings settings,
            int[][] chunks,
            OptionalInt padId,
            ResumeState unfinished,
            Progress.Reporter reporter)
            throws IOException {
        OptionalInt unscored = settings.protocol().unscored(padId);
        int[] counts =
                Arrays.stream(chunks).mapToInt(chunk -> scored(chunk, unscored)).toArray();
        List<ChunkSums> sums = settings.protocol() == PerplexityProtocol.ROLLING
                ? rollingSums(models, settings, chunks, unfinished, reporter)
                : chunkSums(models, settings, chunks, unscored, unfinished, reporter);
        double[] losses = sums.stream().mapToDouble(ChunkSums::loss).toArray();
        double loss = settings.protocol().meanLoss(losses, counts, settings.batchSize());
        if (!Double.isFinite(loss)) {
            throw new IOException("the loss on " + settings.name() + " is " + loss);
        }
        List<ChunkLoss> chunkLosses = new ArrayList<>();
        List<ChunkDivergence> divergences = new ArrayList<>();
        for (int i = 0; i < counts.length; i++) {
            int tokens = counts[i];
            chunkLosses.add(new ChunkLoss(sums.get(i).loss() / tokens, tokens));
            sums.get(i)
                    .divergence()
                    .ifPresent(sum ->
                            divergences.add(new ChunkDivergence(sum.divergence() / tokens, sum.agreement() / tokens)));
        }
        return new Result(
                loss,
                Math.exp(loss),
                chunkLosses,
                Arrays.stream(counts).asLongStream().sum(),
                divergences);
    }

    /**
     * Sums over the scored tokens of a chunk.
     *
     * @param divergence from the reference, and the number of agreements; absent without a reference
     */
    private record ChunkSums(double loss, Optional<ChunkDivergence> divergence) {
        /** Returns the sums of chunks, one after another, from the output of {@link #numbers}. */
        static List<ChunkSums> of(double[] numbers, boolean withReference) {
            int values = values(withReference);
            List<ChunkSums> sums = new ArrayList<>();
            for (int at = 0; at < numbers.length; at += values) {
                sums.add(new ChunkSums(
                        numbers[at],
                        withReference
                                ? Optional.of(new ChunkDivergence(numbers[at + 1], numbers[at + 2]))
                                : Optional.empty()));
            }
            return sums;
        }

        /** Returns how many numbers hold a chunk's sums. */
        static int values(boolean withReference) {
            return withReference ? 3 : 1;
        }

        static double[] numbers(List<ChunkSums> sums) {
            return sums.stream().flatMapToDouble(ChunkSums::numbers).toArray();
        }

        private DoubleStream numbers() {
            return divergence
                    .map(sum -> DoubleStream.of(loss, sum.divergence(), sum.agreement()))
                    .orElseGet(() -> DoubleStream.of(loss));
        }
    }

    /** Returns the summed token losses of each document. */
    private static List<ChunkSums> rollingSums(
            Models models,
            PerplexitySettings settings,
            int[][] documents,
            ResumeState unfinished,
            Progress.Reporter reporter)
            throws IOException {
        ModelScorer scorer =
                new ModelScorer(models.model(), models.runner(), settings.batchSize(), false, unfinished, reporter);
        long inPass = ModelScorer.tokensAtOnce(models.model().config());
        double[] losses = new double[documents.length];
        int from = 0;
        while (from < documents.length) {
            List<Request> windows = new ArrayList<>();
            List<Integer> owners = new ArrayList<>();
            int to = from;
            for (long tokens = 0;
                    to < documents.length && (to == from || tokens + documents[to].length <= inPass);
                    to++) {
                int[] ids = documents[to];
                tokens += ids.length;
                for (Request window :
                        RollingWindows.of(ids[0], Arrays.copyOfRange(ids, 1, ids.length), settings.seqLen())) {
                    windows.add(window);
                    owners.add(to);
                }
            }
            List<Score> scores = scorer.score("documents-" + from, windows);
            for (int i = 0; i < scores.size(); i++) {
                losses[owners.get(i)] -= scores.get(i).logLikelihood();
            }
            from = to;
        }
        return ChunkSums.of(losses, false);
    }

    /** Returns the summed scored losses of each chunk; with a reference also divergences and agreements. */
    private static List<ChunkSums> chunkSums(
            Models models,
            PerplexitySettings settings,
            int[][] chunks,
            OptionalInt unscored,
            ResumeState unfinished,
            Progress.Reporter reporter)
            throws IOException {
        int seqLen = settings.seqLen();
        int batchSize = settings.batchSize();
        ModelConfig shape = models.model().config();
        long inPass = HIDDEN_VALUES / ((long) seqLen * shape.hiddenSize() * models.copies());
        int passChunks = (int) Math.max(batchSize, Math.min(chunks.length, inPass) / batchSize * batchSize);
        List<ChunkSums> sums = new ArrayList<>();
        long batches = ((long) chunks.length + batchSize - 1) / batchSize;
        long steps = batches * shape.blocks() * models.copies();
        try (Progress progress = reporter.start("perplexity " + settings.name(), steps, "block passes")) {
            long stepsBefore = 0;
            for (int from = 0; from < chunks.length; from += passChunks) {
                int[][] pass = Arrays.copyOfRange(chunks, from, Math.min(chunks.length, from + passChunks));
                String name = "chunks-" + from;
                boolean withReference = models.reference().isPresent();
                double[] kept = unfinished.numbers(name).orElse(new double[0]);
                if (kept.length == ChunkSums.values(withReference) * pass.length) {
                    sums.addAll(ChunkSums.of(kept, withReference));
                } else {
                    Pass work = new Pass(models, batchSize, unscored, unfinished, name);
                    List<ChunkSums> passSums = work.sums(pass, progress, stepsBefore);
                    unfinished.keep(name, ChunkSums.numbers(passSums));
                    sums.addAll(passSums);
                }
                stepsBefore += ((long) pass.length + batchSize - 1) / batchSize * shape.blocks() * models.copies();
                progress.step(stepsBefore);
            }
        }
        return sums;
    }

    /** The settings with which chunks go through the model together. */
    private record Pass(Models models, int batchSize, OptionalInt unscored, ResumeState unfinished, String name) {
        /** Returns the summed scored losses of each chunk; with a reference also divergences and agreements. */
        List<ChunkSums> sums(int[][] chunks, Progress progress, long stepsBefore) throws IOException {
            LanguageModel model = models.model();
            TargetPositions places = TargetPositions.ofNextTokens(chunks);
            try (HiddenStates states = run(chunks, models.runner(), name, progress, stepsBefore)) {
                Predictions predictions = model.predictions(states, places);
                double[] losses = sums(chunks, predictions::loss);
                if (models.reference().isEmpty()) {
                    return ChunkSums.of(losses, false);
                }
                long half = (long) states.size() * model.config().blocks();
                try (HiddenStates expected =
                        run(chunks, models.reference().get(), name + "-reference", progress, stepsBefore + half)) {
                    Divergence divergence = model.divergence(expected, states, places);
                    double[] divergences = sums(chunks, divergence::divergence);
                    double[] agreements = sums(chunks, place -> divergence.agrees(place) ? 1 : 0);
                    return IntStream.range(0, chunks.length)
                            .mapToObj(i -> new ChunkSums(
                                    losses[i], Optional.of(new ChunkDivergence(divergences[i], agreements[i]))))
                            .toList();
                }
            }
        }

        private HiddenStates run(
                int[][] chunks, BlockRunner runner, String passName, Progress progress, long stepsBefore)
                throws IOException {
            HiddenStates states = models.model().embed(chunks, batchSize);
            try {
                runner.run(
                        states,
                        ActivationObserver.NONE,
                        shifted(progress, stepsBefore),
                        passName,
                        unfinished,
                        ResumeState.Carried.nothing());
                return states;
            } catch (IOException | RuntimeException e) {
                states.close();
                throw e;
            }
        }

        /** Returns the sum of a value over the scored positions of each chunk. */
        private double[] sums(int[][] chunks, IntToDoubleFunction value) {
            double[] sums = new double[chunks.length];
            int place = 0;
            for (int chunk = 0; chunk < chunks.length; chunk++) {
                for (int position = 0; position < chunks[chunk].length - 1; position++, place++) {
                    if (isScored(chunks[chunk], position, unscored)) {
                        sums[chunk] += value.applyAsDouble(place);
                    }
                }
            }
            return sums;
        }
    }

    private static Progress shifted(Progress progress, long before) {
        return new Progress() {
            @Override
            public void step(long done) {
                progress.step(before + done);
            }

            @Override
            public void close() {}
        };
    }
}
