package dev.ptq.stage;

import dev.ptq.method.Method;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.QuantizationSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** What decides the numbers of one variant of the model. */
record VariantSettings(Workspace.ModelContent model, QuantizationSettings quantization, List<Method> steps) {
    static VariantSettings of(Workspace workspace, Variant variant) {
        Experiment experiment = workspace.experiment();
        return new VariantSettings(
                workspace.modelContent(),
                variant == Variant.FULL_PRECISION ? QuantizationSettings.none() : experiment.quantization(),
                variant.approximated() ? experiment.steps() : List.of());
    }

    /** The stages that whoever runs it needs. */
    List<String> inputs() {
        List<String> inputs = new ArrayList<>();
        if (!steps.isEmpty()) {
            inputs.add(ApproximateStage.NAME);
        }
        if (quantization.hasStaticActivations()) {
            inputs.add(CalibrateStage.NAME);
        }
        return inputs;
    }

    /** What is done with a model at work. */
    @FunctionalInterface
    interface Work<T> {
        T with(BlockRunner runner) throws IOException;
    }

    /**
     * Lets the variant work.
     *
     * @param artifacts of {@link #inputs}
     */
    <T> T run(Workspace workspace, Map<String, Path> artifacts, Work<T> work) throws IOException {
        QuantizationSettings formats =
                ActivationRanges.in(quantization, workspace.experiment().shape(), artifacts);
        Path approximated = artifacts.get(ApproximateStage.NAME);
        if (approximated == null) {
            return run(workspace, formats::applyTo, work);
        }
        try (Approximated made = new Approximated(approximated, formats, steps)) {
            return run(workspace, made::applyTo, work);
        }
    }

    /** Lets a model work whose blocks are changed in some way. */
    static <T> T run(Workspace workspace, BlockRunner.BlockChange change, Work<T> work) throws IOException {
        try (BlockRunner runner = new BlockRunner(workspace.model(), change, workspace.resident())) {
            return work.with(runner);
        }
    }
}
