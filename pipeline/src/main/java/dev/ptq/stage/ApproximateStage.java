package dev.ptq.stage;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.CalibrationSettings;
import dev.ptq.data.Text;
import dev.ptq.format.StaticIntegerFormat.Bounds;
import dev.ptq.method.BlockContext;
import dev.ptq.method.BlockSamples;
import dev.ptq.method.Method;
import dev.ptq.model.Block;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Linear;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.progress.Progress;
import dev.ptq.run.Stage;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.core.JacksonException;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

/**
 * Runs the methods of {@code [[approximation]]} block by block: {@code low_rank.safetensors}, {@code layers.csv}, {@code
 * singular_values.safetensors} where a method keeps any, and for each block that a method changed or trained a file in
 * {@code weights} and in {@code parameters}.
 */
final class ApproximateStage implements Stage {
    private static final Logger log = LoggerFactory.getLogger(ApproximateStage.class);

    static final String NAME = "approximate";
    static final String LAYERS = "layers.csv";
    private static final String SINGULAR_VALUES = "singular_values.safetensors";
    private static final String ROWS = "layers";
    private static final String WEIGHTS_TOO = "weights";
    private static final String PARAMETERS_TOO = "parameters";

    private final Workspace workspace;
    private final Settings settings;

    private record Settings(
            Workspace.ModelContent model,
            QuantizationSettings formats,
            List<Method> steps,
            long seed,
            Optional<Samples> samples) {}

    /** The samples that blocks are trained on. */
    private record Samples(
            Workspace.TokenizerContent tokenizer, Text.Content text, int numSamples, int seqLen, int batchSize) {}

