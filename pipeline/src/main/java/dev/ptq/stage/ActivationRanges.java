package dev.ptq.stage;

import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.Statistic;
import dev.ptq.format.StaticIntegerFormat.Bounds;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.ModelConfig;
import dev.ptq.model.QuantizationSettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
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
     * @param artifacts of the stages that statistics come from. Those of the approximate stage, if it has any, are of
     *     the model as its steps left it; those of calibration are of the model in full precision
     */
    static QuantizationSettings in(QuantizationSettings settings, ModelConfig model, Map<String, Path> artifacts)
            throws IOException {
        if (!settings.hasStaticActivations()) {
            return settings;
        }
        Path file = artifacts.getOrDefault(CalibrateStage.NAME, Path.of("")).resolve(CalibrateStage.STATISTICS);
        Path approximated = artifacts.get(ApproximateStage.NAME);
        if (approximated != null && Files.exists(approximated.resolve(CalibrateStage.STATISTICS))) {
            file = approximated.resolve(CalibrateStage.STATISTICS);
        }
        ActivationStatistics statistics = ActivationStatistics.read(file);
        for (LinearSpec linear : LanguageModel.linears(model)) {
            float low = Float.POSITIVE_INFINITY;
            for (float value : statistics.of(linear, Statistic.MIN)) {
                low = Math.min(low, value);
            }
            float high = Float.NEGATIVE_INFINITY;
            for (float value : statistics.of(linear, Statistic.MAX)) {
                high = Math.max(high, value);
            }
            if (!(low <= high && Float.isFinite(low) && Float.isFinite(high))) {
                throw new IOException(file + ": the range of the input of " + linear.module() + " is from " + low
                        + " to " + high + "; expected finite numbers");
            }
            settings = settings.withActivationRange(linear, new Bounds(low, high));
        }
        return settings;
    }
}
