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
     * is smaller, and labels that equal the padding token left out.
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
     * @param counts of scored tokens in each chunk
     */
    double meanLoss(double[] sums, int[] counts, int batchSize) {
        int weigh = this == LQER ? batchSize : 1;
        int groups = (sums.length + weigh - 1) / weigh;
        double total = 0;
        for (int group = 0; group < groups; group++) {
            int to = Math.min(sums.length, (group + 1) * weigh);
            double sum = Arrays.stream(sums, group * weigh, to).sum();
            total += sum / Arrays.stream(counts, group * weigh, to).sum();
        }
        return total / groups;
    }
}
