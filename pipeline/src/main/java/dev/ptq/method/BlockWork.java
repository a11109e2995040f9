package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.model.Block;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.QuantizationSettings;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One block, in full precision, while the methods of an experiment work on it one after the other. */
public final class BlockWork {
    private final Block block;
    private final QuantizationSettings quantization;
    private final ActivationStatistics statistics;
    private final long seed;
    private final Map<String, NDArray> factors = new LinkedHashMap<>();
    private final Map<String, NDArray> singularValues = new LinkedHashMap<>();
    private final List<LayerReport> reports = new ArrayList<>();

    /**
     * What was done to a layer.
     *
     * @param errorBefore relative error of the quantized weight, {@code ||W - Wq|| / ||W||}, Frobenius
     * @param errorAfter the same with the correction added
     * @param capturedEnergy share of the weighted squared error that the factors hold, before they are rounded
     */
    public record LayerReport(
            String method,
            LinearSpec linear,
            int rank,
            double errorBefore,
            double errorAfter,
            double capturedEnergy,
            double seconds) {}

    /** Starts on a block. */
    public BlockWork(Block block, QuantizationSettings quantization, ActivationStatistics statistics, long seed) {
        this.block = block;
        this.quantization = quantization;
        this.statistics = statistics;
        this.seed = seed;
    }

    Block block() {
        return block;
    }

    QuantizationSettings quantization() {
        return quantization;
    }

    ActivationStatistics statistics() {
        return statistics;
    }

    /** A seed of the experiment's and the layer's own. */
    long seed(LinearSpec linear) {
        return seed * 0x9E3779B97F4A7C15L + linear.module().hashCode();
    }

    void correct(LinearSpec linear, NDArray a, NDArray b, LayerReport report) {
        factors.put(linear.module() + ".A", a);
        factors.put(linear.module() + ".B", b);
        reports.add(report);
    }

    /** The low-rank factors made so far, rounded: {@code <module>.A} and {@code <module>.B}. */
    public Map<String, NDArray> factors() {
        return factors;
    }

    /** Takes those of the error in the method's metric and of the error itself. */
    void keepSingularValues(LinearSpec linear, NDArray scaled, NDArray unscaled) {
        for (NDArray values : List.of(scaled, unscaled)) {
            values.attach(block.manager());
        }
        singularValues.put(linear.module() + ".scaled_error", scaled);
        singularValues.put(linear.module() + ".error", unscaled);
    }

    /** All of weight errors, {@code <module>.scaled_error} and {@code <module>.error}, where a method keeps them. */
    public Map<String, NDArray> singularValues() {
        return singularValues;
    }

    /** A row for each layer that was worked on. */
    public List<LayerReport> reports() {
        return reports;
    }
}
