package dev.ptq.evaluate.task;

import java.util.Arrays;
import java.util.Locale;

/** What is said of the documents of a task: an item for each, and how items become one number. */
enum Metric {
    /** The likeliest choice is the right one, or a target is what the model would write. */
    ACC(Aggregation.MEAN),
    /** The same, likelihoods divided by the characters of the choices. */
    ACC_NORM(Aggregation.MEAN),
    /** The same, divided by their bytes. */
    ACC_BYTES(Aggregation.MEAN),
    /** Of a document's target as a whole. */
    PERPLEXITY(Aggregation.PERPLEXITY),
    /** Of a word. */
    WORD_PERPLEXITY(Aggregation.WEIGHTED_PERPLEXITY),
    /** Of a byte. */
    BYTE_PERPLEXITY(Aggregation.WEIGHTED_PERPLEXITY),
    /** The binary logarithm of the perplexity of a byte. */
    BITS_PER_BYTE(Aggregation.BITS);

    /** How the items of documents become one number. */
    enum Aggregation {
        MEAN,
        PERPLEXITY,
        WEIGHTED_PERPLEXITY,
        BITS
    }

    private final Aggregation aggregation;

    Metric(Aggregation aggregation) {
        this.aggregation = aggregation;
    }

    static Metric named(String label) {
        return Arrays.stream(values())
                .filter(metric -> metric.label(Profile.HARNESS).equals(label))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no metric " + label));
    }

    /** The name in results. */
    String label(Profile profile) {
        return this == PERPLEXITY && profile == Profile.LQER ? "ppl" : name().toLowerCase(Locale.ROOT);
    }

    Aggregation aggregation() {
        return aggregation;
    }

    boolean higherIsBetter() {
        return aggregation == Aggregation.MEAN;
    }

    /** Whether an item counts as much as the document has words or bytes. */
    boolean isWeighted() {
        return aggregation == Aggregation.WEIGHTED_PERPLEXITY || aggregation == Aggregation.BITS;
    }
}
