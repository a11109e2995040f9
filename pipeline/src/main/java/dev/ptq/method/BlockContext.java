package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.artifact.LedgerEntry;
import dev.ptq.artifact.LedgerEvent;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.ExpertTokens;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.family.BlockShape;
import dev.ptq.family.ModelConfig;
import dev.ptq.format.Grid;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.format.StaticFormat;
import dev.ptq.model.Block;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.HookPoint;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.LowRank;
import dev.ptq.model.ModelFormats;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.SmoothingMapping;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** The state of one block, in full precision, while the experiment's methods process it in turn. */
public final class BlockContext {
    /** Version key in the metadata of learned parameters: raised when the meaning of their names changes. */
    private static final String VERSION = "version";

    private static final String CURRENT = "2";

    /** The source of what happened to weights that no method rounded. */
    private static final String ROUNDING = "round_to_nearest";

    /** Losses that are closer than this are equal but for the order of sums. */
    private static final double SAME = 1 + 1e-5;

    private final Setting setting;
    private final long seed;
    private final NDManager owner;
    private final Optional<BlockSamples> samples;
    private final Map<String, NDArray> loaded;
    private final BlockPatch patch = new BlockPatch();
    /** Weights as they will run, by path of the linear, where a method decided them. */
    private final Map<String, NDArray> rounded = new HashMap<>();
    /** Weights before a low-rank part was split off, and before they were clipped, by path of the linear. */
    private final Map<String, NDArray> whole = new HashMap<>();
    /** Weights that were clipped, as they would be without that, by path of the linear. */
    private final Map<String, NDArray> unclipped = new HashMap<>();

    private final Map<String, NDArray> singularValues = new LinkedHashMap<>();
    private final Map<String, NDArray> parameters = new LinkedHashMap<>();
    private final List<LayerReport> layers = new ArrayList<>();
    private final List<RoundingReport> roundings = new ArrayList<>();
    private final List<ScaleReport> scales = new ArrayList<>();
    private final List<ClipReport> clips = new ArrayList<>();
    private final List<BlockReport> blocks = new ArrayList<>();
    private final List<FoldReport> folds = new ArrayList<>();
    private final List<LedgerEntry> ledger = new ArrayList<>();
    private final QuantizedInputs quantizedInputs = new QuantizedInputs();
    private Block block;
    private ActivationStatistics statistics;
    private boolean statisticsStale;
    private boolean wasTransformed;
    private @Nullable Block transformedBlock;
    /** The transformed block of which the distance is known. */
    private @Nullable Block measuredBlock;
    /** The formats with what they know of the block as it is; null where that has to be found again. */
    private @Nullable ModelFormats formats;

    private @Nullable Runnable stepListener;

    /**
     * Settings shared by all blocks.
     *
     * @param wanted statistics that some step needs
     * @param experts how well calibration reaches them
     */
    public record Setting(ModelConfig shape, ModelFormats formats, WantedStatistics wanted, ExpertTokens experts) {
        /** A setting without static ranges and experts. */
        public Setting(ModelConfig shape, QuantizationSettings quantization, WantedStatistics wanted) {
            this(shape, ModelFormats.of(quantization, shape), wanted, ExpertTokens.none());
        }
    }

    /**
     * Report on a layer.
     *
     * @param errorBefore relative error of the quantized weight, {@code ||W - Wq|| / ||W||}, Frobenius
     * @param errorAfter the same with the correction added
     * @param capturedEnergy share of the weighted squared error that the factors capture; of a plain correction before they
     *     are rounded
     * @param left of the squared error in the step's metric, as a share of what it is without the step
     * @param split of the weight, of other orders than a plain correction
     */
    public record LayerReport(
            String method,
            LinearSpec linear,
            int rank,
            double errorBefore,
            double errorAfter,
            double capturedEnergy,
            double left,
            double seconds,
            Optional<SplitReport> split) {
        LayerReport taking(double time) {
            return new LayerReport(method, linear, rank, errorBefore, errorAfter, capturedEnergy, left, time, split);
        }
    }

