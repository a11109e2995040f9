package dev.ptq.stage;

import ai.djl.ndarray.NDManager;
import dev.ptq.artifact.RunFiles;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.Statistic;
import dev.ptq.family.ModelConfig;
import dev.ptq.format.Bounds;
import dev.ptq.method.BlockContext;
import dev.ptq.method.BlockPatch;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.ModelFormats;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/** The static activation ranges, {@code dynamic = false}. */
final class ActivationRanges {
    /** The statistics that ranges are made of. */
    static final Set<Statistic> STATISTICS = Set.of(Statistic.MIN, Statistic.MAX);

    private ActivationRanges() {}

    /**
     * Looks up the formats of a model, with ranges for those that need one.
     *
     * @param artifacts of the stages that provide ranges: calibration for the full-precision model, and the approximate
     *     stage where its steps changed activations
     */
    static ModelFormats in(QuantizationSettings settings, ModelConfig model, Map<String, Path> artifacts)
            throws IOException {
        if (!settings.hasStaticActivations()) {
            return ModelFormats.of(settings, model);
        }
        Path file = artifacts.getOrDefault(RunFiles.CALIBRATE, Path.of("")).resolve(RunFiles.STATISTICS);
        Map<String, Bounds> ranges = of(ActivationStatistics.read(file), LanguageModel.linears(model), file);
        Path approximated = artifacts.get(RunFiles.APPROXIMATE);
        if (approximated != null) {
            for (int block = 0; block < model.blocks(); block++) {
                try (NDManager scratch = TensorEngine.newManager()) {
                    Map<String, Bounds> retaken = QuantizedModel.patches(approximated, model)
                            .read(block, scratch)
                            .ranges();
                    for (LinearSpec linear : QuantizedModel.linears(model, block)) {
                        ranges.computeIfPresent(
                                linear.weightName(), (name, range) -> retaken.getOrDefault(linear.path(), range));
                    }
                }
            }
        }
        return ModelFormats.of(settings, model, ranges);
    }

    /** The statistics of calibration, if it is among the inputs of a stage. */
    static ActivationStatistics statistics(Map<String, Path> inputs) throws IOException {
        Path calibrated = inputs.get(RunFiles.CALIBRATE);
        return calibrated == null
                ? ActivationStatistics.none()
                : ActivationStatistics.read(calibrated.resolve(RunFiles.STATISTICS));
    }

    /** Retakes the input ranges of a block's linears, if a transformation changed them. */
    static void retake(BlockContext context, BlockPatch patch) throws IOException {
        Optional<ActivationStatistics> retaken = context.retakenStatistics();
        if (retaken.isPresent()) {
            List<LinearSpec> linears =
                    context.block().linears().stream().map(Linear::spec).toList();
            Map<String, Bounds> ranges = of(
                    retaken.get(), linears, Path.of("block " + context.block().index()));
            linears.forEach(
                    linear -> patch.range(linear.path(), Objects.requireNonNull(ranges.get(linear.weightName()))));
        }
    }

    /**
     * The ranges of the inputs of linears, by weight name.
     *
     * @param source named in messages
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
            ranges.put(linear.weightName(), new Bounds(low, high));
        }
        return ranges;
    }
}
