package dev.ptq.stage;

import dev.ptq.method.LowRankCorrection;
import dev.ptq.method.Method;
import dev.ptq.model.Block;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.Linear;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.tensor.Safetensors;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** What decides the numbers of one variant of the model. */
record VariantSettings(Workspace.ModelContent model, QuantizationSettings quantization, List<Method> steps) {
    static VariantSettings of(Workspace workspace, Variant variant) {
        Experiment experiment = workspace.experiment();
        return new VariantSettings(
                workspace.modelContent(),
                variant == Variant.FULL_PRECISION ? QuantizationSettings.none() : experiment.quantization(),
                variant == Variant.QUANTIZED ? experiment.steps() : List.of());
    }

    /** The stages that whoever runs it needs. */
    List<String> inputs() {
        return steps.isEmpty() ? List.of() : List.of(ApproximateStage.NAME);
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
        Path approximated = artifacts.get(ApproximateStage.NAME);
        if (approximated == null) {
            return run(workspace, quantization::applyTo, work);
        }
        try (Safetensors factors = Safetensors.open(approximated.resolve(ApproximateStage.LOW_RANK))) {
            BlockRunner.BlockChange change = block -> {
                quantization.applyTo(block);
                addLowRank(block, factors);
            };
            return run(workspace, change, work);
        }
    }

    private static <T> T run(Workspace workspace, BlockRunner.BlockChange change, Work<T> work) throws IOException {
        try (BlockRunner runner = new BlockRunner(workspace.model(), change, workspace.resident())) {
            return work.with(runner);
        }
    }

    private void addLowRank(Block block, Safetensors factors) throws IOException {
        for (Linear linear : block.linears()) {
            String module = linear.spec().module();
            for (Method step : steps) {
                if (step instanceof LowRankCorrection correction && correction.matches(linear.spec())) {
                    linear.correct(correction.path(
                            factors.load(block.manager(), module + ".A"),
                            factors.load(block.manager(), module + ".B"),
                            quantization.formats(linear.spec().weightName()).activation()));
                }
            }
        }
    }
}
