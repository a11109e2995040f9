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
import java.util.List;
import java.util.Map;

/** The formats of a model with what they have to know of its linears and caches, such as static ranges. */
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
        if (!asking.ask(linears)) {
            return asking;
        }
        ActivationStatistics statistics = statistics(artifacts);
        ModelFormats known = asking.knowing(
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
                        (manager, linear) -> exact.weights().load(manager, linear.weightName())));
        Path approximated = artifacts.get(RunFiles.APPROXIMATE);
        for (int block = 0; approximated != null && block < model.blocks(); block++) {
            known = retaken(known, QuantizedModel.weights(approximated, block), model, block);
        }
        return known;
    }

    /** The statistics of calibration, if it is among the inputs of a stage. */
    static ActivationStatistics statistics(Map<String, Path> inputs) throws IOException {
        Path calibrated = inputs.get(RunFiles.CALIBRATE);
        return calibrated == null
                ? ActivationStatistics.none()
                : ActivationStatistics.read(calibrated.resolve(RunFiles.STATISTICS));
    }

    /**
     * Returns the formats with the static ranges that a block's file has, because its methods changed activations.
     *
     * @param weights the file; absent where methods changed no tensor
     */
    static ModelFormats retaken(ModelFormats formats, Path weights, ModelConfig model, int block) throws IOException {
        Map<String, List<Bounds>> ranges = BlockPatch.ranges(weights);
        return ranges.isEmpty() ? formats : formats.withRanges(block, QuantizedModel.linears(model, block), ranges);
    }
}