    /**
     * Report on the search for a rounded and a low-rank part of a weight. Losses are squared errors in the step's metric,
     * means over outputs; in that of the Hessian they are those of a {@link RoundingReport}.
     *
     * @param ofWeight the rank that went to the weight before it was rounded
     * @param roundedLoss of the weight as it was rounded without a low-rank part
     * @param firstLoss of the first split
     * @param loss of the one kept
     * @param separateLoss with factors of its own, where linears share one
     * @param bestStep the repetition that was kept; 0 for the first split
     * @param steps repetitions
     */
    public record SplitReport(
            int ofWeight,
            double roundedLoss,
            double firstLoss,
            double loss,
            OptionalDouble separateLoss,
            int bestStep,
            int steps) {}

    /**
     * Report on a weight that was rounded with regard to its input. Losses are the mean squares, over tokens and outputs,
     * of what its errors add to an output.
     *
     * @param nearestLoss with the weight rounded to nearest
     * @param damping added to the diagonal of the Hessian
     * @param deadColumns columns whose input is always zero
     */
    public record RoundingReport(
            String method,
            LinearSpec linear,
            double nearestLoss,
            double loss,
            double damping,
            int deadColumns,
            double seconds) {}

    /**
     * Report on the search for the factors of a mapping. Losses are the mean squares, over tokens and outputs, of what
     * rounding the weights behind it adds to the output of the module that they are part of.
     *
     * @param mapping its name
     * @param nearestLoss without factors
     * @param loss with those kept
     * @param ratio the exponent of activations in the factors kept; absent if there are none
     * @param duo whether weights decided with the activations
     * @param note why there are none; empty otherwise
     */
    public record ScaleReport(
            String method,
            int block,
            String mapping,
            double nearestLoss,
            double loss,
            OptionalDouble ratio,
            boolean duo,
            double seconds,
            String note) {
        private String place() {
            return "blocks." + block + "." + mapping;
        }
    }

    /**
     * Report on the search for the ranges of a weight. Losses are the mean squares, over tokens and outputs, of what
     * rounding adds to an output, with the shares of the weight's groups squared on their own.
     *
     * @param nearestLoss with all ranges as they are
     * @param loss with those kept
     * @param clipped the share of the groups whose range became smaller
     */
    public record ClipReport(
            String method, LinearSpec linear, double nearestLoss, double loss, double clipped, double seconds) {}

    /**
     * Report on the training of a block. Losses are means over all samples.
     *
     * @param nearestLoss with the weights rounded to nearest
     * @param initialLoss at the start of training
     * @param finalLoss with the parameters kept
     * @param bestStep the step after which these were found; 0 for the start
     * @param steps taken
     * @param times breakdown of the training time
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
     * Report on how far what the block computes in full precision has moved since it was loaded.
     *
     * @param method after which
     * @param distance see {@link BlockSamples#distance}
     */
    public record FoldReport(String method, int block, double distance) {}

    /**
     * Breakdown of a training's time.
     *
     * @param rounding transforms and rounding of weights, forward
     * @param forward the block's forward pass and the loss
     * @param backward through both
     * @param optimizer with the projections after its steps
     * @param evaluations losses over all samples, before, between and after the steps
     */
    public record TrainingSeconds(
            double rounding, double forward, double backward, double optimizer, double evaluations) {
        /** Returns the total time. */
        public double all() {
            return rounding + forward + backward + optimizer + evaluations;
        }
    }

    /**
     * Starts on a block.
     *
     * @param samples to train the block and retake statistics with; absent where no step asks for them
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
        this.formats = setting.formats();
    }

    /** Sets a listener to be called after each training step. */
    public void onStep(Runnable listener) {
        stepListener = listener;
    }

    void stepDone() {
        if (stepListener != null) {
            stepListener.run();
        }
    }

