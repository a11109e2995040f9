package dev.ptq.stage;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.artifact.LedgerEntry;
import dev.ptq.artifact.Metric;
import dev.ptq.artifact.QuantizedColumn;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.TableColumn;
import dev.ptq.format.Formats;
import dev.ptq.format.Grid;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.method.BlockContext;
import dev.ptq.method.BlockPatch;
import dev.ptq.method.Method;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.LowRank;
import dev.ptq.model.ModelFormats;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.progress.Progress;
import dev.ptq.run.Stage;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Packing;
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
 * Makes the weights that evaluation reads, {@code weights.json}, and measures the effect and the cost of the formats:
 * {@code layers.csv}, {@code ledger.csv}, {@code metrics.json}. Weights rounded by methods are stored by the approximate stage; those
 * rounded to nearest are rounded on every read, so that a large model does not need its size again.
 */
final class QuantizeStage implements Stage {
    private static final Logger log = LoggerFactory.getLogger(QuantizeStage.class);

    private final Workspace workspace;
    private final Settings settings;

    private record Settings(Workspace.ModelContent model, QuantizationSettings weights, List<Method> steps) {}

    QuantizeStage(Workspace workspace) {
        this.workspace = workspace;
        Experiment experiment = workspace.experiment();
        this.settings = new Settings(
                workspace.modelContent(),
                experiment.quantization().weightsOnly(),
                experiment.steps().steps());
    }

    @Override
    public String name() {
        return RunFiles.QUANTIZE;
    }

    @Override
    public List<String> inputs() {
        List<String> inputs = new ArrayList<>(workspace.preparing());
        if (!settings.steps().isEmpty()) {
            inputs.add(RunFiles.APPROXIMATE);
        }
        if (!settings.weights().weightNeeds().isEmpty()) {
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
        return 4;
    }

    /** Sums over all linears. */
    private static final class Sums {
        private final List<List<Object>> rows = new ArrayList<>();
        private final Map<String, WeightIndex.Entry> index = new LinkedHashMap<>();
        private double bits;
        private double weights;
        private double errors;
        private final List<LedgerEntry> faults = new ArrayList<>();
    }

    @Override
    public void run(Map<String, Path> inputs, Path output, Path unfinished) throws IOException {
        boolean strict = workspace.experiment().strict();
        Ledger.require(strict, inputs);
        Ledger ledger = new Ledger(strict);
        LanguageModel model = workspace.preparedModel(inputs);
        Optional<Path> approximated = Optional.ofNullable(inputs.get(RunFiles.APPROXIMATE));
        ModelFormats formats = KnownFormats.in(workspace, model, settings.weights(), inputs);
        StoredWeights storage = StoredWeights.of(model);
        Sums sums = new Sums();
        int blocks = model.config().blocks();
        try (Progress progress = workspace.reporter().start(RunFiles.QUANTIZE, blocks, "blocks")) {
            for (int block = 0; block < blocks; block++) {
                try (NDManager manager = TensorEngine.newManager()) {
                    BlockPatch patch = approximated.isPresent()
                            ? QuantizedModel.patches(approximated.get(), model.config())
                                    .read(block, manager)
                            : new BlockPatch();
                    sums.bits += patch.matrixBits();
                    for (LinearSpec linear : QuantizedModel.linears(model.config(), block)) {
                        measure(model, storage, linear, format(formats, linear, patch), patch, sums);
                    }
                }
                ledger.add(RunFiles.QUANTIZE + ", block " + block, sums.faults);
                sums.faults.clear();
                progress.step(block + 1L);
            }
        }
        ledger.write(output);
        new WeightIndex(sums.index).write(output);
        Tables.write(output.resolve(RunFiles.LAYERS), TableColumn.header(QuantizedColumn.values()), sums.rows);
        double bitsPerWeight = sums.bits / sums.weights;
        double meanError = sums.errors / sums.rows.size();
        Map<String, Object> metrics = new LinkedHashMap<>();
        metrics.put(Metric.BITS_PER_WEIGHT.label(), bitsPerWeight);
        metrics.put(Metric.MEAN_RELATIVE_WEIGHT_ERROR.label(), meanError);
        JsonFiles.write(output.resolve(RunFiles.METRICS), metrics);
        log.info(
                "{}: {} linears, {} bits per weight, mean relative error {}",
                RunFiles.QUANTIZE,
                sums.rows.size(),
                String.format(Locale.ROOT, "%.3f", bitsPerWeight),
                String.format(Locale.ROOT, "%.4f", meanError));
    }

    /** The format of a weight; of one that a method rounded, with what that knew of the linear. */
    static NumberFormat format(ModelFormats formats, LinearSpec linear, BlockPatch patch) {
        NumberFormat format = formats.of(linear).weight();
        Optional<Grid> stored = format.asksAboutLinear() ? patch.grid(linear.path()) : Optional.empty();
        return stored.map(Grid::format).orElse(format);
    }

    private static void measure(
            LanguageModel model,
            StoredWeights storage,
            LinearSpec linear,
            NumberFormat format,
            BlockPatch patch,
            Sums sums)
            throws IOException {
        double weightBits = storage.storage(linear, format).bits();
        double lowRankBits = patch.lowRank(linear.path()).map(LowRank::bits).orElse(0.0);
        Optional<Double> known = patch.roundingError(linear.path());
        double error = known.isPresent() ? known.get() : relativeError(model, linear, format, sums.faults);
        sums.bits += weightBits + lowRankBits;
        sums.weights += linear.size();
        sums.errors += error;
        sums.index.put(linear.weightName(), WeightIndex.Entry.of(format, known.isPresent()));
        sums.rows.add(List.of(
                linear.module(),
                storage.packing(linear, format).map(Packing::label).orElseGet(() -> Formats.written(format)),
                weightBits / linear.size(),
                (weightBits + lowRankBits) / linear.size(),
                error));
    }

    /** {@code ||W - Wq|| / ||W||}, Frobenius, of a weight rounded to nearest. */
    private static double relativeError(
            LanguageModel model, LinearSpec linear, NumberFormat format, List<LedgerEntry> faults) throws IOException {
        if (format.isNone()) {
            return 0;
        }
        try (NDManager scratch = TensorEngine.newManager()) {
            NDArray weight = model.weights().load(scratch, linear.weightName());
            double norm = NativeFloats.sumOfSquares(weight);
            Optional<Grid> grid = format.fit(weight, Operand.WEIGHT);
            grid.ifPresent(fitted -> faults.addAll(BlockContext.faults(linear, fitted.faults(weight))));
            NDArray rounded = grid.map(fitted -> fitted.values(scratch))
                    .orElseGet(() -> format.fakeQuantize(weight, Operand.WEIGHT));
            double error = NativeFloats.sumOfSquares(weight.sub(rounded));
            return norm == 0 ? 0 : Math.sqrt(error / norm);
        }
    }
}
