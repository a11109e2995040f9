package dev.ptq.stage;

import dev.ptq.artifact.RunFiles;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.family.ModelConfig;
import dev.ptq.format.Bounds;
import dev.ptq.method.BlockPatch;
import dev.ptq.method.KnownLinears;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.ModelFormats;
import dev.ptq.model.QuantizationSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The formats of a model with what they have to know of its linears, such as static ranges. */
final class KnownFormats {
    private KnownFormats() {}

    /**
     * Looks up the formats of a model.
     *
     * @param exact the model in full precision
     * @param artifacts of the stages that know something: calibration of the full-precision model, the quantize stage of
     *     the formats of weights, and the approximate stage of ranges where its steps changed activations
     */
    static ModelFormats in(
            Workspace workspace, LanguageModel exact, QuantizationSettings settings, Map<String, Path> artifacts)
            throws IOException {
        Experiment experiment = workspace.experiment();
        ModelConfig model = exact.config();
        Path quantized = artifacts.get(RunFiles.QUANTIZE);
        ModelFormats formats = ModelFormats.of(settings, model);
        ModelFormats asking = quantized == null ? formats : formats.withWeights(WeightIndex.formats(quantized));
        List<LinearSpec> linears = LanguageModel.linears(model);
        if (!asking.askAboutLinears(linears)) {
            return asking;
        }
        ActivationStatistics statistics = statistics(artifacts);
        return asking.knowing(
                        linears,
                        new KnownLinears(
                                artifacts
                                        .getOrDefault(RunFiles.CALIBRATE, Path.of(""))
                                        .resolve(RunFiles.STATISTICS)
                                        .toString(),
                                () -> statistics,
                                experiment.expertTokens(statistics),
                                linears,
                                formats,
                                (manager, linear) -> exact.weights().load(manager, linear.weightName())))
                .withInputRanges(retaken(artifacts, model));
    }

    /** The statistics of calibration, if it is among the inputs of a stage. */
    static ActivationStatistics statistics(Map<String, Path> inputs) throws IOException {
        Path calibrated = inputs.get(RunFiles.CALIBRATE);
        return calibrated == null
                ? ActivationStatistics.none()
                : ActivationStatistics.read(calibrated.resolve(RunFiles.STATISTICS));
    }

    /** The input ranges that were taken again, by weight name. */
    private static Map<String, List<Bounds>> retaken(Map<String, Path> artifacts, ModelConfig model)
            throws IOException {
        Map<String, List<Bounds>> ranges = new LinkedHashMap<>();
        Path approximated = artifacts.get(RunFiles.APPROXIMATE);
        for (int block = 0; approximated != null && block < model.blocks(); block++) {
            ranges.putAll(ranges(QuantizedModel.weights(approximated, block), model, block));
        }
        return ranges;
    }

    /** The input ranges in the file of a block's weights, by weight name. */
    static Map<String, List<Bounds>> ranges(Path weights, ModelConfig model, int block) throws IOException {
        Map<String, List<Bounds>> byPath = BlockPatch.ranges(weights);
        Map<String, List<Bounds>> ranges = new LinkedHashMap<>();
        for (LinearSpec linear : QuantizedModel.linears(model, block)) {
            List<Bounds> range = byPath.get(linear.path());
            if (range != null) {
                ranges.put(linear.weightName(), range);
            }
        }
        return ranges;
    }
}
