package dev.ptq.evaluate;

import dev.ptq.data.Chunks;
import dev.ptq.data.Tokenizer;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/** The rules of a perplexity: how a text is cut into chunks, and how their losses are averaged. */
public enum PerplexityProtocol {
    /** One stream of tokens, the plain mean of the chunk losses. Source: GPTQ and its many followers. */
    GPTQ,
    /**
     * The rules of LQER's own code: tokenized in shards, batch losses averaged with equal weight even if the last batch
     * is smaller, and labels equal to the padding token left out. A batch with no other labels is left out too; there
     * the mean of LQER's code is NaN.
     */
    LQER,
    /** As {@link #GPTQ}, on the streams of OmniQuant's code. */
    OMNIQUANT,
    /**
     * Each row is a document, each of its tokens is scored once, and the loss is the mean over all tokens. Source: the
     * EleutherAI harness, whose word and byte perplexities follow from the same losses.
     */
    ROLLING;

    /**
     * Returns the chunks of a text; with {@link #ROLLING} its documents, each preceded by the token that serves as
     * context for its first.
     *
     * @throws IOException if there is no such token
     */
    int[][] chunks(List<String> rows, Tokenizer tokenizer, PerplexitySettings settings) throws IOException {
        return switch (this) {
            case GPTQ -> Chunks.oneStream(rows, tokenizer, settings.seqLen());
            case LQER -> Chunks.inShards(rows, tokenizer, settings.seqLen());
            case OMNIQUANT -> settings.stream().chunks(rows, tokenizer, settings.seqLen());
            case ROLLING -> documents(rows, tokenizer);
        };
    }

    private static int[][] documents(List<String> rows, Tokenizer tokenizer) throws IOException {
        OptionalInt prefix = tokenizer.startId().isPresent() ? tokenizer.startId() : tokenizer.endId();
        if (prefix.isEmpty()) {
            throw new IOException("the tokenizer has no start and no end-of-text token, which protocol rolling puts"
                    + " before a document; name one in " + Tokenizer.CONFIG);
        }
        int first = tokenizer.known(prefix.getAsInt());
        return rows.stream()
                .map(row -> IntStream.concat(IntStream.of(first), Arrays.stream(tokenizer.encodePlain(row)))
                        .toArray())
                .toArray(int[][]::new);
    }

    /** Describes where special tokens stand before the scored ones. */
    public String startRule(Tokenizer tokenizer) {
        boolean added = tokenizer.encode("a").length > tokenizer.encodePlain("a").length;
        return switch (this) {
            case GPTQ -> added ? "text" : "none";
            case LQER -> added ? "shard" : "none";
            case OMNIQUANT -> added ? "text" : "none";
            case ROLLING -> "document";
        };
    }

    /** Returns how many of {@code available} chunks are evaluated if {@code limit} were asked for. */
    int limited(int available, OptionalInt limit, int batchSize) {
        if (limit.isEmpty()) {
            return available;
        }
        return switch (this) {
            case GPTQ, OMNIQUANT, ROLLING -> Math.min(available, limit.getAsInt());
            case LQER -> Math.min(available, limit.getAsInt() / batchSize * batchSize);
        };
    }

    /** Returns the token whose prediction is not scored. */
    OptionalInt unscored(OptionalInt padId) {
        return this == LQER ? padId : OptionalInt.empty();
    }

    /**
     * Returns the mean loss in nats.
     *
     * @param sums of the scored losses of each chunk
     * @param counts of scored tokens in each chunk, some positive
     */
    double meanLoss(double[] sums, int[] counts, int batchSize) {
        double[] weights = weights(counts, batchSize);
        double loss = 0;
        for (int i = 0; i < sums.length; i++) {
            if (counts[i] > 0) {
                loss += weights[i] * (sums[i] / counts[i]);
            }
        }
        return loss;
    }

    /**
     * Returns each chunk's weight in the mean loss; the weights sum to one.
     *
     * @param counts of scored tokens in each chunk; a chunk without any has no weight
     * @throws IllegalArgumentException if there is no scored token at all
     */
    public double[] weights(int[] counts, int batchSize) {
        if (this == ROLLING) {
            long all = Arrays.stream(counts).asLongStream().sum();
            if (all == 0) {
                throw new IllegalArgumentException("no document has a token");
            }
            return Arrays.stream(counts)
                    .mapToDouble(count -> (double) count / all)
                    .toArray();
        }
        int size = this == LQER ? batchSize : 1;
        double[] weights = new double[counts.length];
        int batches = 0;
        for (int from = 0; from < counts.length; from += size) {
            int to = Math.min(counts.length, from + size);
            long tokens = Arrays.stream(counts, from, to).asLongStream().sum();
            if (tokens > 0) {
                batches++;
                for (int i = from; i < to; i++) {
                    weights[i] = (double) counts[i] / tokens;
                }
            }
        }
        if (batches == 0) {
            throw new IllegalArgumentException("no chunk has a scored token");
        }
        for (int i = 0; i < weights.length; i++) {
            weights[i] /= batches;
        }
        return weights;
    }
}
