package dev.ptq.stage;

import dev.ptq.calibrate.CalibrationSettings;
import dev.ptq.calibrate.Statistic;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.config.Assignment;
import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import dev.ptq.data.Tokenizer;
import dev.ptq.evaluate.PerplexityProtocol;
import dev.ptq.evaluate.PerplexitySettings;
import dev.ptq.method.LowRankCorrection;
import dev.ptq.method.Method;
import dev.ptq.method.Methods;
import dev.ptq.method.TestTimeAdaptation;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.ModelConfig;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.SmoothingMapping;
import dev.ptq.weights.Checkpoint;
import dev.ptq.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * An experiment file as values, checked as far as it can be without opening a checkpoint.
 *
 * @param seed of everything random
 * @param model where the model is
 * @param memory whether the model stays in memory
 * @param shape of the model
 * @param calibration text for statistics; present where a step needs one
 * @param steps {@code [[approximation]]}, in order
 * @param adaptation of the last block to each text, beside what is measured without it
 * @param resolved every key with the value in force, defaults included
 */
public record Experiment(
        long seed,
        ModelFolder model,
        Memory memory,
        ModelConfig shape,
        Optional<CalibrationSettings> calibration,
        List<Method> steps,
        Optional<TestTimeAdaptation> adaptation,
        QuantizationSettings quantization,
        EvaluationSettings evaluation,
        Map<String, Object> resolved) {

    /** Whether the blocks of a model stay in memory between passes. */
    public enum Memory {
        /** Where the model takes at most a quarter of the machine's memory. */
        AUTO,
        /** Always. */
        RESIDENT,
        /** Never: they are read again in every pass. */
        STREAMED
    }

    /**
     * Reads an experiment file.
     *
     * @param overrides {@code key.path=value}
     * @throws dev.ptq.config.ConfigException with all problems, if there are any
     */
    public static Experiment read(Path file, List<String> overrides) throws IOException {
        return read(file, overrides, List.of());
    }

    /**
     * Reads an experiment file for one point of a sweep.
     *
     * @param overrides {@code key.path=value}
     * @param assignments what the point sets; they come after the overrides
     * @throws dev.ptq.config.ConfigException with all problems, if there are any
     */
    public static Experiment read(Path file, List<String> overrides, List<Assignment> assignments) throws IOException {
        ConfigTable root = ConfigTable.read(file, overrides, assignments);
        long seed = root.longInteger("seed", 0, 0, Long.MAX_VALUE);
        ConfigTable modelTable = root.requiredTable("model");
        String path = modelTable.string("path");
        Optional<ModelFolder> folder = path.isEmpty() ? Optional.empty() : folder(modelTable, path);
        Map<String, Memory> memories = new LinkedHashMap<>();
        memories.put("auto", Memory.AUTO);
        memories.put("resident", Memory.RESIDENT);
        memories.put("streamed", Memory.STREAMED);
        Memory memory = modelTable.choice("memory", memories, "auto");
        Optional<ModelConfig> shape = folder.flatMap(found -> shape(modelTable, found.path()));

        Optional<CalibrationSettings> calibration = root.table("calibration").map(CalibrationSettings::read);
        List<ConfigTable> stepTables = root.tables("approximation");
        List<Method> steps = stepTables.stream().map(Methods::read).toList();
        Optional<TestTimeAdaptation> adaptation = adaptation(steps, stepTables);
        Optional<ConfigTable> quantizationTable = root.table("quantization");
        QuantizationSettings quantization =
                quantizationTable.map(QuantizationSettings::read).orElseGet(QuantizationSettings::none);
        Optional<ConfigTable> evaluationTable = root.table("evaluation");
        EvaluationSettings evaluation =
                evaluationTable.map(EvaluationSettings::read).orElseGet(EvaluationSettings::none);
        List<ConfigTable> perplexityTables =
                evaluationTable.map(table -> table.tables("perplexity")).orElse(List.of());
        List<PerplexitySettings> perplexities = evaluation.perplexities();

        for (int i = 0; i < steps.size(); i++) {
            Method step = steps.get(i);
            if (calibration.isEmpty() && (step.learns() || !step.statistics().isEmpty())) {
                stepTables
                        .get(i)
                        .problem(
                                "method",
                                step.name() + (step.learns() ? " trains on samples" : " needs statistics")
                                        + ": add a [calibration] section");
            } else if (step.learns()
                    && step.trainingBatch() > calibration.orElseThrow().numSamples()) {
                stepTables
                        .get(i)
                        .problem(
                                "batch_size",
                                "expected at most calibration.num_samples, "
                                        + calibration.orElseThrow().numSamples() + ", got " + step.trainingBatch());
            }
        }
        if (quantization.hasStaticActivations()) {
            checkRanges(calibration.isPresent(), steps, stepTables, quantizationTable.orElseThrow());
        }
        for (int i = 0; i < perplexities.size(); i++) {
            if (adaptation.isPresent() && perplexities.get(i).protocol() == PerplexityProtocol.ROLLING) {
                perplexityTables
                        .get(i)
                        .problem(
                                "protocol",
                                "expected gptq, lqer or omniquant with " + TestTimeAdaptation.KEY
                                        + ", which trains on chunks of one length; got rolling, which has none");
            }
        }
        if (shape.isPresent()) {
            ModelConfig model = shape.get();
            List<LinearSpec> linears = LanguageModel.linears(model);
            for (int i = 0; i < steps.size(); i++) {
                steps.get(i).check(model, quantization, stepTables.get(i));
            }
            checkOneCorrectionEach(linears, steps, stepTables);
            checkOrder(steps, stepTables);
            quantizationTable.ifPresent(table -> quantization.check(linears, table));
            calibration.ifPresent(settings -> root.table("calibration")
                    .ifPresent(table -> checkLength(table, settings.seqLen(), model.positions().count())));
            for (int i = 0; i < perplexities.size(); i++) {
                checkLength(perplexityTables.get(i), perplexities.get(i).seqLen(), model.positions().count());
            }
        }
        root.finish();
        if (path.isEmpty()) { // not the stand-in for a wrong value, which finish() would have reported
            folder(modelTable, path);
            root.finish();
        }
        return new Experiment(
                seed,
                folder.orElseThrow(),
                memory,
                shape.orElseThrow(),
                calibration,
                steps,
                adaptation,
                quantization,
                evaluation,
                root.resolved());
    }

    /** A linear has one low-rank path: a second would replace the first without a word. */
    private static void checkOneCorrectionEach(List<LinearSpec> linears, List<Method> steps, List<ConfigTable> tables) {
        Map<String, String> corrected = new HashMap<>();
        for (int i = 0; i < steps.size(); i++) {
            if (steps.get(i) instanceof LowRankCorrection correction) {
                String name = i + " (" + correction.name() + ")";
                for (LinearSpec linear : linears) {
                    String earlier =
                            correction.matches(linear) ? corrected.putIfAbsent(linear.weightName(), name) : null;
                    if (earlier != null) {
                        tables.get(i)
                                .problem(
                                        "pattern",
                                        linear.weightName() + " is corrected by step " + earlier
                                                + " already; give the steps patterns that do not overlap");
                        break;
                    }
                }
            }
        }
    }

    /**
     * Steps transform, then round, then correct what rounding left. A weight is rounded once, and a mapping transformed
     * once: a second step would start from something else than its method says.
     */
    private static void checkOrder(List<Method> steps, List<ConfigTable> tables) {
        Map<SmoothingMapping.Kind, Method> transformed = new EnumMap<>(SmoothingMapping.Kind.class);
        @Nullable Method rounding = null;
        @Nullable Method correction = null;
        for (int i = 0; i < steps.size(); i++) {
            Method step = steps.get(i);
            ConfigTable table = tables.get(i);
            boolean changesWeights = step.rounds() || !step.transforms().isEmpty();
            if (changesWeights && correction != null) {
                table.problem(
                        "method",
                        step.name() + " changes weights whose error " + correction.name()
                                + " has corrected already; put it before that step");
            } else if (changesWeights && rounding != null) {
                table.problem(
                        "method",
                        step.name() + " comes after " + rounding.name()
                                + ", which has rounded the weights already; "
                                + (step.rounds() ? "keep one of the two" : "put it before that step"));
            }
            for (SmoothingMapping.Kind mapping : step.transforms()) {
                Method earlier = transformed.putIfAbsent(mapping, step);
                if (earlier != null) {
                    table.problem(
                            "mappings",
                            "mapping " + mapping.label() + " is transformed by " + earlier.name()
                                    + " already; leave it out in one of the two");
                }
            }
            rounding = step.rounds() ? step : rounding;
            correction = step instanceof LowRankCorrection ? step : correction;
        }
    }

    /** Ranges that are found beforehand are those of the model in full precision, before anything is trained. */
    private static void checkRanges(
            boolean calibrated, List<Method> steps, List<ConfigTable> tables, ConfigTable quantization) {
        if (!calibrated) {
            quantization.problem("the range of dynamic = false comes from calibration: add a [calibration] section");
        }
        Optional<Method> transforming = Optional.empty();
        for (int i = 0; i < steps.size(); i++) {
            Method step = steps.get(i);
            if (step.learns() && transforming.isPresent()) {
                tables.get(i)
                        .problem(
                                "method",
                                step.name() + " would be trained on values whose range dynamic = false took before "
                                        + transforming.get().name()
                                        + " changed them; leave out one of the three");
            }
            if (!step.transforms().isEmpty()) {
                transforming = Optional.of(step);
            }
            if (step.learns() && !step.transforms().isEmpty()) {
                tables.get(i)
                        .problem(
                                "method",
                                step.name()
                                        + " changes, while it is trained, the values whose range dynamic = false takes"
                                        + " beforehand; leave out one of the two");
            }
        }
    }

    /** Test-time adaptation, of a step that has the last block to itself. */
    private static Optional<TestTimeAdaptation> adaptation(List<Method> steps, List<ConfigTable> tables) {
        Optional<TestTimeAdaptation> adaptation = Optional.empty();
        for (int i = 0; i < steps.size(); i++) {
            Optional<TestTimeAdaptation> found = TestTimeAdaptation.read(tables.get(i), steps.get(i));
            if (found.isPresent() && i > 0) {
                tables.get(i)
                        .problem(
                                TestTimeAdaptation.KEY,
                                "starts from the last block of the model, not from what "
                                        + steps.get(i - 1).name() + " made of it; leave out one of the two");
            } else if (found.isPresent() && steps.size() > 1) {
                tables.get(i)
                        .problem(
                                TestTimeAdaptation.KEY,
                                "changes weights that " + steps.get(1).name()
                                        + " was made for; leave out one of the two");
            }
            adaptation = found.isPresent() ? found : adaptation;
        }
        return adaptation;
    }

    private static Optional<ModelFolder> folder(ConfigTable table, String path) throws IOException {
        try {
            return Optional.of(ModelFolder.resolve(path));
        } catch (ConfigException e) {
            table.problem("path", String.valueOf(e.getMessage()));
            return Optional.empty();
        }
    }

    private static Optional<ModelConfig> shape(ConfigTable table, Path folder) {
        Optional<ModelConfig> shape = Optional.empty();
        try {
            shape = Optional.of(ModelConfig.read(folder));
            Tokenizer.require(folder);
            Checkpoint.files(folder);
        } catch (IOException e) {
            table.problem("path", String.valueOf(e.getMessage()));
        }
        return shape;
    }

    private static void checkLength(ConfigTable table, int seqLen, int maxPositions) {
        if (seqLen > maxPositions) {
            table.problem("seq_len", "expected at most the model's " + maxPositions + " positions, got " + seqLen);
        }
    }

    /** What calibration must collect. */
    public WantedStatistics statistics() {
        Set<Statistic> statistics =
                steps.stream().flatMap(step -> step.statistics().stream()).collect(Collectors.toSet());
        if (quantization.hasStaticActivations()) {
            statistics.addAll(ActivationRanges.STATISTICS);
        }
        List<Method> ofMatrices = steps.stream()
                .filter(step -> step.statistics().stream().anyMatch(Statistic::isMatrix))
                .toList();
        return WantedStatistics.of(
                statistics,
                LanguageModel.linears(shape),
                linear -> ofMatrices.stream().anyMatch(step -> step.matches(linear)));
    }

    /** Whether the calibration samples themselves go through the model beside the methods, not statistics alone. */
    public boolean needsSamples() {
        boolean changed = false;
        for (Method step : steps) {
            if (step.learns() || (changed && !step.statistics().isEmpty())) {
                return true;
            }
            changed |= !step.transforms().isEmpty();
        }
        return changed && quantization.hasStaticActivations();
    }

    /** Whether any step asks for calibration text. */
    public boolean usesCalibration() {
        return needsSamples() || !statistics().isEmpty();
    }

    /** The variants that are measured, on tasks too, the experiment itself last. */
    public List<Variant> variants() {
        List<Variant> variants = new ArrayList<>();
        for (Variant baseline : Variant.values()) {
            boolean same = baseline == Variant.ROUND_TO_NEAREST && steps.isEmpty();
            if (evaluation.baselines().contains(baseline) && !same && !quantization.isNone()) {
                variants.add(baseline);
            }
        }
        variants.add(Variant.QUANTIZED);
        return variants;
    }

    /** Those that are measured on texts. */
    public List<Variant> textVariants() {
        List<Variant> variants = new ArrayList<>(variants());
        if (adaptation.isPresent()) {
            variants.add(Variant.ADAPTED);
        }
        return variants;
    }
}
