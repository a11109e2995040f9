package dev.ptq.stage;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.method.BlockWork;
import dev.ptq.method.Method;
import dev.ptq.model.Block;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.progress.Progress;
import dev.ptq.run.Stage;
import dev.ptq.tensor.Safetensors;
import dev.ptq.tensor.SafetensorsWriter;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.core.JacksonException;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

/**
 * Runs the methods of {@code [[approximation]]} block by block: {@code low_rank.safetensors}, {@code layers.csv}, and
 * {@code singular_values.safetensors} where a method keeps any.
 */
final class ApproximateStage implements Stage {
    private static final Logger log = LoggerFactory.getLogger(ApproximateStage.class);

    static final String NAME = "approximate";
    static final String LOW_RANK = "low_rank.safetensors";
    private static final String SINGULAR_VALUES = "singular_values.safetensors";
    private static final String ROWS = "layers";

    private final Workspace workspace;
    private final Settings settings;

    private record Settings(
            Workspace.ModelContent model, QuantizationSettings weights, List<Method> steps, long seed) {}

    ApproximateStage(Workspace workspace) {
        this.workspace = workspace;
        Experiment experiment = workspace.experiment();
        this.settings = new Settings(
                workspace.modelContent(),
                experiment.quantization().weightsOnly(),
                experiment.steps(),
                experiment.seed());
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
        return 2;
    }

    @Override
    public void run(Map<String, Path> inputs, Path output, Path unfinished) throws IOException {
        Path calibrated = inputs.get(CalibrateStage.NAME);
        ActivationStatistics statistics = calibrated == null
                ? ActivationStatistics.none()
                : ActivationStatistics.read(calibrated.resolve(CalibrateStage.STATISTICS));
        LanguageModel model = workspace.model();
        Results results = new Results();
        int blocks = model.config().blocks();
        try (NDManager kept = TensorEngine.newManager();
                Progress progress = workspace.reporter().start(NAME, blocks, "blocks")) {
            for (int index = 0; index < blocks; index++) {
                Path done = unfinished.resolve("block-" + index + ".safetensors");
                if (!results.restore(done, kept)) {
                    try (Block block = model.load(index)) {
                        BlockWork work = new BlockWork(block, settings.weights(), statistics, settings.seed());
                        for (Method step : settings.steps()) {
                            step.apply(work);
                        }
                        Results own = Results.of(work);
                        own.save(done);
                        results.takeOver(own, kept);
                    }
                }
                progress.step(index + 1);
            }
            SafetensorsWriter.write(output.resolve(LOW_RANK), results.factors, Map.of());
            if (!results.singularValues.isEmpty()) {
                SafetensorsWriter.write(output.resolve(SINGULAR_VALUES), results.singularValues, Map.of());
            }
        }
        Tables.write(
                output.resolve("layers.csv"),
                List.of(
                        "module",
                        "method",
                        "out_features",
                        "in_features",
                        "rank",
                        "error_before",
                        "error_after",
                        "energy_captured",
                        "seconds"),
                results.rows);
        log.info("{}: {} linears in {} blocks", NAME, results.rows.size(), blocks);
    }

    /** What the methods made of one block, or of all so far. */
    private static final class Results {
        private static final String OF_SINGULAR_VALUES = "singular_values/";

        final Map<String, NDArray> factors = new LinkedHashMap<>();
        final Map<String, NDArray> singularValues = new LinkedHashMap<>();
        final List<List<Object>> rows = new ArrayList<>();

        static Results of(BlockWork work) {
            Results results = new Results();
            results.factors.putAll(work.factors());
            results.singularValues.putAll(work.singularValues());
            work.reports().forEach(report -> results.rows.add(row(report)));
            return results;
        }

        void save(Path file) throws IOException {
            Map<String, NDArray> tensors = new LinkedHashMap<>(factors);
            singularValues.forEach((name, values) -> tensors.put(OF_SINGULAR_VALUES + name, values));
            SafetensorsWriter.write(
                    file, tensors, Map.of(ROWS, JsonMapper.shared().writeValueAsString(rows)));
        }

        /** Takes over a block that an earlier process was done with; returns whether there is one that can be read. */
        boolean restore(Path file, NDManager kept) {
            if (!Files.exists(file)) {
                return false;
            }
            try (Safetensors saved = Safetensors.open(file)) {
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
                log.warn("{}: cannot be used, the block is done again: {}", file, e.getMessage());
                return false;
            }
        }

        void takeOver(Results own, NDManager kept) {
            own.factors.values().forEach(factor -> factor.attach(kept));
            own.singularValues.values().forEach(values -> values.attach(kept));
            factors.putAll(own.factors);
            singularValues.putAll(own.singularValues);
            rows.addAll(own.rows);
        }
    }

    private static List<Object> row(BlockWork.LayerReport report) {
        return List.of(
                report.linear().module(),
                report.method(),
                report.linear().outFeatures(),
                report.linear().inFeatures(),
                report.rank(),
                report.errorBefore(),
                report.errorAfter(),
                report.capturedEnergy(),
                report.seconds());
    }
}
