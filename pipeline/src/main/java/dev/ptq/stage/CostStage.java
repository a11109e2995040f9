package dev.ptq.stage;

import ai.djl.ndarray.NDManager;
import dev.ptq.artifact.CostColumn;
import dev.ptq.artifact.Metric;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.TableColumn;
import dev.ptq.family.ModelConfig;
import dev.ptq.format.NumberFormat;
import dev.ptq.method.BlockPatch;
import dev.ptq.method.Method;
import dev.ptq.model.LinearFormats;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.ModelFormats;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.TokenCost;
import dev.ptq.run.Stage;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Counts what a token costs in the quantized model: {@code layers.csv}, {@code metrics.json}. Computes nothing else. */
final class CostStage implements Stage {
    private static final Logger log = LoggerFactory.getLogger(CostStage.class);

    private final Workspace workspace;
    private final Settings settings;

    private record Settings(
            Workspace.ModelContent model, QuantizationSettings quantization, List<Method> steps, int context) {}

    CostStage(Workspace workspace) {
        this.workspace = workspace;
        Experiment experiment = workspace.experiment();
        this.settings = new Settings(
                workspace.preparedContent(),
                experiment.quantization(),
                experiment.steps().steps(),
                experiment.costContext());
    }

    @Override
    public String name() {
        return RunFiles.COST;
    }

    @Override
    public List<String> inputs() {
        List<String> inputs = new ArrayList<>(workspace.preparing());
        if (!settings.steps().isEmpty()) {
            inputs.add(RunFiles.APPROXIMATE);
        }
        inputs.add(RunFiles.QUANTIZE);
        return inputs;
    }

    @Override
    public Record settings() {
        return settings;
    }

    @Override
    public int version() {
        return 3;
    }

    @Override
    public void run(Map<String, Path> inputs, Path output, Path unfinished) throws IOException {
        StoredWeights storage = StoredWeights.of(workspace.preparedModel(inputs));
        ModelConfig model = workspace.experiment().preparedShape();
        ModelFormats formats = ModelFormats.of(settings.quantization(), model)
                .withWeights(WeightIndex.formats(Objects.requireNonNull(inputs.get(RunFiles.QUANTIZE))));
        Optional<Path> approximated = Optional.ofNullable(inputs.get(RunFiles.APPROXIMATE));
        List<List<Object>> rows = new ArrayList<>();
        TokenCost total = TokenCost.none();
        for (int block = 0; block < model.blocks(); block++) {
            try (NDManager manager = TensorEngine.newManager()) {
                BlockPatch patch = approximated.isPresent()
                        ? QuantizedModel.patches(approximated.get(), model).read(block, manager)
                        : new BlockPatch();
                for (LinearSpec linear : QuantizedModel.linears(model, block)) {
                    LinearFormats own = formats.of(linear);
                    TokenCost cost = TokenCost.of(
                            linear,
                            model.block(block),
                            storage.storage(linear, own.weight()),
                            own.activation(),
                            patch.lowRank(linear.path()));
                    rows.add(row(linear.module(), cost));
                    total = total.plus(cost);
                }
                TokenCost rest = TokenCost.besideLinears(model, block, formats, settings.context())
                        .plus(TokenCost.ofMatrices(patch.matrixValues()));
                rows.add(row("blocks." + block, rest));
                total = total.plus(rest);
            }
        }
        Tables.write(output.resolve(RunFiles.LAYERS), TableColumn.header(CostColumn.values()), rows);
        Map<String, Object> metrics = new LinkedHashMap<>();
        metrics.put(Metric.BOPS_PER_TOKEN.label(), total.bitOperations());
        metrics.put(Metric.BYTES_PER_TOKEN.label(), total.bytes());
        metrics.put(Metric.COST_CONTEXT.label(), settings.context());
        // of what was rounded again there is no file
        if (storage.isPacked()
                && approximated.isEmpty()
                && formats.weights().values().stream().allMatch(NumberFormat::isNone)) {
            metrics.put(
                    Metric.CHECKPOINT_BYTES.label(),
                    workspace.experiment().model().weightBytes());
        }
        JsonFiles.write(output.resolve(RunFiles.METRICS), metrics);
        log.info(
                "{}: {} bit operations and {} bytes for a token that sees {}",
                RunFiles.COST,
                String.format(Locale.ROOT, "%.3g", total.bitOperations()),
                String.format(Locale.ROOT, "%.3g", total.bytes()),
                settings.context());
    }

    private static List<Object> row(String module, TokenCost cost) {
        return List.of(module, cost.bitOperations(), cost.bytes());
    }
}
