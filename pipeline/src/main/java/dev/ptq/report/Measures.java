package dev.ptq.report;

import dev.ptq.artifact.Direction;
import dev.ptq.artifact.Metric;
import dev.ptq.artifact.MetricName;
import java.util.Optional;

/** The role of metrics in tables, by name. */
final class Measures {
    private Measures() {}

    static Direction better(String name) {
        return MetricName.parse(name).direction();
    }

    /**
     * Returns whether the metric is a result, not a detail or a condition; the loss repeats what the perplexity says.
     */
    static boolean isResult(String name) {
        Optional<Metric> metric = MetricName.parse(name).measure();
        return metric.isPresent()
                && switch (metric.get()) {
                    case LOSS, LOSS_OVER -> false;
                    case BITS_PER_WEIGHT, BOPS_PER_TOKEN, BYTES_PER_TOKEN, CHECKPOINT_BYTES -> true;
                    default -> metric.get().direction() != Direction.NEITHER;
                };
    }

    /** Returns whether the metric is the end of an interval. */
    static boolean isBound(String name) {
        return MetricName.parse(name) instanceof MetricName.Bound;
    }
}
