package dev.ptq.stage;

import ai.djl.ndarray.NDManager;
import dev.ptq.artifact.Metric;
import dev.ptq.artifact.RunFiles;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.CalibrationSettings;
import dev.ptq.data.Text;
import dev.ptq.method.BlockContext;
import dev.ptq.method.BlockPatch;
import dev.ptq.method.BlockSamples;
import dev.ptq.method.Method;
import dev.ptq.model.Block;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.ModelFormats;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.progress.Progress;
import dev.ptq.run.Stage;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs the methods of {@code [[approximation]]} block by block: {@code low_rank.safetensors}, {@code layers.csv},
 * {@code singular_values.safetensors} where a method keeps any, and one file in {@code weights} and in {@code
 * parameters} for each block that a method changed or trained.
 */
final class ApproximateStage implements Stage {
    private static final Logger log = LoggerFactory.getLogger(ApproximateStage.class);

    private final Workspace workspace;
    private final Settings settings;

    private record Settings(
            Workspace.ModelContent model,
            QuantizationSettings formats,
            List<Method> steps,
            long seed,
            boolean strict,
            Optional<Samples> samples) {}

    /** The calibration samples, where methods or the distance that they move a block by need them. */
    private record Samples(
            Workspace.TokenizerContent tokenizer, Text.Content text, int numSamples, int seqLen, int batchSize) {}

    ApproximateStage(Workspace workspace) throws IOException {
        this.workspace = workspace;
        Experiment experiment = workspace.experiment();
        boolean operandsMatter =
                experiment.steps().quantizedPath() || experiment.quantization().hasStaticActivations();
        this.settings = new Settings(
                workspace.modelContent(),
                operandsMatter
                        ? experiment.quantization()
                        : experiment.quantization().weightsOnly(),
                experiment.steps().steps(),
                experiment.seed(),
                experiment.strict(),
                experiment.needsSamples() || experiment.steps().transforms()
                        ? Optional.of(
                                samples(workspace, experiment.calibration().orElseThrow()))
                        : Optional.empty());
    }

    private static Samples samples(Workspace workspace, CalibrationSettings calibration) throws IOException {
        return new Samples(
                workspace.tokenizerContent(),
                workspace.content(calibration.text()),
                calibration.numSamples(),
                calibration.seqLen(),
                calibration.batchSize());
    }

    @Override
    public String name() {
        return RunFiles.APPROXIMATE;
    }

    @Override
    public List<String> inputs() {
        List<String> inputs = new ArrayList<>(workspace.preparing());
        if (!workspace.experiment().statistics().isEmpty()) {
            inputs.add(RunFiles.CALIBRATE);
        }
        return inputs;
    }

    @Override
    public Record settings() {
        return settings;
    }

    @Override
    public int version() {
        return 7;
    }

    @Override
    public void run(Map<String, Path> inputs, Path output, Path unfinished) throws IOException {
        ActivationStatistics statistics = KnownFormats.statistics(inputs);
        Experiment experiment = workspace.experiment();
        BlockContext.Setting setting = new BlockContext.Setting(
                experiment.preparedShape(),
                KnownFormats.in(workspace, workspace.preparedModel(inputs), settings.formats(), inputs),
                experiment.statistics(),
                experiment.expertTokens(statistics));
        LanguageModel model = workspace.preparedModel(inputs);
        BlockResults results = new BlockResults();
        int blocks = model.config().blocks();
        Optional<BlockSamples> samples = blockSamples(model);
        Optional<BlockSamples> ofMethods = samples.filter(there -> experiment.needsSamples());
        int training = settings.samples()
                .map(given -> experiment
                        .steps()
                        .trainings()
                        .mapToInt(how -> how.steps(given.numSamples()))
                        .sum())
                .orElse(0);
        int perBlock = training + 1;
        List<Path> factors = new ArrayList<>();
        try (NDManager kept = TensorEngine.newManager();
                Progress progress = workspace
                        .reporter()
                        .start(
                                RunFiles.APPROXIMATE,
                                (long) blocks * perBlock,
                                training == 0 ? "blocks" : "training steps")) {
            for (int index = 0; index < blocks; index++) {
                workspace.blockReleased();
                BlockFiles files = new BlockFiles(unfinished, index);
                try (Block block = model.load(index)) {
                    if (samples.isPresent()) {
                        samples.get().enter(block);
                    }
                    if (!results.restore(files, kept)) {
                        BlockContext context = new BlockContext(setting, block, statistics, ofMethods, settings.seed());
                        TrainingLog.follow(context, progress, (long) index * perBlock);
                        results.takeOver(work(context, files, samples), kept);
                    }
                }
                if (samples.isPresent() && index + 1 < blocks) {
                    leave(model, samples.get(), files, setting.formats());
                }
                factors.add(files.factors());
                progress.step((long) (index + 1) * perBlock);
            }
            BlockPatch.Factors.join(output.resolve(RunFiles.LOW_RANK), factors);
            if (!results.singularValues().isEmpty()) {
                SafetensorsWriter.write(output.resolve(RunFiles.SINGULAR_VALUES), results.singularValues(), Map.of());
            }
        } finally {
            samples.ifPresent(BlockSamples::close);
        }
        workspace.blockReleased();
        results.writeRows(output.resolve(RunFiles.LAYERS));
        writeDistances(results, model, output);
        for (int index = 0; index < blocks; index++) {
            new BlockFiles(unfinished, index).moveTo(output);
        }
        log.info("{}: {} rows of {} blocks", RunFiles.APPROXIMATE, results.size(), blocks);
    }

