package dev.ptq.stage;

import dev.ptq.artifact.Variant;
import dev.ptq.calibrate.CalibrationSettings;
import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import dev.ptq.data.Tokenizer;
import dev.ptq.evaluate.PerplexityProtocol;
import dev.ptq.evaluate.PerplexitySettings;
import dev.ptq.family.ModelConfig;
import dev.ptq.layout.StoredCheckpoint;
import dev.ptq.method.Composition;
import dev.ptq.method.Methods;
import dev.ptq.method.TestTimeAdaptation;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.PackedModel;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.weights.ModelFolder;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Reads the sections of an experiment file, once each and in order, and checks them against one another. Problems are
 * noted and reading goes on, so that all of them are found at once.
 */
final class ExperimentFile {
    private final ConfigTable root;
    private final long seed;
    private final boolean strict;
    /** What is odd about the model. */
    private final List<String> notes = new ArrayList<>();

    private final ConfigTable modelTable;
    private final String modelName;
    private final Optional<ModelFolder> folder;
    private final Experiment.Memory memory;
    private final Tokenizer.AddBos addBos;
    private final boolean requantize;
    /** What the checkpoint has packed. */
    private PackedModel packed = PackedModel.none();

    private final Optional<ModelConfig> shape;
    private final Optional<CalibrationSettings> calibration;
    private final Composition steps;
    private final List<ConfigTable> stepTables;
    private final Optional<TestTimeAdaptation> adaptation;
    private final Optional<ConfigTable> quantizationTable;
    private final QuantizationSettings quantization;
    private final List<ConfigTable> perplexityTables;
    private final EvaluationSettings evaluation;
    private final Optional<AllocationNotes> allocation;

    ExperimentFile(ConfigTable root) throws IOException {
        this.root = root;
        root.refuse(ExperimentKeys.EXTENDS, "stands in a file; a command line has no files to extend");
        seed = root.read(ExperimentKeys.SEED);
        strict = root.read(ExperimentKeys.STRICT);
        modelTable = root.read(ExperimentKeys.MODEL);
        modelName = modelTable.read(ExperimentKeys.PATH);
        folder = modelName.isEmpty() ? Optional.empty() : folder(modelTable, modelName);
        memory = modelTable.read(ExperimentKeys.MEMORY);
        addBos = modelTable.read(ExperimentKeys.ADD_BOS);
        requantize = modelTable.read(ExperimentKeys.REQUANTIZE);
        shape = folder.flatMap(found -> shape(modelTable, found));
        // of a model that cannot be read, nobody knows whether it has experts
        boolean mayHaveExperts = shape.map(ModelConfig::hasExperts).orElse(true);
        calibration = root.read(ExperimentKeys.CALIBRATION)
                .map(table -> CalibrationSettings.read(table, seed, mayHaveExperts));
        stepTables = root.read(ExperimentKeys.APPROXIMATION);
        steps = new Composition(stepTables.stream().map(Methods::read).toList());
        adaptation = steps.adaptation(stepTables);
        quantizationTable = root.read(ExperimentKeys.QUANTIZATION);
        quantization = quantizationTable
                .map(QuantizationSettings::read)
                .orElseGet(QuantizationSettings::none)
                .with(packed, quantizationTable);
        Optional<ConfigTable> evaluationTable = root.read(ExperimentKeys.EVALUATION);
        evaluation = evaluationTable.map(EvaluationSettings::read).orElseGet(EvaluationSettings::none);
        allocation = root.read(ExperimentKeys.ALLOCATION).map(AllocationNotes::read);
        perplexityTables = evaluationTable
                .map(table -> table.read(EvaluationSettings.PERPLEXITY))
                .orElse(List.of());
    }

    /**
     * Checks the sections against one another.
     *
     * @throws ConfigException with all problems, if there are any
     */
    Experiment read() throws IOException {
        checkSteps();
        checkTexts();
        shape.ifPresent(this::checkAgainst);
        if (strict) {
            notes.forEach(note -> modelTable.problem(ExperimentKeys.PATH, note + " (strict = true)"));
        }
        root.finish();
        if (modelName.isEmpty()) { // not the stand-in for a wrong value, which finish() would have reported
            folder(modelTable, modelName);
            root.finish();
        }
        return new Experiment(
                seed,
                strict,
                folder.orElseThrow(),
                memory,
                addBos,
                shape.orElseThrow(),
                calibration,
                steps,
                adaptation,
                quantization,
                evaluation,
                allocation,
                root.resolved(),
                notes,
                root.located());
    }