    /** The block in full precision, with the changes of earlier methods short of rounding. */
    public Block block() {
        return block;
    }

    /** The parts of the block. */
    BlockShape shape() {
        return setting.shape().block(block.index());
    }

    /** Returns whether methods work on a linear: not in an expert that calibration hardly reaches. */
    boolean isWorkedOn(LinearSpec linear) {
        return setting.experts().suffice(block.index(), linear.hookPoint());
    }

    /** The mappings of these kinds, in computation order, but for those in experts that calibration hardly reaches. */
    List<SmoothingMapping> mappings(Set<SmoothingMapping.Kind> kinds) {
        return allMappings(kinds).stream().filter(this::isWorkedOn).toList();
    }

    /** The mappings of these kinds, in computation order. */
    List<SmoothingMapping> allMappings(Set<SmoothingMapping.Kind> kinds) {
        return LanguageModel.mappings(setting.shape(), block.index()).stream()
                .filter(mapping -> kinds.contains(mapping.kind()))
                .toList();
    }

    /** Returns whether methods rescale a mapping: not in an expert that calibration hardly reaches. */
    boolean isWorkedOn(SmoothingMapping mapping) {
        return mapping.hookPoint().stream().allMatch(there -> setting.experts().suffice(block.index(), there));
    }

    /** Returns whether experts are calibrated by all tokens. */
    boolean seesAllTokens() {
        return setting.wanted().allTokens();
    }

    /** The formats, which know the block's linears as they are now. */
    public ModelFormats formats() {
        if (formats == null) {
            formats = knowing();
        }
        return formats;
    }

