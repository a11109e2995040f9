package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.ExpertTokens;
import dev.ptq.calibrate.Statistic;
import dev.ptq.format.Bounds;
import dev.ptq.format.InputFact;
import dev.ptq.format.LinearFacts;
import dev.ptq.format.MeanSquares;
import dev.ptq.format.Nvfp4Format;
import dev.ptq.format.StaticFormat;
import dev.ptq.model.HookPoint;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.ModelFormats;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;

/**
 * What formats can know about linears and caches: their inputs from statistics, the weights beside theirs from a model or
 * block.
 */
public final class KnownLinears implements ModelFormats.Facts {
    private final String source;
    private final Supplier<ActivationStatistics> statistics;
    private final ExpertTokens experts;
    private final List<LinearSpec> linears;
    private final ModelFormats formats;
    private final Weights weights;
    /** The largest magnitudes found, by block, input and format. */
    private final Map<List<Object>, Float> shared = new HashMap<>();

    /** The weights of linears. */
    @FunctionalInterface
    public interface Weights {
        /** Returns a weight, loaded with the manager or owned by another. */
        NDArray of(NDManager manager, LinearSpec linear) throws IOException;
    }

    /**
     * Makes them.
     *
     * @param source of the statistics, named in messages
     * @param statistics of inputs; asked for only if formats ask about inputs
     * @param experts how well calibration reaches them; the mean squares of those with too few tokens are all 1
     * @param linears of the model or block
     * @param formats of the linears, which say what shares a scale
     */
    public KnownLinears(
            String source,
            Supplier<ActivationStatistics> statistics,
            ExpertTokens experts,
            List<LinearSpec> linears,
            ModelFormats formats,
            Weights weights) {
        this.source = source;
        this.statistics = statistics;
        this.experts = experts;
        this.linears = linears;
        this.formats = formats;
        this.weights = weights;
    }

    /** The statistics that answer what formats ask. */
    public static Set<Statistic> statistics(Set<InputFact> facts) {
        Set<Statistic> statistics = EnumSet.noneOf(Statistic.class);
        for (InputFact fact : facts) {
            statistics.addAll(
                    switch (fact) {
                        case EXTREMES -> Set.of(Statistic.MIN, Statistic.MAX);
                        case MOVING_EXTREMES -> Set.of(Statistic.MOVING_MIN, Statistic.MOVING_MAX);
                        case MOVING_RANGE -> Set.of(Statistic.MOVING_MIN_OF_ALL, Statistic.MOVING_MAX_OF_ALL);
                        case HISTOGRAM -> Set.of(Statistic.HISTOGRAM);
                        case MEAN_SQUARES -> Set.of(Statistic.SECOND_MOMENT);
                    });
        }
        return statistics;
    }

    @Override
    public LinearFacts of(LinearSpec linear) {
        return new Facts(linear);
    }

    @Override
    public List<Bounds> range(int block, HookPoint ofCache, StaticFormat format) throws IOException {
        return ranges(block, ofCache, "the " + ofCache.label() + " cache of block " + block)
                .of(format);
    }

    private KnownRanges ranges(int block, HookPoint hookPoint, String what) {
        return new KnownRanges(source, statistics.get(), block, hookPoint, what);
    }

    private final class Facts implements LinearFacts {
        private final LinearSpec linear;

        private Facts(LinearSpec linear) {
            this.linear = linear;
        }

        @Override
        public List<Bounds> inputRange(StaticFormat format) throws IOException {
            return ranges(linear.block(), linear.hookPoint(), "the input of " + linear.module())
                    .of(format);
        }

        @Override
        public MeanSquares meanSquares() throws IOException {
            if (!experts.suffice(linear.block(), linear.hookPoint())) {
                return MeanSquares.equal(linear.inFeatures());
            }
            try {
                return new MeanSquares(statistics.get().of(linear, Statistic.SECOND_MOMENT));
            } catch (IllegalArgumentException e) {
                throw new IOException(source + ": input of " + linear.module() + ": " + e.getMessage(), e);
            }
        }

        @Override
        public float sharedAmax(Nvfp4Format format) throws IOException {
            List<Object> key = List.of(linear.block(), linear.hookPoint(), format);
            Float known = shared.get(key);
            float largest = known != null ? known : largest(format);
            shared.put(key, largest);
            return largest;
        }

        private float largest(Nvfp4Format format) throws IOException {
            float largest = 0;
            for (LinearSpec other : linears) {
                if (other.block() == linear.block()
                        && other.hookPoint().equals(linear.hookPoint())
                        && formats.of(other).weight().dynamic().equals(format)) {
                    try (NDManager scratch = TensorEngine.newManager()) {
                        largest = Math.max(largest, format.largest(weights.of(scratch, other)));
                    }
                }
            }
            if (!Float.isFinite(largest)) {
                throw new IOException("the largest magnitude of the weights that share a scale with "
                        + linear.weightName() + " is " + largest + "; expected a finite number");
            }
            return largest;
        }
    }
}