    ApproximateStage(Workspace workspace) throws IOException {
        this.workspace = workspace;
        Experiment experiment = workspace.experiment();
        boolean operandsMatter = experiment.steps().stream().anyMatch(Method::learns)
                || experiment.quantization().hasStaticActivations();
        this.settings = new Settings(
                workspace.modelContent(),
                operandsMatter
                        ? experiment.quantization()
                        : experiment.quantization().weightsOnly(),
                experiment.steps(),
                experiment.seed(),
                experiment.needsSamples()
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
        return NAME;
    }

    @Override
    public List<String> inputs() {
        return workspace.experiment().statistics().isEmpty() ? List.of() : List.of(CalibrateStage.NAME);
    }

    @Override
    public Record settings() {
        return settings;
    }

    @Override
    public int version() {
        return 4;
    }

    @Override
    public void run(Map<String, Path> inputs, Path output, Path unfinished) throws IOException {
        ActivationStatistics statistics = statistics(inputs);
        Experiment experiment = workspace.experiment();
        BlockContext.Setting setting = new BlockContext.Setting(
                experiment.shape(),
                ActivationRanges.in(settings.formats(), experiment.shape(), inputs),
                experiment.statistics());
        LanguageModel model = workspace.model();
        Results results = new Results();
        int blocks = model.config().blocks();
        Optional<BlockSamples> samples = blockSamples(model);
        int training = settings.samples()
                .map(given -> settings.steps().stream()
                        .mapToInt(step -> step.trainingSteps(given.numSamples()))
                        .sum())
                .orElse(0);
        int perBlock = training + 1;
        try (NDManager kept = TensorEngine.newManager();
                Progress progress = workspace
                        .reporter()
                        .start(NAME, (long) blocks * perBlock, training == 0 ? "blocks" : "training steps")) {
            for (int index = 0; index < blocks; index++) {
                BlockFiles files = new BlockFiles(unfinished, index);
                try (Block block = model.load(index)) {
                    if (samples.isPresent()) {
                        samples.get().enter(block);
                    }
                    if (!results.restore(files, kept)) {
                        BlockContext context = new BlockContext(setting, block, statistics, samples, settings.seed());
                        context.onStep(new StepCount(progress, (long) index * perBlock));
                        for (Method step : settings.steps()) {
                            step.apply(context);
                        }
                        logTraining(context);
                        Results own = Results.of(context);
                        own.save(files, context, ranges(context, block));
                        results.takeOver(own, kept);
                    }
                }
                if (samples.isPresent() && index + 1 < blocks) {
                    leave(model, samples.get(), files, setting.quantization());
                }
                progress.step((long) (index + 1) * perBlock);
            }
            SafetensorsWriter.write(output.resolve(Approximated.LOW_RANK), results.factors, Map.of());
            if (!results.singularValues.isEmpty()) {
                SafetensorsWriter.write(output.resolve(SINGULAR_VALUES), results.singularValues, Map.of());
            }
        } finally {
            samples.ifPresent(BlockSamples::close);
        }
        Tables.write(output.resolve(LAYERS), Results.COLUMNS, results.rows);
        for (int index = 0; index < blocks; index++) {
            new BlockFiles(unfinished, index).moveTo(output);
        }
        log.info("{}: {} rows of {} blocks", NAME, results.rows.size(), blocks);
    }

    /** Those of calibration, if it is among the inputs. */
    static ActivationStatistics statistics(Map<String, Path> inputs) throws IOException {
        Path calibrated = inputs.get(CalibrateStage.NAME);
        return calibrated == null
                ? ActivationStatistics.none()
                : ActivationStatistics.read(calibrated.resolve(CalibrateStage.STATISTICS));
    }

    private Optional<BlockSamples> blockSamples(LanguageModel model) throws IOException {
        if (settings.samples().isEmpty()) {
            return Optional.empty();
        }
        CalibrationSettings calibration = workspace.experiment().calibration().orElseThrow();
        return Optional.of(new BlockSamples(model, workspace.calibrationSamples(calibration), calibration.batchSize()));
    }

    /** Takes the samples to the next block: on the quantized path, if anything is trained, exactly as it will run. */
    private void leave(LanguageModel model, BlockSamples samples, BlockFiles files, QuantizationSettings formats)
            throws IOException {
        if (settings.steps().stream().noneMatch(Method::learns)) {
            samples.leave();
            return;
        }
        try (Block block = model.load(files.index);
                Safetensors factors = Safetensors.open(files.done)) {
            Approximated.apply(block, formats, settings.steps(), factors, files.weights);
            samples.leave(block);
        }
    }

    /** The ranges of what flows into a block's linears, where a transformation changed them and formats ask for them. */
    private Map<String, Bounds> ranges(BlockContext context, Block block) throws IOException {
        Optional<ActivationStatistics> retaken =
                workspace.experiment().quantization().hasStaticActivations()
                        ? context.retakenStatistics()
                        : Optional.empty();
        return retaken.isEmpty()
                ? Map.of()
                : ActivationRanges.of(
                        retaken.get(),
                        block.linears().stream().map(Linear::spec).toList(),
                        Path.of("block " + block.index()));
    }

    static void logTraining(BlockContext context) {
        for (BlockContext.BlockReport report : context.blockReports()) {
            log.info(
                    "block {}: {}: loss {} rounded to nearest, {} at the start, {} after step {} of {}, {} s",
                    report.block(),
                    report.method(),
                    significant(report.nearestLoss()),
                    significant(report.initialLoss()),
                    significant(report.finalLoss()),
                    report.bestStep(),
                    report.steps(),
                    String.format(Locale.ROOT, "%.1f", report.seconds()));
        }
    }

    private static String significant(double loss) {
        return String.format(Locale.ROOT, "%.4g", loss);
    }

    /** Tells progress of each step of training. */
    static final class StepCount implements Runnable {
        private final Progress progress;
        private long done;

        StepCount(Progress progress, long before) {
            this.progress = progress;
            this.done = before;
        }

        @Override
        public void run() {
            done++;
            progress.step(done);
        }
    }

    /** Where the work on one block is kept. */
    static final class BlockFiles {
        private final int index;
        private final Path done;
        final Path weights;
        private final Path parameters;

        BlockFiles(Path folder, int index) {
            this.index = index;
            done = folder.resolve(BlockContext.blockFile(index));
            weights = folder.resolve("weights-" + index + ".safetensors");
            parameters = folder.resolve("parameters-" + index + ".safetensors");
        }

        void moveTo(Path output) throws IOException {
            move(weights, output.resolve(Approximated.WEIGHTS));
            moveParameters(output);
        }

        void moveParameters(Path output) throws IOException {
            move(parameters, output.resolve(Approximated.PARAMETERS));
        }

        private void move(Path file, Path folder) throws IOException {
            if (Files.exists(file)) {
                Files.createDirectories(folder);
                Files.move(file, folder.resolve(BlockContext.blockFile(index)));
            }
        }
    }

    /** What the methods made of one block, or of all so far; tensors as large as the model stay in files. */
    static final class Results {
        static final List<String> COLUMNS = List.of(
                "module",
                "method",
                "out_features",
                "in_features",
                "rank",
                "error_before",
                "error_after",
                "energy_captured",
                "seconds",
                "loss_rtn",
                "loss_initial",
                "loss_final",
                "best_step",
                "steps");

        private static final String OF_SINGULAR_VALUES = "singular_values/";

        final Map<String, NDArray> factors = new LinkedHashMap<>();
        final Map<String, NDArray> singularValues = new LinkedHashMap<>();
        final List<List<Object>> rows = new ArrayList<>();

        static Results of(BlockContext context) {
            Results results = new Results();
            results.factors.putAll(context.factors());
            results.singularValues.putAll(context.singularValues());
            context.blockReports().forEach(report -> results.rows.add(row(report)));
            context.layerReports().forEach(report -> results.rows.add(row(report)));
            return results;
        }

        /** Writes the file that says the block is done last. */
        void save(BlockFiles files, BlockContext context, Map<String, Bounds> ranges) throws IOException {
            Map<String, NDArray> changed = context.changed();
            if (!changed.isEmpty()) {
                SafetensorsWriter.write(
                        files.weights,
                        changed,
                        Map.of(
                                Approximated.ROUNDING_ERRORS,
                                JsonMapper.shared().writeValueAsString(context.roundingErrors()),
                                Approximated.RANGES,
                                JsonMapper.shared().writeValueAsString(ranges)));
            }
            if (!context.parameters().isEmpty()) {
                SafetensorsWriter.write(files.parameters, context.parameters(), Map.of());
            }
            Map<String, NDArray> tensors = new LinkedHashMap<>(factors);
            singularValues.forEach((name, values) -> tensors.put(OF_SINGULAR_VALUES + name, values));
            SafetensorsWriter.write(
                    files.done,
                    tensors,
                    Map.of(
                            ROWS,
                            JsonMapper.shared().writeValueAsString(rows),
                            WEIGHTS_TOO,
                            String.valueOf(!changed.isEmpty()),
                            PARAMETERS_TOO,
                            String.valueOf(!context.parameters().isEmpty())));
        }

        /** Takes over a block that an earlier process was done with; returns whether there is one that can be read. */
        boolean restore(BlockFiles files, NDManager kept) {
            if (!Files.exists(files.done)) {
                return false;
            }
            try (Safetensors saved = Safetensors.open(files.done)) {
                require(saved, WEIGHTS_TOO, files.weights);
                require(saved, PARAMETERS_TOO, files.parameters);
                Results own = new Results();
                own.rows.addAll(JsonMapper.shared()
                        .readValue(
                                saved.metadata().getOrDefault(ROWS, ""), new TypeReference<List<List<Object>>>() {}));
                for (String name : saved.entries().keySet()) {
                    if (name.startsWith(OF_SINGULAR_VALUES)) {
                        own.singularValues.put(name.substring(OF_SINGULAR_VALUES.length()), saved.load(kept, name));
                    } else {
                        own.factors.put(name, saved.load(kept, name));
                    }
                }
                takeOver(own, kept);
                return true;
            } catch (IOException | JacksonException e) {
                log.warn("{}: cannot be used, the block is done again: {}", files.done, e.getMessage());
                return false;
            }
        }

        private static void require(Safetensors saved, String key, Path file) throws IOException {
            if (Boolean.parseBoolean(saved.metadata().get(key))) {
                Safetensors.open(file).close();
            }
        }

        void takeOver(Results own, NDManager kept) {
            own.factors.values().forEach(factor -> factor.attach(kept));
            own.singularValues.values().forEach(values -> values.attach(kept));
            factors.putAll(own.factors);
            singularValues.putAll(own.singularValues);
            rows.addAll(own.rows);
        }

        private static List<Object> row(BlockContext.LayerReport report) {
            return List.of(
                    report.linear().module(),
                    report.method(),
                    report.linear().outFeatures(),
                    report.linear().inFeatures(),
                    report.rank(),
                    report.errorBefore(),
                    report.errorAfter(),
                    report.capturedEnergy(),
                    report.seconds(),
                    "",
                    "",
                    "",
                    "",
                    "");
        }

        private static List<Object> row(BlockContext.BlockReport report) {
            return List.of(
                    "blocks." + report.block(),
                    report.method(),
                    "",
                    "",
                    "",
                    "",
                    "",
                    "",
                    report.seconds(),
                    report.nearestLoss(),
                    report.initialLoss(),
                    report.finalLoss(),
                    report.bestStep(),
                    report.steps());
        }
    }
}
