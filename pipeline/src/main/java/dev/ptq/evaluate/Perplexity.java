package dev.ptq.evaluate;

import dev.ptq.config.ConfigException;
import dev.ptq.data.Tokenizer;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.Divergence;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.ModelConfig;
import dev.ptq.model.Predictions;
import dev.ptq.model.ResumeState;
import dev.ptq.model.TargetPositions;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.IntToDoubleFunction;
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
     * A perplexity and what it was taken from.
     *
     * @param loss mean negative log-likelihood in nats, as the protocol averages it
     * @param scoredTokens predictions that count
     * @param divergences from a reference, for each chunk; empty where there was none
     */
    public record Result(
            double loss,
            double perplexity,
            List<ChunkLoss> chunks,
            long scoredTokens,
            List<ChunkDivergence> divergences) {
        /** The mean divergence of all scored tokens; agreement likewise. */
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
     * @param mean of its scored tokens, in nats; NaN where there are none
     * @param tokens that are scored
     */
    public record ChunkLoss(double mean, int tokens) {}

    /**
     * How the predictions of one chunk differ from those of a reference model.
     *
     * @param divergence mean over the scored tokens of the Kullback-Leibler divergence from the reference, in nats; NaN
     *     where there are none
     * @param agreement the share of them where both find the same token the likeliest
     */
    public record ChunkDivergence(double divergence, double agreement) {}

    /**
     * What a text is scored with.
     *
     * @param runner makes the blocks
     * @param reference makes those of the model that predictions are compared with; none where they are not compared
     */
    public record Models(LanguageModel model, BlockRunner runner, Optional<BlockRunner> reference) {
        /** A model without a reference. */
        public Models(LanguageModel model, BlockRunner runner) {
            this(model, runner, Optional.empty());
        }

        /** How many times hidden states go through the blocks, and are held at a time. */
        int copies() {
            return reference.isPresent() ? 2 : 1;
        }
    }

    /**
     * Cuts the text into chunks.
     *
     * @param vocabulary of the model, by which known texts are known
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

    /** The rows of a text; of protocol {@code rolling} only those that are not empty, and not more than asked for. */
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
     * What a loss is by the word and by the byte, for protocol {@code rolling}: figures that do not depend on the
     * tokenizer. Words are what white space separates, as Python sees it; bytes are those of UTF-8.
     *
     * @return empty for other protocols
     */
    public static Map<String, Double> perWordAndByte(PerplexitySettings settings, Result result) throws IOException {
        if (settings.protocol() != PerplexityProtocol.ROLLING) {
            return Map.of();
        }
        double sum = result.loss() * result.scoredTokens();
        long words = 0;
        long bytes = 0;
        for (String document : documents(settings)) {
            words += PythonText.words(document);
            bytes += document.getBytes(StandardCharsets.UTF_8).length;
        }
        Map<String, Double> measures = new LinkedHashMap<>();
        measures.put("word_perplexity", Math.exp(sum / words));
        measures.put("byte_perplexity", Math.exp(sum / bytes));
        measures.put("bits_per_byte", sum / bytes / Math.log(2));
        return measures;
    }

    /** How many predictions in a chunk count. */
    private static int scored(int[] chunk, OptionalInt unscored) {
        return (int) IntStream.range(0, chunk.length - 1)
                .filter(position -> isScored(chunk, position, unscored))
                .count();
    }

    /** Whether what a position predicts counts. */
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

    /** Hidden states, in bytes, that {@link #evaluate} holds at a time at most. */
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
     * @param unfinished what an earlier attempt left, and where this one keeps what it has done
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
        double[][] sums = settings.protocol() == PerplexityProtocol.ROLLING
                ? rollingSums(models, settings, chunks, unfinished, reporter)
                : chunkSums(models, settings, chunks, unscored, unfinished, reporter);
        double[] losses = Arrays.stream(sums).mapToDouble(sum -> sum[0]).toArray();
        double loss = settings.protocol().meanLoss(losses, counts, settings.batchSize());
        if (!Double.isFinite(loss)) {
            throw new IOException("the loss on " + settings.name() + " is " + loss);
        }
        List<ChunkLoss> chunkLosses = new ArrayList<>();
        List<ChunkDivergence> divergences = new ArrayList<>();
        for (int i = 0; i < sums.length; i++) {
            chunkLosses.add(new ChunkLoss(sums[i][0] / counts[i], counts[i]));
            if (sums[i].length > 1) {
                divergences.add(new ChunkDivergence(sums[i][1] / counts[i], sums[i][2] / counts[i]));
            }
        }
        return new Result(
                loss,
                Math.exp(loss),
                chunkLosses,
                Arrays.stream(counts).asLongStream().sum(),
                divergences);
    }

    /** Of each document the sum of the losses of its tokens. */
    private static double[][] rollingSums(
            Models models,
            PerplexitySettings settings,
            int[][] documents,
            ResumeState unfinished,
            Progress.Reporter reporter)
            throws IOException {
        ModelScorer scorer =
                new ModelScorer(models.model(), models.runner(), settings.batchSize(), false, unfinished, reporter);
        long inPass = ModelScorer.tokensAtOnce(models.model().config());
        double[][] sums = new double[documents.length][1];
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
                sums[owners.get(i)][0] -= scores.get(i).logLikelihood();
            }
            from = to;
        }
        return sums;
    }

    /** Of each chunk the sum of its scored losses; with a reference also of divergences, and of agreements. */
    private static double[][] chunkSums(
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
        double[][] sums = new double[chunks.length][];
        long batches = ((long) chunks.length + batchSize - 1) / batchSize;
        long steps = batches * shape.blocks() * models.copies();
        try (Progress progress = reporter.start("perplexity " + settings.name(), steps, "block passes")) {
            long stepsBefore = 0;
            for (int from = 0; from < chunks.length; from += passChunks) {
                int[][] pass = Arrays.copyOfRange(chunks, from, Math.min(chunks.length, from + passChunks));
                String name = "chunks-" + from;
                int values = models.copies() == 1 ? 1 : 3;
                double[] passSums = unfinished.numbers(name).orElse(new double[0]);
                if (passSums.length != values * pass.length) {
                    Pass work = new Pass(models, batchSize, unscored, unfinished, name);
                    passSums = work.sums(pass, progress, stepsBefore);
                    unfinished.keep(name, passSums);
                }
                for (int i = 0; i < pass.length; i++) {
                    sums[from + i] = Arrays.copyOfRange(passSums, values * i, values * (i + 1));
                }
                stepsBefore += ((long) pass.length + batchSize - 1) / batchSize * shape.blocks() * models.copies();
                progress.step(stepsBefore);
            }
        }
        return sums;
    }

    /** How chunks go through the model together. */
    private record Pass(Models models, int batchSize, OptionalInt unscored, ResumeState unfinished, String name) {
        /** Of each chunk the sum of its scored losses; with a reference also of divergences, and of agreements. */
        double[] sums(int[][] chunks, Progress progress, long stepsBefore) throws IOException {
            LanguageModel model = models.model();
            TargetPositions places = TargetPositions.ofNextTokens(chunks);
            try (HiddenStates states = run(chunks, models.runner(), name, progress, stepsBefore)) {
                Predictions predictions = model.predictions(states, places);
                if (models.reference().isEmpty()) {
                    return sums(chunks, List.of(predictions::loss));
                }
                long half = (long) states.size() * model.config().blocks();
                try (HiddenStates expected =
                        run(chunks, models.reference().get(), name + "-reference", progress, stepsBefore + half)) {
                    Divergence divergence = model.divergence(expected, states, places);
                    return sums(
                            chunks,
                            List.of(
                                    predictions::loss,
                                    divergence::divergence,
                                    place -> divergence.agrees(place) ? 1 : 0));
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
                        ActivationObserver.none(),
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

        /** The sums of several values over the scored places of each chunk, chunk by chunk. */
        private double[] sums(int[][] chunks, List<IntToDoubleFunction> values) {
            double[] sums = new double[chunks.length * values.size()];
            int place = 0;
            for (int chunk = 0; chunk < chunks.length; chunk++) {
                for (int position = 0; position < chunks[chunk].length - 1; position++, place++) {
                    if (isScored(chunks[chunk], position, unscored)) {
                        for (int value = 0; value < values.size(); value++) {
                            sums[chunk * values.size() + value] +=
                                    values.get(value).applyAsDouble(place);
                        }
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
