package dev.ptq.stage;

import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.Variant;
import dev.ptq.method.Method;
import dev.ptq.method.PatchedWeights;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.QuantizationSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The settings that decide the results of one variant of the model.
 *
 * @param measured whether its weights are those that the quantize stage made
 * @param preparing the stages that the model needs which steps work on
 */
record VariantSettings(
        Workspace.ModelContent model,
        QuantizationSettings quantization,
        List<Method> steps,
        boolean measured,
        List<String> preparing) {
    static VariantSettings of(Workspace workspace, Variant variant) {
        Experiment experiment = workspace.experiment();
        return new VariantSettings(
                workspace.modelContent(),
                variant == Variant.FULL_PRECISION ? QuantizationSettings.none() : experiment.quantization(),
                variant.approximated() ? experiment.steps().steps() : List.of(),
                variant.approximated(),
                variant.approximated() ? workspace.preparing() : List.of());
    }

    /** The stages needed to run the variant. */
    List<String> inputs() {
        List<String> inputs = new ArrayList<>(preparing);
        if (measured) {
            inputs.add(RunFiles.QUANTIZE);
        }
        if (!steps.isEmpty()) {
            inputs.add(RunFiles.APPROXIMATE);
        }
        if (quantization.askCalibration()) {
            inputs.add(RunFiles.CALIBRATE);
        }
        return inputs;
    }

    /** The model in full precision that the variant is made of: rotated where the steps rotate it. */
    LanguageModel exact(Workspace workspace, Map<String, Path> artifacts) throws IOException {
        return measured ? workspace.preparedModel(artifacts) : workspace.model();
    }

    /** Work to be done with the running model. */
    @FunctionalInterface
    interface Work<T> {
        T with(BlockRunner runner) throws IOException;
    }

    /**
     * Runs the variant and does the work with it.
     *
     * @param artifacts of {@link #inputs}
     */
    <T> T run(Workspace workspace, Map<String, Path> artifacts, Work<T> work) throws IOException {
        return run(workspace, artifacts, patches(workspace, artifacts), work);
    }

    private static Optional<PatchedWeights.Reader> patches(Workspace workspace, Map<String, Path> artifacts) {
        return Optional.ofNullable(artifacts.get(RunFiles.APPROXIMATE))
                .map(folder ->
                        QuantizedModel.patches(folder, workspace.experiment().preparedShape()));
    }

    /** The same with patches from elsewhere. */
    <T> T run(Workspace workspace, Map<String, Path> artifacts, Optional<PatchedWeights.Reader> patches, Work<T> work)
            throws IOException {
        return run(workspace, artifacts, patches, BlockRunner.BlockChange.none(), work);
    }

    /** The same with a change to every block as it runs. */
    <T> T run(Workspace workspace, Map<String, Path> artifacts, BlockRunner.BlockChange change, Work<T> work)
            throws IOException {
        return run(workspace, artifacts, patches(workspace, artifacts), change, work);
    }

    private <T> T run(
            Workspace workspace,
            Map<String, Path> artifacts,
            Optional<PatchedWeights.Reader> patches,
            BlockRunner.BlockChange change,
            Work<T> work)
            throws IOException {
        try (QuantizedModel quantized = open(workspace, artifacts, patches);
                BlockRunner runner = workspace.runner(quantized.model(), block -> {
                    quantized.applyTo(block);
                    change.apply(block);
                })) {
            return work.with(runner);
        }
    }

    /** Opens the model as it runs. */
    QuantizedModel open(Workspace workspace, Map<String, Path> artifacts, Optional<PatchedWeights.Reader> patches)
            throws IOException {
        Ledger.require(workspace.experiment().strict(), artifacts);
        LanguageModel exact = exact(workspace, artifacts);
        return QuantizedModel.of(exact, KnownFormats.in(workspace, exact, quantization, artifacts), patches);
    }
}
