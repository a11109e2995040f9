package dev.ptq.stage;

import ai.djl.ndarray.NDManager;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.Variant;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.evaluate.PerplexitySettings;
import dev.ptq.family.ModelConfig;
import dev.ptq.method.BlockContext;
import dev.ptq.method.BlockSamples;
import dev.ptq.method.PatchedWeights;
import dev.ptq.method.TestTimeAdaptation;
import dev.ptq.model.Block;
import dev.ptq.model.LanguageModel;
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
 * Adapts the last block to one text and measures the perplexity on that text: the files of {@link EvaluateStage},
 * {@code layers.csv}, {@code ledger.csv}, and the block's {@code parameters}. Every text starts from the calibrated parameters.
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
                        calibrated ? Stream.of(RunFiles.CALIBRATE) : Stream.of(),
                        Stream.of(RunFiles.APPROXIMATE, RunFiles.QUANTIZE))
                .toList();
    }

    @Override
    public Record settings() {
        return settings;
    }

    /** Raised with each change of the adaptation itself. */
    @Override
    public int version() {
        return scoring.version() + 1;
    }

    @Override
    public void run(Map<String, Path> inputs, Path output, Path unfinished) throws IOException {
        ModelConfig model = workspace.experiment().preparedShape();
        Path approximated = Objects.requireNonNull(inputs.get(RunFiles.APPROXIMATE), RunFiles.APPROXIMATE);
        VariantSettings variant = VariantSettings.of(workspace, Variant.ADAPTED);
        PatchedWeights.Reader calibrated = QuantizedModel.patches(approximated, model);
        int last = model.blocks() - 1;
        BlockFiles files = new BlockFiles(unfinished, last);
        BlockResults results = new BlockResults();
        try (NDManager kept = TensorEngine.newManager()) {
            if (!results.restore(files, kept)) {
                try (QuantizedModel quantized = variant.open(workspace, inputs, Optional.of(calibrated))) {
                    results = adapt(inputs, quantized, approximated.resolve(RunFiles.PARAMETERS), files);
                }
            }
            results.writeRows(output.resolve(RunFiles.LAYERS));
            Ledger ledger = new Ledger(workspace.experiment().strict());
            ledger.add(name(), results.ledger());
            ledger.write(output);
            PatchedWeights.Reader adapted = (block, manager) -> block == last
                    ? QuantizedModel.patch(files, model).read(block, manager)
                    : calibrated.read(block, manager);
            scoring.write(
                    variant.run(
                            workspace,
                            inputs,
                            Optional.of(adapted),
                            runner -> scoring.evaluate(runner, inputs, unfinished)),
                    output);
        }
        files.moveParameters(output);
    }

    /** Trains the last block further, behind the earlier blocks as they run. */
    private BlockResults adapt(Map<String, Path> inputs, QuantizedModel quantized, Path parameters, BlockFiles files)
            throws IOException {
        Experiment experiment = workspace.experiment();
        LanguageModel model = workspace.preparedModel(inputs);
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
                try (Block block = quantized.load(index)) {
                    samples.leave(block);
                }
                progress.step(index + 1L);
            }
            ActivationStatistics statistics = KnownFormats.statistics(inputs);
            try (Block block = model.load(last)) {
                samples.enter(block);
                progress.step(last + 1L);
                BlockContext context = new BlockContext(
                        new BlockContext.Setting(
                                experiment.preparedShape(),
                                quantized.formats(),
                                experiment.statistics(),
                                experiment.expertTokens(statistics)),
                        block,
                        statistics,
                        Optional.of(samples),
                        settings.seed());
                TrainingLog.follow(context, progress, last + 1L);
                settings.adaptation().from(parameters).apply(context);
                TrainingLog.report(context);
                BlockResults results = BlockResults.of(context);
                // no transform happens with static ranges
                results.save(files, context, context.finish());
                return results;
            }
        }
    }
}
