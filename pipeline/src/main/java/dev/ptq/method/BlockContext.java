package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.format.Operand;
import dev.ptq.model.Block;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.ModelConfig;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.SmoothingMapping;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** One block, in full precision, while the methods of an experiment work on it one after the other. */
public final class BlockContext {
    private final Setting setting;
    private final long seed;
    private final NDManager owner;
    private final Optional<BlockSamples> samples;
    private final Map<String, NDArray> loaded;
    private final Map<String, NDArray> factors = new LinkedHashMap<>();
    private final Map<String, NDArray> singularValues = new LinkedHashMap<>();
    private final Map<String, NDArray> rounded = new HashMap<>();
    private final Map<String, NDArray> parameters = new LinkedHashMap<>();
    private final List<LayerReport> layers = new ArrayList<>();
    private final List<BlockReport> blocks = new ArrayList<>();
    private Block block;
    private ActivationStatistics statistics;
    private boolean statisticsStale;
    private boolean wasTransformed;
    private @Nullable Runnable stepListener;

    /**
     * What is the same for all blocks.
     *
     * @param wanted statistics that some step needs
     */
    public record Setting(ModelConfig shape, QuantizationSettings quantization, WantedStatistics wanted) {}

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

    /**
     * What training did to a block. Losses are means over all samples.
     *
     * @param nearestLoss with the weights rounded to nearest
     * @param initialLoss at the start of training
     * @param finalLoss with the parameters that are kept
     * @param bestStep after which these were found; 0 for the start
     * @param steps taken
     * @param times where they went
     */
    public record BlockReport(
            String method,
            int block,
            double nearestLoss,
            double initialLoss,
            double finalLoss,
            int bestStep,
            int steps,
            double seconds,
            TrainingSeconds times) {}

    /**
     * Where the time of a training went.
     *
     * @param rounding transforms and rounding of weights, forward
     * @param forward the block's forward pass and the loss
     * @param backward through both
     * @param optimizer with the projections after its steps
     * @param evaluations losses over all samples, before, between and after the steps
     */
    public record TrainingSeconds(
            double rounding, double forward, double backward, double optimizer, double evaluations) {
        /** The time of all parts. */
        public double all() {
            return rounding + forward + backward + optimizer + evaluations;
        }
    }

    /**
     * Starts on a block.
     *
     * @param samples that the block is trained on, and statistics retaken with; absent where no step asks for them
     */
    public BlockContext(
            Setting setting, Block block, ActivationStatistics statistics, Optional<BlockSamples> samples, long seed) {
        this.setting = setting;
        this.block = block;
        this.owner = block.manager();
        this.loaded = block.tensors();
        this.statistics = statistics;
        this.samples = samples;
        this.seed = seed;
    }

    /** Has a listener called after each step of training. */
    public void onStep(Runnable listener) {
        stepListener = listener;
    }

    void stepDone() {
        if (stepListener != null) {
            stepListener.run();
        }
    }

    /** The block in full precision, with what earlier methods did to it short of rounding. */
    Block block() {
        return block;
    }

    ModelConfig shape() {
        return setting.shape();
    }

    /** The mappings of these kinds, in the order of the computation. */
    List<SmoothingMapping> mappings(Set<SmoothingMapping.Kind> kinds) {
        return LanguageModel.mappings(setting.shape()).stream()
                .filter(mapping -> kinds.contains(mapping.kind()))
                .toList();
    }

    QuantizationSettings quantization() {
        return setting.quantization();
    }

    BlockSamples samples() {
        return samples.orElseThrow(() -> new IllegalStateException("no samples for a method that needs them"));
    }

    /** Statistics of the block as it is now: taken again after its weights were changed. */
    ActivationStatistics statistics() {
        if (statisticsStale) {
            statistics = samples().statistics(block, setting.wanted());
            statisticsStale = false;
        }
        return statistics;
    }

    /** Statistics of the block as it is now, if a transformation made those of calibration void. */
    public Optional<ActivationStatistics> retakenStatistics() {
        return wasTransformed ? Optional.of(statistics()) : Optional.empty();
    }

    /** A seed of the experiment's and the layer's own. */
    long seed(LinearSpec linear) {
        return seed * 0x9E3779B97F4A7C15L + linear.module().hashCode();
    }

    /** A seed of the experiment's and the block's own. */
    long seed() {
        return seed * 0x9E3779B97F4A7C15L + block.index();
    }

    /** The weight of a linear as it will run: what a method made of it, or else rounded to nearest. */
    NDArray quantizedWeight(Linear linear) {
        NDArray known = rounded.get(linear.spec().path() + ".weight");
        return known != null
                ? known
                : quantization()
                        .formats(linear.spec().weightName())
                        .weight()
                        .fakeQuantize(linear.weight(), Operand.WEIGHT);
    }

