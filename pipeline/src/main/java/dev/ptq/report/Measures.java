package dev.ptq.report;

import dev.ptq.artifact.Direction;
import dev.ptq.artifact.Metric;
import dev.ptq.artifact.MetricName;
import java.util.Optional;

/** What tables make of metrics, by their names. */
final class Measures {
    private Measures() {}

    static Direction better(String name) {
        return MetricName.parse(name).direction();
    }

    /** Whether it is what a run is for, not a detail or a condition of it; the loss says what the perplexity does. */
    static boolean isResult(String name) {
        Optional<Metric> metric = MetricName.parse(name).measure();
        return metric.isPresent()
                && switch (metric.get()) {
                    case LOSS, LOSS_OVER -> false;
                    case BITS_PER_WEIGHT -> true;
                    default -> metric.get().direction() != Direction.NEITHER;
                };
    }

    /** Whether it is an end of an interval. */
    static boolean isBound(String name) {
        return MetricName.parse(name) instanceof MetricName.Bound;
    }
}
