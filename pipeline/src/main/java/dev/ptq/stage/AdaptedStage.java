package dev.ptq.stage;

import ai.djl.ndarray.NDManager;
import dev.ptq.evaluate.PerplexitySettings;
import dev.ptq.method.BlockContext;
import dev.ptq.method.BlockSamples;
import dev.ptq.method.TestTimeAdaptation;
import dev.ptq.model.Block;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.progress.Progress;
import dev.ptq.run.Stage;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Adapts the last block to one text and takes the perplexity on that text: what {@link EvaluateStage} writes, {@code
 * layers.csv}, and the block's {@code parameters}. Every text starts from the calibrated parameters.
 */
final class AdaptedStage implements Stage {
    private final Workspace workspace;
    private final PerplexitySettings perplexity;
    private final EvaluateStage scoring;
    private final Settings settings;

    private record Settings(Record scoring, TestTimeAdaptation adaptation, long seed) {}

    AdaptedStage(Workspace workspace, TestTimeAdaptation adaptation, PerplexitySettings perplexity) throws IOException {
        this.workspace = workspace;
        this.perplexity = perplexity;
        this.scoring = new EvaluateStage(workspace, Variant.ADAPTED, perplexity);
        this.settings = new Settings(
                scoring.settings(), adaptation, workspace.experiment().seed());
    }

    @Override
    public String name() {
        return scoring.name();
    }

    @Override
    public List<String> inputs() {
        boolean calibrated = !workspace.experiment().statistics().isEmpty();
        return Stream.concat(
                        calibrated ? Stream.of(CalibrateStage.NAME) : Stream.of(), Stream.of(ApproximateStage.NAME))
                .toList();
    }

    @Override
    public Record settings() {
        return settings;
    }

    /** One more for each change of the adaptation itself. */
    @Override
    public int version() {
        return scoring.version();
    }

    @Override
    public void run(Map<String, Path> inputs, Path output, Path unfinished) throws IOException {
        Experiment experiment = workspace.experiment();
        Path artifacts = Objects.requireNonNull(inputs.get(ApproximateStage.NAME), ApproximateStage.NAME);
        QuantizationSettings formats = ActivationRanges.in(experiment.quantization(), experiment.shape(), inputs);
        int last = experiment.shape().blocks() - 1;
        ApproximateStage.BlockFiles files = new ApproximateStage.BlockFiles(unfinished, last);
        ApproximateStage.Results results = new ApproximateStage.Results();
        try (NDManager kept = TensorEngine.newManager();
                Approximated made = new Approximated(artifacts, formats, experiment.steps())) {
            if (!results.restore(files, kept)) {
                results = adapt(inputs, formats, made, files);
            }
            Tables.write(output.resolve(ApproximateStage.LAYERS), ApproximateStage.Results.COLUMNS, results.rows);
            BlockRunner.BlockChange change = block -> {
                if (block.index() == last) {
                    made.applyTo(block, files.weights);
                } else {
                    made.applyTo(block);
                }
            };
            scoring.write(
                    VariantSettings.run(workspace, change, runner -> scoring.evaluate(runner, unfinished)), output);
        }
        files.moveParameters(output);
    }

    /** Trains the last block on, behind the blocks before it as they run. */
    private ApproximateStage.Results adapt(
            Map<String, Path> inputs,
            QuantizationSettings formats,
            Approximated made,
            ApproximateStage.BlockFiles files)
            throws IOException {
        Experiment experiment = workspace.experiment();
        LanguageModel model = workspace.model();
        int[][] chunks = workspace.chunks(perplexity);
        int last = model.config().blocks() - 1;
        int steps = settings.adaptation().steps(chunks.length);
        try (BlockSamples samples = new BlockSamples(model, chunks, perplexity.batchSize());
                Progress progress = workspace
                        .reporter()
                        .start("adapt to " + perplexity.name(), (long) last + 1 + steps, "blocks and training steps")) {
            for (int index = 0; index < last; index++) {
                try (Block exact = model.load(index)) {
                    samples.enter(exact);
                }
                try (Block block = model.load(index)) {
                    made.applyTo(block);
                    samples.leave(block);
                }
                progress.step(index + 1L);
            }
            try (Block block = model.load(last)) {
                samples.enter(block);
                progress.step(last + 1L);
                BlockContext context = new BlockContext(
                        new BlockContext.Setting(experiment.shape(), formats, experiment.statistics()),
                        block,
                        ApproximateStage.statistics(inputs),
                        Optional.of(samples),
                        settings.seed());
                context.onStep(new ApproximateStage.StepCount(progress, last + 1L));
                settings.adaptation().from(made.parameters()).apply(context);
                ApproximateStage.logTraining(context);
                ApproximateStage.Results results = ApproximateStage.Results.of(context);
                results.save(files, context, Map.of()); // with ranges found beforehand nothing is transformed
                return results;
            }
        }
    }
}
