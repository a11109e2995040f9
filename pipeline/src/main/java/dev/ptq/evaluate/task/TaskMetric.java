package dev.ptq.evaluate.task;

import dev.ptq.artifact.Direction;
import dev.ptq.artifact.Metric;
import java.util.Arrays;

/** A metric of a task: one value per document, and the rule that aggregates them. */
enum TaskMetric {
    /** The likeliest choice is the right one, or the target is greedy. */
    ACC(Metric.ACC, Aggregation.MEAN),
    /** The same, likelihoods divided by the characters of the choices. */
    ACC_NORM(Metric.ACC_NORM, Aggregation.MEAN),
    /** The same, divided by their bytes. */
    ACC_BYTES(Metric.ACC_BYTES, Aggregation.MEAN),
    /** For a document's target as a whole. */
    PERPLEXITY(Metric.PERPLEXITY, Aggregation.PERPLEXITY),
    /** Per word. */
    WORD_PERPLEXITY(Metric.WORD_PERPLEXITY, Aggregation.WEIGHTED_PERPLEXITY),
    /** Per byte. */
    BYTE_PERPLEXITY(Metric.BYTE_PERPLEXITY, Aggregation.WEIGHTED_PERPLEXITY),
    /** The binary logarithm of the perplexity of a byte. */
    BITS_PER_BYTE(Metric.BITS_PER_BYTE, Aggregation.BITS);

    /** The aggregation of the documents' values. */
    enum Aggregation {
        MEAN,
        PERPLEXITY,
        WEIGHTED_PERPLEXITY,
        BITS
    }

    private final Metric metric;
    private final Aggregation aggregation;

    TaskMetric(Metric metric, Aggregation aggregation) {
        this.metric = metric;
        this.aggregation = aggregation;
    }

    static TaskMetric named(String label) {
        return Arrays.stream(values())
                .filter(each -> each.metric.label().equals(label))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no metric " + label));
    }

    /** Returns the name in results. */
    String label(Profile profile) {
        return (this == PERPLEXITY && profile == Profile.LQER ? Metric.PPL : metric).label();
    }

    Aggregation aggregation() {
        return aggregation;
    }

    boolean higherIsBetter() {
        return metric.direction() == Direction.HIGHER;
    }

    /** Returns whether values are weighted by the document's words or bytes. */
    boolean isWeighted() {
        return aggregation == Aggregation.WEIGHTED_PERPLEXITY || aggregation == Aggregation.BITS;
    }
}
