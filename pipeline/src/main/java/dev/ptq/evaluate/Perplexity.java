package dev.ptq.evaluate;

import dev.ptq.config.ConfigException;
import dev.ptq.data.Tokenizer;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.ModelConfig;
import dev.ptq.model.Unfinished;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/** Token perplexity of a model on a text. */
public final class Perplexity {
    /** Hidden states held at a time, in values; a longer text goes through the model in several passes. */
    private static final long HIDDEN_VALUES = 1L << 26;

    private Perplexity() {}

    /**
     * A perplexity and what it was taken from.
     *
     * @param loss mean negative log-likelihood in nats, as the protocol averages it
     * @param scoredTokens predictions that count
     */
    public record Result(double loss, double perplexity, List<ChunkLoss> chunks, long scoredTokens) {}

    /**
     * The loss of one chunk.
     *
     * @param mean of its scored tokens, in nats; NaN where there are none
     * @param tokens that are scored
     */
    public record ChunkLoss(double mean, int tokens) {}

    /**
     * Cuts the text into chunks.
     *
     * @throws ConfigException if there is not one whole chunk, or no token in them is scored
     * @throws IOException if the text cannot be read, or the model cannot take the length of a chunk
     */
    public static int[][] chunks(PerplexitySettings settings, Tokenizer tokenizer, int maxPositions)
            throws IOException {
        requireLength(settings.seqLen(), maxPositions);
        int[][] chunks = settings.protocol().chunks(settings.text().rows(), tokenizer, settings.seqLen());
        if (chunks.length == 0) {
            throw new ConfigException(settings.text().label() + ": the text is shorter than one chunk of "
                    + settings.seqLen() + " tokens; lower seq_len or take a longer text");
        }
        int count = settings.protocol().limited(chunks.length, settings.maxSamples(), settings.batchSize());
        int[][] evaluated = Arrays.copyOf(chunks, count);
        OptionalInt unscored = settings.protocol().unscored(tokenizer.padId());
        if (Arrays.stream(evaluated).allMatch(chunk -> scored(chunk, unscored) == 0)) {
            throw new ConfigException(settings.text().label() + ": every token to be predicted is padding, which"
                    + " protocol lqer leaves out; take another text or protocol");
        }
        return evaluated;
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
        return Math.max(batch, Math.min(wanted, HIDDEN_VALUES)) * Float.BYTES;
    }

    /**
     * Scores the chunks with the blocks that {@code runner} makes.
     *
     * @param padId of the tokenizer, whose prediction some protocols leave out
     * @param unfinished what an earlier attempt left, and where this one keeps what it has done
     */
    public static Result evaluate(
            LanguageModel model,
            BlockRunner runner,
            PerplexitySettings settings,
            int[][] chunks,
            OptionalInt padId,
            Unfinished unfinished,
            Progress.Reporter reporter)
            throws IOException {
        int seqLen = settings.seqLen();
        int batchSize = settings.batchSize();
        long inPass = HIDDEN_VALUES / ((long) seqLen * model.config().hiddenSize());
        int passChunks = (int) Math.max(batchSize, Math.min(chunks.length, inPass) / batchSize * batchSize);
        double[] sums = new double[chunks.length];
        OptionalInt unscored = settings.protocol().unscored(padId);
        int[] counts =
                Arrays.stream(chunks).mapToInt(chunk -> scored(chunk, unscored)).toArray();
        long batches = ((long) chunks.length + batchSize - 1) / batchSize;
        long steps = batches * model.config().blocks();
        try (Progress progress = reporter.start("perplexity " + settings.name(), steps, "block passes")) {
            long stepsBefore = 0;
            for (int from = 0; from < chunks.length; from += passChunks) {
                int[][] pass = Arrays.copyOfRange(chunks, from, Math.min(chunks.length, from + passChunks));
                String name = "chunks-" + from;
                double[] passSums = unfinished.numbers(name).orElse(new double[0]);
                if (passSums.length != pass.length) {
                    passSums = sums(
                            model, runner, pass, batchSize, unscored, unfinished, name, shifted(progress, stepsBefore));
                    unfinished.keep(name, passSums);
                }
                System.arraycopy(passSums, 0, sums, from, pass.length);
                stepsBefore += ((long) pass.length + batchSize - 1)
                        / batchSize
                        * model.config().blocks();
                progress.step(stepsBefore);
            }
        }
        double loss = settings.protocol().meanLoss(sums, counts, batchSize);
        if (!Double.isFinite(loss)) {
            throw new IOException("the loss on " + settings.name() + " is " + loss);
        }
        List<ChunkLoss> chunkLosses = new ArrayList<>();
        for (int i = 0; i < sums.length; i++) {
            chunkLosses.add(new ChunkLoss(sums[i] / counts[i], counts[i]));
        }
        return new Result(
                loss,
                Math.exp(loss),
                chunkLosses,
                Arrays.stream(counts).asLongStream().sum());
    }

    /** The sum of the scored losses of each chunk of a pass. */
    private static double[] sums(
            LanguageModel model,
            BlockRunner runner,
            int[][] pass,
            int batchSize,
            OptionalInt unscored,
            Unfinished unfinished,
            String name,
            Progress progress)
            throws IOException {
        double[] sums = new double[pass.length];
        try (HiddenStates states = model.embed(pass, batchSize)) {
            runner.run(states, ActivationObserver.none(), progress, name, unfinished, Unfinished.Carried.nothing());
            double[][] losses = model.nextTokenLosses(states, pass);
            for (int i = 0; i < pass.length; i++) {
                for (int position = 0; position < losses[i].length; position++) {
                    if (isScored(pass[i], position, unscored)) {
                        sums[i] += losses[i][position];
                    }
                }
            }
        }
        return sums;
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
