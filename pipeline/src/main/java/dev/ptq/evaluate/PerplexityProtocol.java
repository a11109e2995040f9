package dev.ptq.evaluate;

import dev.ptq.data.Chunks;
import dev.ptq.data.Tokenizer;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;

/** The rules by which a perplexity is taken: how a text becomes chunks, and how their losses become one number. */
public enum PerplexityProtocol {
    /** One stream of tokens, the plain mean of the chunk losses. Source: GPTQ and its many followers. */
    GPTQ,
    /**
     * What LQER's own code does: tokenized in shards, batch losses averaged with equal weight even where the last batch
     * is smaller, and labels that equal the padding token left out. A batch of nothing else is left out too, where the
     * mean of LQER's code is NaN.
     */
    LQER;

    /** The chunks of a text. */
    int[][] chunks(List<String> rows, Tokenizer tokenizer, int length) {
        return switch (this) {
            case GPTQ -> Chunks.oneStream(rows, tokenizer, length);
            case LQER -> Chunks.inShards(rows, tokenizer, length);
        };
    }

    /** How many of {@code available} chunks are evaluated where {@code limit} were asked for. */
    int limited(int available, OptionalInt limit, int batchSize) {
        if (limit.isEmpty()) {
            return available;
        }
        return switch (this) {
            case GPTQ -> Math.min(available, limit.getAsInt());
            case LQER -> Math.min(available, limit.getAsInt() / batchSize * batchSize);
        };
    }

    /** The token whose prediction is not scored. */
    OptionalInt unscored(OptionalInt padId) {
        return this == LQER ? padId : OptionalInt.empty();
    }

    /**
     * The mean loss in nats.
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
     * The share of each chunk's loss in the mean loss; together they are one.
     *
     * @param counts of scored tokens in each chunk; a chunk without any has no share
     * @throws IllegalArgumentException if there is no scored token at all
     */
    public double[] weights(int[] counts, int batchSize) {
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
