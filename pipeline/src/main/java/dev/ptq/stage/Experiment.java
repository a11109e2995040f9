package dev.ptq.stage;

import dev.ptq.artifact.Variant;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.CalibrationSettings;
import dev.ptq.calibrate.ExpertSettings;
import dev.ptq.calibrate.ExpertTokens;
import dev.ptq.calibrate.Statistic;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.config.Assignment;
import dev.ptq.config.ConfigFiles;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Located;
import dev.ptq.data.Tokenizer;
import dev.ptq.evaluate.PerplexitySettings;
import dev.ptq.family.ModelConfig;
import dev.ptq.method.Composition;
import dev.ptq.method.KnownLinears;
import dev.ptq.method.Method;
import dev.ptq.method.TestTimeAdaptation;
import dev.ptq.model.CheckpointFormats;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.Rotation;
import dev.ptq.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The values of an experiment file, checked as far as possible without opening a checkpoint.
 *
 * @param seed for everything random
 * @param strict whether every entry of the ledger is an error
 * @param model where the model is
 * @param memory whether the model stays in memory
 * @param addBos whether texts begin with the start token
 * @param shape of the model
 * @param calibration text for statistics; present where a step needs one
 * @param steps {@code [[approximation]]}, in order
 * @param adaptation of the last block to each text, measured besides the run without it
 * @param allocation where the formats and ranks of linears come from, if {@code ptq allocate} chose them
 * @param resolved every key with the value in force, defaults included
 * @param modelNotes what is odd about the model, a sentence each
 * @param located where the paths of the file were found
 */
public record Experiment(
        long seed,
        boolean strict,
        ModelFolder model,
        Memory memory,
        Tokenizer.AddBos addBos,
        ModelConfig shape,
        Optional<CalibrationSettings> calibration,
        Composition steps,
        Optional<TestTimeAdaptation> adaptation,
        QuantizationSettings quantization,
        EvaluationSettings evaluation,
        Optional<AllocationNotes> allocation,
        Map<String, Object> resolved,
        List<String> modelNotes,
        Located located) {

    /** Whether the blocks of a model stay in memory between passes. */
    public enum Memory {
        /** If the model takes at most a quarter of the machine's memory. */
        AUTO,
        /** Always. */
        RESIDENT,
        /** Never: they are read again in every pass. */
        STREAMED
    }

    /**
     * Reads an experiment file, and those that it extends.
     *
     * @param overrides {@code key.path=value}, or {@code ~key.path} to unset one
     * @throws dev.ptq.config.ConfigException with all problems, if there are any
     */
    public static Experiment read(Path file, List<String> overrides) throws IOException {
        return read(ConfigFiles.read(file), overrides, List.of());
    }

    /**
     * Reads an experiment for one point of a sweep.
     *
     * @param overrides {@code key.path=value}, or {@code ~key.path} to unset one
     * @param assignments of the point; they come after the overrides
     * @throws dev.ptq.config.ConfigException with all problems, if there are any
     */
    public static Experiment read(ConfigFiles files, List<String> overrides, List<Assignment> assignments)
            throws IOException {
        return new ExperimentFile(ConfigTable.read(files, overrides, assignments, ExperimentKeys.SECTION)).read();
    }

    /**
     * Reads an experiment from a text.
     *
     * @param source the name of the text in messages
     * @throws dev.ptq.config.ConfigException with all problems, if there are any
     */
    public static Experiment parse(String toml, String source) throws IOException {
        return new ExperimentFile(ConfigTable.parse(toml, source, List.of(), ExperimentKeys.SECTION)).read();
    }

    /** How the model is rotated before the steps work on it, if it is. */
    Optional<Rotation> rotation() {
        return steps.rotation(shape, seed);
    }

    /** The shape of the model that the steps work on: rotated if they say so. */
    ModelConfig preparedShape() {
        return rotation().map(rotation -> rotation.of(shape)).orElse(shape);
    }

    /** The statistics that calibration must collect. */
    public WantedStatistics statistics() {
        Set<Statistic> more = EnumSet.noneOf(Statistic.class);
        more.addAll(KnownLinears.statistics(quantization.needs()));
        if (shape.hasExperts() && (quantization.askCalibration() || steps.needsCalibration())) {
            more.add(Statistic.TOKENS);
        }
        return statistics(more, steps);
    }

    /** The statistics for comparing candidates: those that each of them needs, and the mean squares of all inputs. */
    WantedStatistics statistics(List<Candidate> candidates) {
        Set<Statistic> more = EnumSet.of(Statistic.SECOND_MOMENT);
        List<Method> all = new ArrayList<>();
        for (Candidate candidate : candidates) {
            more.addAll(KnownLinears.statistics(
                    candidate.experiment().quantization().needs()));
            all.addAll(candidate.experiment().steps().steps());
        }
        if (shape.hasExperts()) {
            more.add(Statistic.TOKENS);
        }
        return statistics(more, new Composition(all));
    }

    private WantedStatistics statistics(Set<Statistic> more, Composition steps) {
        boolean allTokens = calibration
                .flatMap(CalibrationSettings::experts)
                .filter(experts -> experts.policy() == ExpertSettings.Policy.ROUTE_ALL)
                .isPresent();
        return steps.calibrationStatistics(more, LanguageModel.linears(shape))
                .withAllTokens(allTokens)
                .withCache(cacheStatistics());
    }

    private List<WantedStatistics.OfCache> cacheStatistics() {
        List<WantedStatistics.OfCache> wanted = new ArrayList<>();
        quantization
                .attention()
                .statics()
                .forEach((hookPoint, format) -> wanted.add(
                        new WantedStatistics.OfCache(hookPoint, List.copyOf(KnownLinears.statistics(format.needs())))));
        return wanted;
    }

    /** How well calibration reaches the experts of the model. */
    ExpertTokens expertTokens(ActivationStatistics statistics) {
        return statistics().isEmpty()
                ? ExpertTokens.none()
                : ExpertTokens.of(
                        statistics, LanguageModel.inputs(shape), calibration.flatMap(CalibrationSettings::experts));
    }

    /**
     * Returns whether the calibration samples themselves go through the model along with the methods, not just
     * statistics.
     */
    public boolean needsSamples() {
        return steps.needsSamples(quantization.askCalibration());
    }

    /** The number of positions that the model was made for. */
    public int maxPositions() {
        return shape.positions().count();
    }

    /** Returns whether any step needs calibration text. */
    public boolean usesCalibration() {
        return needsSamples()
                || !statistics().isEmpty()
                || steps.rotationLearning().isPresent();
    }

    /**
     * The tokens that a token sees where its cost is counted: the longest chunk of a text that is evaluated, without one
     * that of calibration, or else all positions of the model.
     */
    public int costContext() {
        return evaluation.perplexities().stream()
                .mapToInt(PerplexitySettings::seqLen)
                .max()
                .orElseGet(() -> calibration.map(CalibrationSettings::seqLen).orElseGet(this::maxPositions));
    }

    /** Names the formats that are those of a packed checkpoint, if there are any. */
    public Optional<String> checkpointNote() {
        return quantization.checkpoint().map(CheckpointFormats::note);
    }

    /** The variants to be measured, on tasks too, the experiment itself last. */
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

    /** The variants to be measured on texts. */
    public List<Variant> textVariants() {
        List<Variant> variants = new ArrayList<>(variants());
        if (adaptation.isPresent()) {
            variants.add(Variant.ADAPTED);
        }
        return variants;
    }
}
