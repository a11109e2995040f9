package dev.ptq.stage;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.format.Formats;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.method.LowRankCorrection;
import dev.ptq.method.Method;
import dev.ptq.model.Block;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.progress.Progress;
import dev.ptq.run.Stage;
import dev.ptq.tensor.NativeFloats;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Measures what the formats do to the weights and what they cost: {@code layers.csv}, {@code metrics.json}. */
final class QuantizeStage implements Stage {
    private static final Logger log = LoggerFactory.getLogger(QuantizeStage.class);

    static final String NAME = "quantize";

    private final Workspace workspace;
    private final Settings settings;

    private record Settings(Workspace.ModelContent model, QuantizationSettings weights, List<Method> steps) {}

    QuantizeStage(Workspace workspace) {
        this.workspace = workspace;
        Experiment experiment = workspace.experiment();
        this.settings =
                new Settings(workspace.modelContent(), experiment.quantization().weightsOnly(), experiment.steps());
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public List<String> inputs() {
        return settings.steps().isEmpty() ? List.of() : List.of(ApproximateStage.NAME);
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
        LanguageModel model = workspace.model();
        Path approximated = inputs.get(ApproximateStage.NAME);
        List<List<Object>> rows = new ArrayList<>();
        double bits = 0;
        double weights = 0;
        double errors = 0;
        int blocks = model.config().blocks();
        try (Progress progress = workspace.reporter().start(NAME, blocks, "blocks")) {
            for (int index = 0; index < blocks; index++) {
                try (Block block = model.load(index)) {
                    Map<String, Double> known = approximated == null
                            ? Map.of()
                            : Approximated.replaceTensors(block, Approximated.weights(approximated, index));
                    bits += normMatrixBits(block);
                    for (Linear linear : block.linears()) {
                        LinearSpec spec = linear.spec();
                        NumberFormat format =
                                settings.weights().formats(spec.weightName()).weight();
                        double weightBits =
                                format.storageBits(new Shape(spec.outFeatures(), spec.inFeatures()), Operand.WEIGHT);
                        double lowRankBits = lowRankBits(spec);
                        Double roundingError = known.get(spec.module());
                        double error = roundingError == null ? relativeError(linear.weight(), format) : roundingError;
                        bits += weightBits + lowRankBits;
                        weights += spec.size();
                        errors += error;
                        rows.add(List.of(
                                spec.module(),
                                Formats.written(format),
                                weightBits / spec.size(),
                                (weightBits + lowRankBits) / spec.size(),
                                error));
                    }
                }
                progress.step(index + 1);
            }
        }
        Tables.write(
                output.resolve("layers.csv"),
                List.of("module", "format", "bits_per_value", "bits_per_value_with_low_rank", "relative_error"),
                rows);
        Map<String, Object> metrics = new LinkedHashMap<>();
        metrics.put("bits_per_weight", bits / weights);
        metrics.put("mean_relative_weight_error", errors / rows.size());
        JsonFiles.write(output.resolve("metrics.json"), metrics);
        log.info(
                "{}: {} linears, {} bits per weight, mean relative error {}",
                NAME,
                rows.size(),
                String.format(Locale.ROOT, "%.3f", bits / weights),
                String.format(Locale.ROOT, "%.4f", errors / rows.size()));
    }

    /** What matrices behind norms add, which stay in float32. */
    private static double normMatrixBits(Block block) {
        return block.tensors().entrySet().stream()
                .filter(entry -> entry.getKey().endsWith(".matrix"))
                .mapToDouble(entry -> (double) Float.SIZE * entry.getValue().size())
                .sum();
    }

    /** What the low-rank path of a linear adds. */
    private double lowRankBits(LinearSpec spec) {
        double bits = 0;
        for (Method step : settings.steps()) {
            if (step instanceof LowRankCorrection correction && correction.matches(spec)) {
                Shape a = new Shape(spec.inFeatures(), correction.rank());
                Shape b = new Shape(correction.rank(), spec.outFeatures());
                bits = correction.factor().storageBits(a, Operand.FACTOR)
                        + correction.factor().storageBits(b, Operand.FACTOR);
            }
        }
        return bits;
    }

    /** {@code ||W - Wq|| / ||W||}, Frobenius. */
    private static double relativeError(NDArray weight, NumberFormat format) {
        try (NDManager scratch = weight.getManager().newSubManager()) {
            weight.tempAttach(scratch);
            NDArray rounded = format.fakeQuantize(weight, Operand.WEIGHT);
            double norm = NativeFloats.sumOfSquares(weight);
            double error = NativeFloats.sumOfSquares(weight.sub(rounded));
            return norm == 0 ? 0 : Math.sqrt(error / norm);
        }
    }
}