    private ModelFormats knowing() {
        List<LinearSpec> linears = block.linears().stream().map(Linear::spec).toList();
        if (!setting.formats().ask(linears)) {
            return setting.formats();
        }
        ModelFormats asking = setting.formats().forgetting(linears);
        try {
            return asking.knowing(
                    linears,
                    new KnownLinears(
                            "block " + block.index(),
                            this::statistics,
                            setting.experts(),
                            linears,
                            asking,
                            (manager, linear) -> block.linear(linear.path()).weight()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    BlockSamples samples() {
        return samples.orElseThrow(() -> new IllegalStateException("no samples for a method that needs them"));
    }

    /** Statistics of the model in full precision, for the block as it is now: retaken after its weights changed. */
    ActivationStatistics statistics() {
        if (statisticsStale) {
            Block whole = unclipped.isEmpty() || transformedBlock == null ? block : transformedBlock;
            statistics = samples().statistics(whole, samples().full(), setting.wanted());
            statisticsStale = false;
        }
        return statistics;
    }

    /** The statistics a step needs on a linear's input. */
    ActivationStatistics statistics(Method step, LinearSpec linear) {
        return switch (step.needs().inputs()) {
            case FULL_PRECISION -> statistics();
            case QUANTIZED -> quantizedInputs.ofBlock(step);
            case TRUE_SEQUENTIAL -> quantizedInputs.behind(step, linear.hookPoint());
        };
    }

    /** The statistics a step needs on all inputs of the block, if it does not work on one linear after the other. */
    ActivationStatistics statistics(Method step) {
        return step.needs().inputs() == Inputs.FULL_PRECISION ? statistics() : quantizedInputs.ofBlock(step);
    }

    /** The samples that a step lets run through the block, before it. */
    HiddenStates inputs(Method step) {
        return step.needs().inputs() == Inputs.FULL_PRECISION
                ? samples().full()
                : samples().quantized();
    }

    /** Statistics on the quantized path, taken once per step, or per step and hook point. */
    private final class QuantizedInputs {
        private final Map<List<Object>, ActivationStatistics> taken = new HashMap<>();

        ActivationStatistics ofBlock(Method step) {
            return taken.computeIfAbsent(List.of(step), key -> take(block, step, linear -> true));
        }

        /** With the linears of earlier hook points as they will run; all experts of a mixture have these in common. */
        ActivationStatistics behind(Method step, HookPoint hookPoint) {
            return taken.computeIfAbsent(List.of(step, hookPoint.place()), key -> {
                try (Block partly = runningBefore(hookPoint)) {
                    return take(partly, step, linear -> linear.hookPoint().place() == hookPoint.place());
                }
            });
        }

        private ActivationStatistics take(Block running, Method step, Predicate<LinearSpec> some) {
            List<LinearSpec> linears =
                    block.linears().stream().map(Linear::spec).toList();
            return samples()
                    .statistics(
                            running,
                            samples().quantized(),
                            WantedStatistics.of(step.needs().statistics(), linears, some.and(step::matches))
                                    .withAllTokens(setting.wanted().allTokens()));
        }

        private Block runningBefore(HookPoint hookPoint) {
            Block running = block.with(Map.of());
            formats().applyBefore(hookPoint, running);
            for (Linear linear : running.linears()) {
                LinearSpec spec = linear.spec();
                if (spec.hookPoint().isBefore(hookPoint)) {
                    linear.replaceWeight(quantizedWeight(linear));
                    patch.lowRank(spec.path()).ifPresent(linear::correct);
                }
            }
            return running;
        }
    }

    /** Keeps the static ranges of the block's linears and of its cache, if a transformation changed them. */
    private void keepRanges() {
        if (!wasTransformed) {
            return;
        }
        for (Linear linear : block.linears()) {
            if (formats().of(linear.spec()).activation() instanceof StaticFormat format) {
                patch.range(linear.spec().path(), format.ranges());
            }
        }
        formats()
                .staticsOfCache(block.index())
                .forEach((hookPoint, format) -> patch.range(hookPoint.label(), format.ranges()));
    }

    /** A seed derived from the experiment's seed and the layer. */
    long seed(LinearSpec linear) {
        return seed * 0x9E3779B97F4A7C15L + linear.module().hashCode();
    }

    /** A seed derived from the experiment's seed and the block. */
    long seed() {
        return seed * 0x9E3779B97F4A7C15L + block.index();
    }

    /** The weight of a linear as it will run: as a method left it, or else rounded to nearest. */
    NDArray quantizedWeight(Linear linear) {
        NDArray known = rounded.get(linear.spec().path());
        return known != null ? known : roundedToNearest(linear.spec(), linear.weight());
    }

    /**
     * The matrix by which a linear multiplies its input in the end, but for the rounding of activations: the quantized
     * weight with its low-rank path, {@code [outFeatures, inFeatures]}; for after {@link #finish}.
     *
     * @param path of the linear in the block
     * @param manager that owns it
     */
    public NDArray effectiveWeight(String path, NDManager manager) {
        Linear linear = block.linear(path);
        NDArray quantized = quantizedWeight(linear);
        Optional<LowRank> beside = patch.lowRank(path);
        NDArray effective;
        try (NDManager scratch = manager.newSubManager()) {
            if (beside.isPresent()) {
                NDArray product = beside.get().a().matMul(beside.get().b());
                product.attach(scratch);
                effective = quantized.add(product.transpose(1, 0));
            } else {
                effective = quantized.duplicate();
            }
            effective.attach(manager);
        }
        if (quantized != linear.weight() && !rounded.containsValue(quantized)) {
            quantized.close();
        }
        return effective;
    }

    /** Returns the {@link #unclipped} weight less {@link #quantizedWeight}, in the weight's manager. */
    NDArray quantizationError(Linear linear) {
        NDArray quantized = quantizedWeight(linear);
        NDArray error = unclipped(linear).sub(quantized);
        if (quantized != linear.weight() && !rounded.containsValue(quantized)) {
            quantized.close();
        }
        return error;
    }

    /** Rounds values that replace a weight to its format. */
    NDArray roundedToNearest(LinearSpec linear, NDArray values) {
        return weightFormat(linear).fakeQuantize(values, Operand.WEIGHT);
    }

    private NumberFormat weightFormat(LinearSpec linear) {
        return formats().of(linear).weight();
    }

    /** Adopts the block's tensors after an equivalent transformation. */
    void transform(Map<String, NDArray> transformed) {
        Map<String, NDArray> before = block.tensors();
        List<NDArray> changed = transformed.entrySet().stream()
                .filter(entry -> before.get(entry.getKey()) != entry.getValue())
                .map(Map.Entry::getValue)
                .toList();
        if (changed.isEmpty()) {
            return;
        }
        changed.forEach(tensor -> tensor.attach(owner));
        statisticsStale = true;
        wasTransformed = true;
        formats = null;
        block = block.with(transformed);
        transformedBlock = block;
    }

    /**
     * Reports how far what the block computes in full precision has moved, if a step has transformed it.
     *
     * @param step the last one
     * @param sample at this block
     */
    public void reportFold(String step, BlockSamples sample) {
        if (transformedBlock != null && transformedBlock != measuredBlock) {
            double distance = sample.distance(transformedBlock);
            measuredBlock = transformedBlock;
            folds.add(new FoldReport(step, block.index(), distance));
            moved(step, place(), distance).ifPresent(ledger::add);
        }
    }

    /** Returns what the ledger says of a fold by which something moved too far. */
    public static Optional<LedgerEntry> moved(String step, String place, double distance) {
        return distance <= LedgerEvent.MOST_MOVED
                ? Optional.empty()
                : Optional.of(new LedgerEntry(
                        LedgerEvent.MOVED,
                        step,
                        place,
                        distance,
                        String.format(
                                Locale.ROOT,
                                "in full precision an output moved by %.1e of the largest, expected at most %.0e",
                                distance,
                                LedgerEvent.MOST_MOVED)));
    }

    /** Adopts a weight that a method rounded. */
    void round(Linear linear, Grid grid) {
        NDArray values = grid.values(owner);
        rounded.put(linear.spec().path(), values);
        patch.round(linear.spec().path(), grid, relativeError(linear, values));
    }

    /**
     * Clips a weight, which is thus rounded better. What is clipped off counts as an error of rounding.
     *
     * @param clipped of the same shape, in any manager
     */
    void clip(Linear linear, NDArray clipped) {
        String path = linear.spec().path();
        whole.putIfAbsent(path, linear.weight());
        unclipped.putIfAbsent(path, linear.weight());
        clipped.attach(owner);
        block = block.with(Map.of(path + ".weight", clipped));
    }

    /** Takes back the clipping of a weight, if it was clipped. */
    void unclip(Linear linear) {
        NDArray weight = unclipped.remove(linear.spec().path());
        if (weight != null) {
            block = block.with(Map.of(linear.spec().path() + ".weight", weight));
        }
    }

    /** The weight of a linear as it would be had it not been clipped. */
    NDArray unclipped(Linear linear) {
        return unclipped.getOrDefault(linear.spec().path(), linear.weight());
    }

    /** Splits a low-rank part off a weight: the rest replaces the weight, and the path runs beside it from now on. */
    void split(Linear linear, LowRank path) {
        String name = linear.spec().path() + ".weight";
        whole.putIfAbsent(linear.spec().path(), linear.weight());
        try (NDArray product = path.a().matMul(path.b());
                NDArray turned = product.transpose(1, 0)) {
            unclipped.computeIfPresent(linear.spec().path(), (key, weight) -> {
                NDArray unclippedRest = weight.sub(turned);
                unclippedRest.attach(owner);
                return unclippedRest;
            });
            NDArray rest = linear.weight().sub(turned);
            rest.attach(owner);
            block = block.with(Map.of(name, rest));
        }
        formats = null;
        block.linear(linear.spec().path()).correct(path);
        patch.correct(linear.spec().path(), path);
    }

    /** Adopts a path beside a rounded weight. */
    void correct(Linear linear, LowRank path) {
        patch.correct(linear.spec().path(), path);
    }

    /** {@code ||W - Wq|| / ||W||}, Frobenius, with {@code W} as transformed, before it was clipped or split. */
    private double relativeError(Linear linear, NDArray values) {
        NDArray weight = whole.getOrDefault(linear.spec().path(), linear.weight());
        try (NDArray error = unclipped(linear).sub(values)) {
            double norm = NativeFloats.sumOfSquares(weight);
            return norm == 0 ? 0 : Math.sqrt(NativeFloats.sumOfSquares(error) / norm);
        }
    }

    /**
     * Ends the work on the block: weights that were changed but not rounded are rounded to nearest, and so are those
     * whose format knows something else now.
     *
     * @return everything the methods left in it; its tensors live as long as the block
     */
    public BlockPatch finish() {
        for (Linear linear : block.linears()) {
            String name = linear.spec().path() + ".weight";
            boolean isChanged = linear.weight() != loaded.get(name)
                    || !weightFormat(linear.spec())
                            .equals(setting.formats().of(linear.spec()).weight());
            if (isChanged && patch.grid(linear.spec().path()).isEmpty()) {
                weightFormat(linear.spec())
                        .fit(linear.weight(), Operand.WEIGHT)
                        .ifPresentOrElse(
                                grid -> roundToNearest(linear, grid), () -> patch.change(name, linear.weight()));
            }
        }
        block.tensors().forEach((name, tensor) -> {
            boolean ofLinear = block.linears().stream()
                    .anyMatch(linear -> name.equals(linear.spec().path() + ".weight"));
            if (!ofLinear && loaded.get(name) != tensor) {
                patch.change(name, tensor);
            }
        });
        keepRanges();
        return patch;
    }

    private void roundToNearest(Linear linear, Grid grid) {
        ledger.addAll(faults(linear.spec(), grid.faults(linear.weight())));
        round(linear, grid);
    }

    /** Returns what the ledger says of a weight that was rounded to nearest. */
    public static List<LedgerEntry> faults(LinearSpec linear, Grid.Faults faults) {
        List<LedgerEntry> entries = new ArrayList<>();
        if (faults.notFinite() > 0) {
            entries.add(new LedgerEntry(
                    LedgerEvent.NOT_FINITE,
                    ROUNDING,
                    linear.module(),
                    faults.notFinite(),
                    faults.notFinite() + " of " + faults.blocks() + " blocks have values that are NaN or infinite"));
        }
        if (faults.saturated() > 0) {
            entries.add(new LedgerEntry(
                    LedgerEvent.SATURATED,
                    ROUNDING,
                    linear.module(),
                    faults.saturated(),
                    faults.saturated() + " of " + faults.blocks()
                            + " blocks have values more than half a step beyond the format's largest"));
        }
        return entries;
    }

    /** Keeps learned parameters for the results and for later runs. */
    void keep(String method, List<Parameter> learned) {
        for (Parameter parameter : learned) {
            parameter.tensor().setRequiresGradient(false);
            parameter.tensor().attach(owner);
            parameters.put(method + "." + parameter.name(), parameter.tensor());
        }
    }

    /**
     * Writes the learned parameters, if any: for resuming, and for the {@code parameters} key of another run's step.
     */
    public void writeParameters(Path file) throws IOException {
        if (!parameters.isEmpty()) {
            SafetensorsWriter.write(file, parameters, Map.of(VERSION, CURRENT));
        }
    }

    /** Sets parameters to the values that an earlier run kept. */
    void restore(Training.Start start, String method, List<Parameter> learned) throws IOException {
        Path path = Path.of(start.path()).resolve(blockFile(block.index()));
        try (Safetensors file = Safetensors.open(path)) {
            if (!CURRENT.equals(file.metadata().get(VERSION))) {
                throw new IOException(path + ": written by version "
                        + file.metadata().getOrDefault(VERSION, "1") + " of this layout, this program reads version "
                        + CURRENT + "; train again, without parameters");
            }
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

    /** The name of a block's file in a folder with one file per block. */
    public static String blockFile(int block) {
        return "block-" + block + ".safetensors";
    }

    /** Puts something into the ledger. */
    void record(LedgerEvent event, Method step, String place, double amount, String note) {
        record(event, step.name(), place, amount, note);
    }

    private void record(LedgerEvent event, String source, String place, double amount, String note) {
        ledger.add(new LedgerEntry(event, source, place, amount, note));
    }

    private String place() {
        return "blocks." + block.index();
    }

    /** Whatever a method is, a loss above that of plain rounding is worth a line. */
    private void compare(String method, String place, double nearest, double loss) {
        if (loss > nearest * SAME) {
            record(
                    LedgerEvent.WORSE_THAN_NEAREST,
                    method,
                    place,
                    loss / nearest,
                    String.format(Locale.ROOT, "loss %.4g, rounded to nearest %.4g", loss, nearest));
        }
    }

    void report(BlockReport report) {
        compare(report.method(), place(), report.nearestLoss(), report.finalLoss());
        blocks.add(report);
    }

    void report(RoundingReport report) {
        String module = report.linear().module();
        compare(report.method(), module, report.nearestLoss(), report.loss());
        if (report.deadColumns() > 0) {
            record(
                    LedgerEvent.DEAD_COLUMNS,
                    report.method(),
                    module,
                    report.deadColumns(),
                    report.deadColumns() + " of " + report.linear().inFeatures()
                            + " columns get no input but zeros from calibration");
        }
        roundings.add(report);
    }

    void report(ScaleReport report) {
        compare(report.method(), report.place(), report.nearestLoss(), report.loss());
        scales.add(report);
    }

    void report(ClipReport report) {
        compare(report.method(), report.linear().module(), report.nearestLoss(), report.loss());
        clips.add(report);
    }

    void report(LayerReport report) {
        if (report.left() > SAME) {
            record(
                    LedgerEvent.CORRECTION_WORSE,
                    report.method(),
                    report.linear().module(),
                    report.left(),
                    String.format(
                            Locale.ROOT,
                            "the squared error in the step's metric is %.4g times that without it",
                            report.left()));
        }
        layers.add(report);
    }

    /** What went otherwise than expected, in order. */
    public List<LedgerEntry> ledger() {
        return ledger;
    }

    /** One row per step that transformed the block. */
    public List<FoldReport> foldReports() {
        return folds;
    }

    /** The learned parameters, {@code <method>.<name>}. */
    public Map<String, NDArray> parameters() {
        return parameters;
    }

    /** Keeps the singular values of the error, in the method's metric and unscaled. */
    void keepSingularValues(LinearSpec linear, NDArray scaled, NDArray unscaled) {
        for (NDArray values : List.of(scaled, unscaled)) {
            values.attach(owner);
        }
        singularValues.put(linear.module() + ".scaled_error", scaled);
        singularValues.put(linear.module() + ".error", unscaled);
    }

    /**
     * All singular values of weight errors, {@code <module>.scaled_error} and {@code <module>.error}, where a method
     * keeps them.
     */
    public Map<String, NDArray> singularValues() {
        return singularValues;
    }

    /** One row per layer worked on. */
    public List<LayerReport> layerReports() {
        return layers;
    }

    /** One row per weight that was rounded with regard to its input. */
    public List<RoundingReport> roundingReports() {
        return roundings;
    }

    /** One row per mapping whose factors were searched for. */
    public List<ScaleReport> scaleReports() {
        return scales;
    }

    /** One row per weight whose ranges were searched for. */
    public List<ClipReport> clipReports() {
        return clips;
    }

    /** One row per training. */
    public List<BlockReport> blockReports() {
        return blocks;
    }
}
