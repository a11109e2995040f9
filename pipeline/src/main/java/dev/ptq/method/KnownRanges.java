package dev.ptq.method;

import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.Statistic;
import dev.ptq.calibrate.ValueCounts;
import dev.ptq.format.Bounds;
import dev.ptq.format.StaticFormat;
import dev.ptq.model.HookPoint;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** The static ranges of what comes to a hook point. */
final class KnownRanges {
    private final String source;
    private final ActivationStatistics statistics;
    private final int block;
    private final HookPoint hookPoint;
    private final String what;

    /**
     * Makes them.
     *
     * @param source of the statistics, named in messages
     * @param what comes there, in messages
     */
    KnownRanges(String source, ActivationStatistics statistics, int block, HookPoint hookPoint, String what) {
        this.source = source;
        this.statistics = statistics;
        this.block = block;
        this.hookPoint = hookPoint;
        this.what = what;
    }

    /**
     * Returns the range by the rule of a format, or one for each feature.
     *
     * @throws IOException if it cannot be read, or is not finite
     */
    List<Bounds> of(StaticFormat format) throws IOException {
        boolean isEach = format.format().hasRangePerFeature();
        return switch (format.rule()) {
            case MINMAX -> isEach ? each(Statistic.MIN, Statistic.MAX) : List.of(whole());
            case MOVING_AVERAGE ->
                isEach
                        ? each(Statistic.MOVING_MIN, Statistic.MOVING_MAX)
                        : each(Statistic.MOVING_MIN_OF_ALL, Statistic.MOVING_MAX_OF_ALL);
            case PERCENTILE -> List.of(upToPercentile(format));
            case MSE -> {
                ValueCounts counts = statistics.valueCounts(block, hookPoint);
                yield List.of(format.leastError(whole(), counts.values(), counts.counts()));
            }
            default -> throw new IllegalStateException(format.rule() + " is no rule");
        };
    }

    private Bounds whole() throws IOException {
        float low = Float.POSITIVE_INFINITY;
        for (float value : statistics.of(block, hookPoint, Statistic.MIN)) {
            low = Math.min(low, value);
        }
        float high = Float.NEGATIVE_INFINITY;
        for (float value : statistics.of(block, hookPoint, Statistic.MAX)) {
            high = Math.max(high, value);
        }
        return bounds(low, high);
    }

    private List<Bounds> each(Statistic low, Statistic high) throws IOException {
        float[] lows = statistics.of(block, hookPoint, low);
        float[] highs = statistics.of(block, hookPoint, high);
        List<Bounds> ranges = new ArrayList<>();
        for (int i = 0; i < lows.length; i++) {
            ranges.add(bounds(lows[i], highs[i]));
        }
        return ranges;
    }

    /**
     * Clamped to the whole range, which is exact where percentiles are not. Half of an even number of values are not above
     * the one in the middle and half not below the next, so the ends may come in either order.
     */
    private Bounds upToPercentile(StaticFormat format) throws IOException {
        Bounds whole = whole();
        ValueCounts counts = statistics.valueCounts(block, hookPoint);
        boolean isSymmetric = format.format().isSymmetric();
        ValueCounts above = isSymmetric ? counts.magnitudes() : counts;
        ValueCounts below = isSymmetric ? above : counts.negated();
        float high = format.percentile() == 100 ? whole.high() : above.percentile(format.percentile());
        float low = format.percentile() == 100 ? whole.low() : -below.percentile(format.percentile());
        float one = Math.min(Math.max(low, whole.low()), whole.high());
        float other = Math.max(Math.min(high, whole.high()), whole.low());
        return new Bounds(Math.min(one, other), Math.max(one, other));
    }

    private Bounds bounds(float low, float high) throws IOException {
        if (low > high) {
            throw new IOException(source + ": no token of calibration reaches " + what
                    + ", so it has no range; take more samples, or for an expert expert_policy = \"route_all\"");
        }
        if (!(Float.isFinite(low) && Float.isFinite(high))) {
            throw new IOException(source + ": the range of " + what + " is from " + low + " to " + high
                    + "; expected finite numbers");
        }
        return new Bounds(low, high);
    }
}