    /**
     * Takes over the block's tensors after an equivalent transformation, and after rounding.
     *
     * @param quantized with the same names; empty where the weights are still to be rounded to nearest
     */
    void replace(Map<String, NDArray> transformed, Map<String, NDArray> quantized) {
        Map<String, NDArray> before = block.tensors();
        transformed.forEach((name, tensor) -> {
            if (before.get(name) != tensor) {
                tensor.attach(owner);
                statisticsStale = true;
                wasTransformed = true;
            }
        });
        for (Linear linear : block.linears()) {
            String name = linear.spec().path() + ".weight";
            NDArray weight = quantized.get(name);
            if (weight != null) {
                if (weight != before.get(name)) {
                    weight.attach(owner);
                }
                rounded.put(name, weight);
            }
        }
        block = block.with(transformed, false);
    }

    /** Keeps learned parameters, for the results and for later runs. */
    void keep(String method, List<Parameter> learned) {
        for (Parameter parameter : learned) {
            parameter.tensor().setRequiresGradient(false);
            parameter.tensor().attach(owner);
            parameters.put(method + "." + parameter.name(), parameter.tensor());
        }
    }

    /** Gives parameters the values that an earlier run kept. */
    void restore(Training.Start start, String method, List<Parameter> learned) throws IOException {
        Path path = Path.of(start.path()).resolve(blockFile(block.index()));
        try (Safetensors file = Safetensors.open(path)) {
            for (Parameter parameter : learned) {
                String name = method + "." + parameter.name();
                Safetensors.Entry entry = file.entries().get(name);
                if (entry == null) {
                    throw new IOException(path + ": has no " + name
                            + "; method, mappings, shift, lwc and matrices must be those of the run it is of (see its "
                            + "resolved.toml)");
                }
                List<Long> shape = Arrays.stream(parameter.tensor().getShape().getShape())
                        .boxed()
                        .toList();
                if (!entry.shape().equals(shape)) {
                    throw new IOException(path + ": " + name + " is " + entry.shape() + ", expected " + shape
                            + "; rank, granularity and matrices must be those of the run it is of (see its resolved.toml), and"
                            + " the model too");
                }
                parameter.set(file.floats(name));
            }
        }
    }

    /** The name of a block's file in a folder with one for each. */
    public static String blockFile(int block) {
        return "block-" + block + ".safetensors";
    }

    void report(BlockReport report) {
        blocks.add(report);
    }

    void correct(LinearSpec linear, NDArray a, NDArray b, LayerReport report) {
        factors.put(linear.module() + ".A", a);
        factors.put(linear.module() + ".B", b);
        layers.add(report);
    }

    /** The low-rank factors made so far, rounded: {@code <module>.A} and {@code <module>.B}. */
    public Map<String, NDArray> factors() {
        return factors;
    }

    /** The tensors that differ from the model's, as they will run, by the names of {@link Block#tensors}. */
    public Map<String, NDArray> changed() {
        Map<String, NDArray> changed = new LinkedHashMap<>(block.tensors());
        changed.putAll(rounded);
        changed.entrySet().removeIf(entry -> loaded.get(entry.getKey()) == entry.getValue());
        return changed;
    }

    /**
     * The relative errors of weights that a method rounded, by module, {@code ||W - Wq|| / ||W||} with {@code W} as
     * transformed.
     */
    public Map<String, Double> roundingErrors() {
        Map<String, Double> errors = new LinkedHashMap<>();
        for (Linear linear : block.linears()) {
            NDArray weight = rounded.get(linear.spec().path() + ".weight");
            if (weight != null) {
                try (NDManager scratch = owner.newSubManager()) {
                    linear.weight().tempAttach(scratch);
                    double norm = NativeFloats.sumOfSquares(linear.weight());
                    double error = NativeFloats.sumOfSquares(linear.weight().sub(weight));
                    errors.put(linear.spec().module(), norm == 0 ? 0 : Math.sqrt(error / norm));
                }
            }
        }
        return errors;
    }

    /** What was learned, {@code <method>.<name>}. */
    public Map<String, NDArray> parameters() {
        return parameters;
    }

    /** Takes those of the error in the method's metric and of the error itself. */
    void keepSingularValues(LinearSpec linear, NDArray scaled, NDArray unscaled) {
        for (NDArray values : List.of(scaled, unscaled)) {
            values.attach(owner);
        }
        singularValues.put(linear.module() + ".scaled_error", scaled);
        singularValues.put(linear.module() + ".error", unscaled);
    }

    /** All of weight errors, {@code <module>.scaled_error} and {@code <module>.error}, where a method keeps them. */
    public Map<String, NDArray> singularValues() {
        return singularValues;
    }

    /** A row for each layer that was worked on. */
    public List<LayerReport> layerReports() {
        return layers;
    }

    /** A row for each training. */
    public List<BlockReport> blockReports() {
        return blocks;
    }
}
