package dev.ptq.stage;

import ai.djl.ndarray.NDManager;
import dev.ptq.artifact.FoldColumn;
import dev.ptq.artifact.Metric;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.TableColumn;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.CalibrationSettings;
import dev.ptq.config.OmittedIfEmpty;
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
import dev.ptq.run.PartedStage;
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
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs the methods of {@code [[approximation]]} block by block: {@code low_rank.safetensors}, {@code layers.csv},
 * {@code ledger.csv}, {@code folds.csv} where the model is rotated or rescaled, {@code singular_values.safetensors} where a method keeps any, and one file in {@code weights} and in {@code
 * parameters} for each block that a method changed or trained.
 */
final class ApproximateStage implements PartedStage {
    private static final Logger log = LoggerFactory.getLogger(ApproximateStage.class);

    private final Workspace workspace;
    private final Settings settings;

    private record Settings(
            Workspace.ModelContent model,
            QuantizationSettings formats,
            List<Method> steps,
            @OmittedIfEmpty Optional<Long> seed,
            Optional<Samples> samples) {}

    /** The calibration samples, where methods or the distance that they move a block by need them. */
    private record Samples(
            Workspace.TokenizerContent tokenizer,
            Text.Content text,
            int numSamples,
            int seqLen,
            int batchSize,
            @OmittedIfEmpty Optional<Long> drawnBy) {}

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
                experiment.steps().draws() ? Optional.of(experiment.seed()) : Optional.empty(),
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
                calibration.batchSize(),
                calibration.drawnBy());
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
        return 8;
    }

    @Override
    public void run(Map<String, Path> inputs, Path output, Path unfinished) throws IOException {
        Experiment experiment = workspace.experiment();
        Ledger.require(experiment.strict(), inputs);
        ActivationStatistics statistics = KnownFormats.statistics(inputs);
        BlockContext.Setting setting = setting(inputs, statistics);
        LanguageModel model = workspace.preparedModel(inputs);
        BlockResults results = new BlockResults();
        Ledger ledger = new Ledger(experiment.strict());
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
                    BlockResults own = new BlockResults();
                    if (!own.restore(files, kept)) {
                        BlockContext context = new BlockContext(
                                setting,
                                block,
                                statistics,
                                ofMethods,
                                workspace.experiment().seed());
                        TrainingLog.follow(context, progress, (long) index * perBlock);
                        own = work(context, files, samples);
                    }
                    ledger.add(RunFiles.APPROXIMATE + ", block " + index, own.ledger());
                    results.takeOver(own, kept);
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
        writeDistances(results, model, output, ledger);
        ledger.write(output);
        for (int index = 0; index < blocks; index++) {
            new BlockFiles(unfinished, index).moveTo(output);
        }
        log.info("{}: {} rows of {} blocks", RunFiles.APPROXIMATE, results.size(), blocks);
    }

    private BlockContext.Setting setting(Map<String, Path> inputs, ActivationStatistics statistics) throws IOException {
        Experiment experiment = workspace.experiment();
        return new BlockContext.Setting(
                experiment.preparedShape(),
                KnownFormats.in(workspace, workspace.preparedModel(inputs), settings.formats(), inputs),
                experiment.statistics(),
                experiment.expertTokens(statistics));
    }

    @Override
    public int parts() {
        return workspace.experiment().preparedShape().blocks();
    }

    @Override
    public Optional<String> order() {
        Experiment experiment = workspace.experiment();
        return experiment
                .steps()
                .ordering(experiment.quantization().askCalibration())
                .map(step -> "the step \"" + step.name() + "\" lets the calibration samples run through the blocks, one"
                        + " after the other");
    }

    @Override
    public void runParts(int from, int to, Map<String, Path> inputs, Path unfinished) throws IOException {
        Ledger.require(workspace.experiment().strict(), inputs);
        ActivationStatistics statistics = KnownFormats.statistics(inputs);
        BlockContext.Setting setting = setting(inputs, statistics);
        LanguageModel model = workspace.preparedModel(inputs);
        try (NDManager kept = TensorEngine.newManager();
                Progress progress = workspace.reporter().start(RunFiles.APPROXIMATE, (long) to - from, "blocks")) {
            for (int index = from; index < to; index++) {
                workspace.blockReleased();
                BlockFiles files = new BlockFiles(unfinished, index);
                try (Block block = model.load(index)) {
                    if (!new BlockResults().restore(files, kept)) {
                        work(
                                new BlockContext(
                                        setting,
                                        block,
                                        statistics,
                                        Optional.empty(),
                                        workspace.experiment().seed()),
                                files,
                                Optional.empty());
                    }
                }
                progress.step((long) index + 1 - from);
            }
        }
    }

    /** Writes how far rotations and transformations moved what they should have left as it was. */
    private void writeDistances(BlockResults results, LanguageModel model, Path output, Ledger ledger)
            throws IOException {
        Map<String, Object> distances = new LinkedHashMap<>();
        List<List<Object>> folds = new ArrayList<>();
        if (workspace.experiment().rotation().isPresent()) {
            double distance = workspace
                    .model()
                    .logitDistance(model, workspace.experiment().seed());
            String rotating = settings.steps().get(0).name();
            folds.add(List.of(rotating, "", distance));
            ledger.add(
                    RunFiles.APPROXIMATE,
                    BlockContext.moved(rotating, "model", distance).stream().toList());
            distances.put(Metric.ROTATION_DISTANCE.label(), distance);
            log.info(
                    "{}: the rotation moves logits in full precision by at most {} of their largest magnitude",
                    RunFiles.APPROXIMATE,
                    String.format(Locale.ROOT, "%.1e", distance));
        }
        if (workspace.experiment().steps().transforms()) {
            double distance = results.transformDistance();
            distances.put(Metric.TRANSFORM_DISTANCE.label(), distance);
            log.info(
                    "{}: transformations move what a block computes in full precision by at most {} of its largest"
                            + " magnitude",
                    RunFiles.APPROXIMATE,
                    String.format(Locale.ROOT, "%.1e", distance));
        }
        if (!distances.isEmpty()) {
            folds.addAll(results.folds());
            Tables.write(output.resolve(RunFiles.FOLDS), TableColumn.header(FoldColumn.values()), folds);
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
            samples.ifPresent(there -> context.reportFold(step.name(), there));
        }
        TrainingLog.report(context);
        BlockPatch patch = context.finish();
        BlockResults results = BlockResults.of(context);
        results.save(files, context, patch);
        return results;
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
