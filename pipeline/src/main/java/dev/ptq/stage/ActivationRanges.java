package dev.ptq.stage;

import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.Statistic;
import dev.ptq.format.StaticIntegerFormat.Bounds;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.ModelConfig;
import dev.ptq.model.QuantizationSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/** The ranges of activations that are found beforehand, {@code dynamic = false}. */
final class ActivationRanges {
    /** What they are made of. */
    static final Set<Statistic> STATISTICS = Set.of(Statistic.MIN, Statistic.MAX);

    private ActivationRanges() {}

    /**
     * Puts the ranges into the settings that ask for them.
     *
     * @param artifacts of the stages that ranges come from: of calibration, of the model in full precision, and of the
     *     approximate stage, where its steps changed what flows
     */
    static QuantizationSettings in(QuantizationSettings settings, ModelConfig model, Map<String, Path> artifacts)
            throws IOException {
        if (!settings.hasStaticActivations()) {
            return settings;
        }
        Path file = artifacts.getOrDefault(CalibrateStage.NAME, Path.of("")).resolve(CalibrateStage.STATISTICS);
        Map<String, Bounds> ranges = of(ActivationStatistics.read(file), LanguageModel.linears(model), file);
        Path approximated = artifacts.get(ApproximateStage.NAME);
        if (approximated != null) {
            for (int block = 0; block < model.blocks(); block++) {
                ranges.putAll(Approximated.ranges(Approximated.weights(approximated, block)));
            }
        }
        return put(settings, model, ranges);
    }

    /** Puts ranges, by module, into the settings that ask for them. */
    static QuantizationSettings put(QuantizationSettings settings, ModelConfig model, Map<String, Bounds> ranges) {
        QuantizationSettings result = settings;
        for (LinearSpec linear : LanguageModel.linears(model)) {
            Bounds range = ranges.get(linear.module());
            if (range != null) {
                result = result.withActivationRange(linear, range);
            }
        }
        return result;
    }

    /**
     * The ranges of the inputs of linears, by module.
     *
     * @param source that a message names
     */
    static Map<String, Bounds> of(ActivationStatistics statistics, Collection<LinearSpec> linears, Path source)
            throws IOException {
        Map<String, Bounds> ranges = new LinkedHashMap<>();
        for (LinearSpec linear : linears) {
            float low = Float.POSITIVE_INFINITY;
            for (float value : statistics.of(linear, Statistic.MIN)) {
                low = Math.min(low, value);
            }
            float high = Float.NEGATIVE_INFINITY;
            for (float value : statistics.of(linear, Statistic.MAX)) {
                high = Math.max(high, value);
            }
            if (!(low <= high && Float.isFinite(low) && Float.isFinite(high))) {
                throw new IOException(source + ": the range of the input of " + linear.module() + " is from " + low
                        + " to " + high + "; expected finite numbers");
            }
            ranges.put(linear.module(), new Bounds(low, high));
        }
        return ranges;
    }
}