    private void checkSteps() {
        steps.checkCalibration(
                stepTables,
                calibration.map(given -> OptionalInt.of(given.numSamples())).orElse(OptionalInt.empty()));
        if (quantization.hasStaticActivations()) {
            if (calibration.isEmpty()) {
                quantizationTable
                        .orElseThrow()
                        .problem("the range of dynamic = false comes from calibration: add a [calibration] section");
            }
            steps.checkRanges(stepTables);
        }
        if (!quantization.weightNeeds().isEmpty() && calibration.isEmpty()) {
            quantizationTable
                    .orElseThrow()
                    .problem("the mean squares of range = \"imatrix_mse\" come from calibration: add a [calibration]"
                            + " section");
        }
        if (quantization.spansBatch() && steps.quantizedPath()) {
            // a packed checkpoint may ask for it too
            quantizationTable
                    .orElse(modelTable)
                    .problem("with per = \"batch\" the sequences of a batch decide together what is rounded, but steps"
                            + " that take their inputs from rounded blocks see one sample at a time; set per ="
                            + " \"sequence\"");
        }
        if (quantization.weightsAskAboutLinears()) {
            steps.checkKnownWeights(stepTables);
        }
        if (quantization.askCalibration()
                && evaluation.baselines().contains(Variant.ROUND_TO_NEAREST)
                && steps.rotates()) {
            quantizationTable
                    .orElseThrow()
                    .problem("the statistics for its ranges are those of the rotated model, which the baseline"
                            + " round_to_nearest is not; leave it out of evaluation.baselines");
        }
    }

    private void checkTexts() {
        for (int i = 0; i < evaluation.perplexities().size(); i++) {
            PerplexitySettings text = evaluation.perplexities().get(i);
            if (adaptation.isPresent() && text.protocol() == PerplexityProtocol.ROLLING) {
                perplexityTables
                        .get(i)
                        .problem(
                                "protocol",
                                "expected gptq, lqer or omniquant with " + TestTimeAdaptation.KEY
                                        + ", which trains on chunks of one length; got rolling, which has none");
            }
        }
    }

    /** Checks everything that depends on the model. */
    private void checkAgainst(ModelConfig model) {
        notes.addAll(steps.checkModel(model, seed, quantization, stepTables));
        steps.check(stepTables);
        quantizationTable.ifPresent(table -> quantization.check(LanguageModel.linears(model), table));
        checkPacked();
        calibration.ifPresent(settings ->
                root.read(ExperimentKeys.CALIBRATION).ifPresent(table -> checkLength(table, settings.seqLen(), model)));
        for (int i = 0; i < evaluation.perplexities().size(); i++) {
            checkLength(
                    perplexityTables.get(i), evaluation.perplexities().get(i).seqLen(), model);
        }
        if (evaluation.perturbations() > 0 && !model.block(0).hasNormWeight()) {
            root.read(ExperimentKeys.EVALUATION)
                    .orElseThrow()
                    .problem(
                            EvaluationSettings.PERTURBATIONS.name(),
                            "expected a model with a weight behind a norm, which they scale; leave this out");
        }
    }

    /** Weights that others rounded are measured as they are, unless the file asks for more. */
    private void checkPacked() {
        if (requantize || packed.isNone()) {
            return;
        }
        String hint = "set model.requantize = true to round the values that it unpacks to, or leave this out";
        quantizationTable.ifPresent(table -> quantization.checkPacked(packed, table, hint));
        if (!stepTables.isEmpty()) {
            stepTables
                    .get(0)
                    .problem("the weights of the model are packed already ("
                            + packed.linears().get(0).label() + "): " + hint);
        }
    }

    private static void checkLength(ConfigTable table, int seqLen, ModelConfig model) {
        if (seqLen > model.longestSequence()) {
            table.problem(
                    "seq_len",
                    "expected at most the model's " + model.positions().count() + " positions, got " + seqLen);
        }
    }

    private static Optional<ModelFolder> folder(ConfigTable table, String path) throws IOException {
        try {
            return Optional.of(withTokenizer(table, ModelFolder.resolve(path, table.read(ExperimentKeys.FILE))));
        } catch (ConfigException e) {
            table.problem(ExperimentKeys.PATH, String.valueOf(e.getMessage()));
            return Optional.empty();
        }
    }

    private static ModelFolder withTokenizer(ConfigTable table, ModelFolder model) {
        String tokenizer = table.read(ExperimentKeys.TOKENIZER);
        if (tokenizer.isEmpty()) {
            return model;
        }
        try {
            ModelFolder with = model.withTokenizer(tokenizer);
            Tokenizer.require(with.tokenizer());
            return with;
        } catch (ConfigException | IOException e) {
            table.problem(ExperimentKeys.TOKENIZER, String.valueOf(e.getMessage()));
            return model;
        }
    }

    private Optional<ModelConfig> shape(ConfigTable table, ModelFolder folder) {
        Optional<ModelConfig> shape = Optional.empty();
        try {
            ModelConfig config = ModelConfig.read(folder.path());
            shape = Optional.of(config);
            Tokenizer.require(folder.tokenizer());
            notes.addAll(Tokenizer.notes(folder.tokenizer(), addBos));
            LanguageModel.Inspection model = LanguageModel.inspect(config, StoredCheckpoint.open(folder.path()));
            shape = Optional.of(model.config());
            packed = model.packed();
            notes.addAll(model.notes());
        } catch (IOException e) {
            table.problem(ExperimentKeys.PATH, String.valueOf(e.getMessage()));
        }
        return shape;
    }
}