    /** Writes how far rotations and transformations moved what they should have left as it was. */
    private void writeDistances(BlockResults results, LanguageModel model, Path output) throws IOException {
        Map<String, Object> distances = new LinkedHashMap<>();
        if (workspace.experiment().rotation().isPresent()) {
            double distance = workspace.model().logitDistance(model, settings.seed());
            distances.put(Metric.ROTATION_DISTANCE.label(), distance);
            log.info(
                    "{}: the rotation moves logits in full precision by at most {} of their largest magnitude",
                    RunFiles.APPROXIMATE,
                    String.format(Locale.ROOT, "%.1e", distance));
        }
        if (workspace.experiment().steps().transforms()) {
            double distance = results.transformDistance().orElse(0);
            distances.put(Metric.TRANSFORM_DISTANCE.label(), distance);
            log.info(
                    "{}: transformations move what a block computes in full precision by at most {} of its largest"
                            + " magnitude",
                    RunFiles.APPROXIMATE,
                    String.format(Locale.ROOT, "%.1e", distance));
        }
        if (!distances.isEmpty()) {
            JsonFiles.write(output.resolve(RunFiles.METRICS), distances);
        }
    }

    /** All samples if methods need them; the first alone where only a distance is measured on it. */
    private Optional<BlockSamples> blockSamples(LanguageModel model) throws IOException {
        if (settings.samples().isEmpty()) {
            return Optional.empty();
        }
        CalibrationSettings calibration = workspace.experiment().calibration().orElseThrow();
        int[][] all = workspace.calibrationSamples(calibration);
        int[][] used = workspace.experiment().needsSamples() ? all : new int[][] {all[0]};
        return Optional.of(new BlockSamples(
                model,
                used,
                calibration.batchSize(),
                workspace.experiment().steps().fullPath()));
    }

    /** Applies all steps to a block and saves the results. */
    private BlockResults work(BlockContext context, BlockFiles files, Optional<BlockSamples> samples)
            throws IOException {
        for (Method step : settings.steps()) {
            step.apply(context);
        }
        TrainingLog.report(context);
        reportFallbacks(context);
        BlockPatch patch = context.finish();
        BlockResults results =
                BlockResults.of(context, samples.map(context::transformDistance).orElseGet(OptionalDouble::empty));
        results.save(files, context, patch);
        return results;
    }

    /** Tells of weights that a method left to plain rounding: a line for each reason. */
    private void reportFallbacks(BlockContext context) throws IOException {
        Map<String, Integer> counts = new LinkedHashMap<>();
        for (BlockContext.RoundingReport report : context.roundingReports()) {
            if (report.isFallback()) {
                if (settings.strict()) {
                    throw new IOException(report.method() + ": "
                            + report.linear().module() + ": " + report.note() + " (strict = true)");
                }
                counts.merge(report.note(), 1, Integer::sum);
            }
        }
        counts.forEach((note, count) -> log.warn(
                "{}: block {}: {} weights: {}",
                context.roundingReports().get(0).method(),
                context.block().index(),
                count,
                note));
    }

    /**
     * Takes the samples to the next block: if a step asks for the quantized path, through the block exactly as it will
     * run.
     */
    private void leave(LanguageModel model, BlockSamples samples, BlockFiles files, ModelFormats formats)
            throws IOException {
        if (!workspace.experiment().steps().quantizedPath()) {
            samples.leave();
            return;
        }
        ModelFormats retaken = KnownFormats.retaken(formats, files.weights(), model.config(), files.index());
        try (QuantizedModel quantized =
                        QuantizedModel.of(model, retaken, Optional.of(QuantizedModel.patch(files, model.config())));
                Block block = quantized.load(files.index())) {
            samples.leave(block);
        }
    }
}
