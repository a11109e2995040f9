package dev.ptq.stage;

import dev.ptq.artifact.RunFiles;
import dev.ptq.calibrate.CalibrationSettings;
import dev.ptq.config.ConfigException;
import dev.ptq.config.Given;
import dev.ptq.config.OmittedIfEmpty;
import dev.ptq.data.Chunks;
import dev.ptq.data.Digests;
import dev.ptq.data.Text;
import dev.ptq.data.Tokenizer;
import dev.ptq.environment.MachineMemory;
import dev.ptq.evaluate.ModelScorer;
import dev.ptq.evaluate.Perplexity;
import dev.ptq.evaluate.PerplexitySettings;
import dev.ptq.evaluate.task.TaskData;
import dev.ptq.evaluate.task.TaskEvaluation;
import dev.ptq.evaluate.task.TaskFolder;
import dev.ptq.evaluate.task.Tasks;
import dev.ptq.evaluate.task.TasksSettings;
import dev.ptq.evaluate.task.TextEncoding;
import dev.ptq.family.ModelConfig;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.ResumeState;
import dev.ptq.model.Rotation;
import dev.ptq.progress.Progress;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * Shared resources of an experiment's stages: the opened model and tokenizer, their digests, and the progress reporter.
 */
public final class Workspace implements AutoCloseable {
    private final Experiment experiment;
    private final Progress.Reporter reporter;
    private final ModelContent model;
    private final TokenizerContent tokenizer;
    private final Map<Text, Text.Content> texts = new LinkedHashMap<>();
    private final Map<PerplexitySettings, int[][]> scored = new HashMap<>();
    private final Map<String, List<String>> taskFiles = new LinkedHashMap<>();
    private final Map<String, String> taskCommits = new HashMap<>();
    private final Map<String, TaskData> taskData = new HashMap<>();
    private final Map<TasksSettings, TaskEvaluation> tasks = new HashMap<>();
    private final Duration checkpointInterval = checkpointInterval();
    private @Nullable LanguageModel openModel;
    private @Nullable LanguageModel preparedModel;
    private @Nullable Tokenizer openTokenizer;

    /** The calibration samples' part in a fingerprint. */
    record SampleContent(
            TokenizerContent tokenizer,
            Text.Content text,
            int numSamples,
            int seqLen,
            @OmittedIfEmpty Optional<Long> drawnBy) {}

    /** The model's part in a fingerprint. */
    public record ModelContent(String sha256) {}

    /** The tokenizer's part in a fingerprint. */
    public record TokenizerContent(String sha256, Tokenizer.AddBos addBos) {}

    /**
     * The tasks' part in a fingerprint.
     *
     * @param definitions digests of the definitions of tasks
     * @param data digests of their data files
     */
    record TaskContent(List<String> definitions, List<String> data) {}

    /** Hashes the model's files; opens nothing yet. */
    public Workspace(Experiment experiment, Progress.Reporter reporter) throws IOException {
        this.experiment = experiment;
        this.reporter = reporter;
        model = new ModelContent(Digests.of(experiment.model().files()));
        tokenizer = new TokenizerContent(Tokenizer.sha256(experiment.model().tokenizer()), experiment.addBos());
    }

    Experiment experiment() {
        return experiment;
    }

    Progress.Reporter reporter() {
        return reporter;
    }

    /** The digest of the model's config and weights. */
    public ModelContent modelContent() {
        return model;
    }

    /** The digest of the tokenizer's files. */
    public TokenizerContent tokenizerContent() {
        return tokenizer;
    }

    /** The digest of a text, which is read once. */
    Text.Content content(Text text) throws IOException {
        Text.Content known = texts.get(text);
        if (known == null) {
            known = text.content();
            texts.put(text, known);
        }
        return known;
    }

    /** The digests of tasks. */
    TaskContent content(TasksSettings settings) throws IOException {
        List<String> definitions =
                settings.tasks().stream().map(Tasks::definition).distinct().toList();
        List<String> data = TaskEvaluation.digests(settings, taskData(settings));
        taskFiles.put(String.join(" ", settings.names()), data);
        TaskEvaluation.commits(settings, taskData(settings))
                .forEach(commit -> taskCommits.put(String.join(" ", settings.names()), commit));
        return new TaskContent(definitions, data);
    }

    private TaskData taskData(TasksSettings settings) {
        return taskData.computeIfAbsent(settings.data(), TaskFolder::of);
    }

    /** The documents of tasks as requests, encoded once for all variants of the model. */
    TaskEvaluation tasks(TasksSettings settings) throws IOException {
        TaskEvaluation evaluation = tasks.get(settings);
        if (evaluation == null) {
            evaluation = TaskEvaluation.prepare(
                    settings,
                    taskData(settings),
                    TextEncoding.of(tokenizer(), settings),
                    experiment.shape().positions().count(),
                    ModelScorer.tokensAtOnce(experiment.shape()));
            tasks.put(settings, evaluation);
        }
        return evaluation;
    }

    /** Seed, digests, and commits of hub downloads, for the manifest. */
    public Map<String, Object> sources() {
        Map<String, Object> sources = new LinkedHashMap<>();
        sources.put("seed", experiment.seed());
        sources.put("model", source(model.sha256(), experiment.model().commit()));
        sources.put("tokenizer", Map.of("sha256", tokenizer.sha256()));
        Map<String, Object> digests = new LinkedHashMap<>();
        texts.forEach((text, content) -> digests.put(text.label(), source(content.sha256(), text.commit())));
        sources.put("texts", digests);
        if (!taskFiles.isEmpty()) {
            Map<String, Object> files = new LinkedHashMap<>();
            taskFiles.forEach(
                    (label, sha256) -> files.put(label, source(sha256, Optional.ofNullable(taskCommits.get(label)))));
            sources.put("tasks", files);
        }
        return sources;
    }

    private static Map<String, Object> source(Object sha256, Optional<String> commit) {
        Map<String, Object> source = new LinkedHashMap<>(Map.of("sha256", sha256));
        commit.ifPresent(found -> source.put("commit", found));
        return source;
    }

    /** The resume state of a stage in a folder, with the interval between saves. */
    ResumeState unfinished(Path folder) {
        return new ResumeState(Optional.of(folder), checkpointInterval);
    }

    LanguageModel model() throws IOException {
        if (openModel == null) {
            openModel = LanguageModel.open(experiment.model().path());
        }
        return openModel;
    }

    /**
     * The model that the steps work on: rotated if they say so.
     *
     * @param artifacts of {@link #preparing}
     */
    LanguageModel preparedModel(Map<String, Path> artifacts) throws IOException {
        Optional<Rotation> rotation = experiment.rotation();
        if (rotation.isEmpty()) {
            return model();
        }
        if (preparedModel == null) {
            Path learned = artifacts.get(RunFiles.ROTATE);
            preparedModel = learned == null
                    ? model().rotated(rotation.get())
                    : model().rotated(rotation.get(), RotateStage.matrices(learned));
        }
        return preparedModel;
    }

    /** The stages that {@link #preparedModel} needs. */
    List<String> preparing() {
        return experiment.steps().rotationLearning().isPresent() ? List.of(RunFiles.ROTATE) : List.of();
    }

    /** What calibration samples are made of. */
    SampleContent content(CalibrationSettings calibration) throws IOException {
        return new SampleContent(
                tokenizerContent(),
                content(calibration.text()),
                calibration.numSamples(),
                calibration.seqLen(),
                calibration.drawnBy());
    }

    /** The digest of the model that the steps work on. */
    ModelContent preparedContent() {
        return experiment
                .rotation()
                .map(rotation -> new ModelContent(model.sha256() + " rotated by " + rotation))
                .orElse(model);
    }

    Tokenizer tokenizer() throws IOException {
        if (openTokenizer == null) {
            openTokenizer = Tokenizer.open(
                    experiment.model().tokenizer(),
                    experiment.addBos(),
                    experiment.shape().vocabulary().size());
        }
        return openTokenizer;
    }

    /**
     * Checks the model's headers and the texts' token counts before anything is computed.
     *
     * @throws ConfigException with all files that are damaged and texts that are too short
     * @throws IOException naming a file that cannot be read
     */
    public void check() throws IOException {
        List<String> problems = new ArrayList<>();
        note(problems, this::model);
        if (experiment.usesCalibration()) {
            note(problems, () -> calibrationSamples(experiment.calibration().orElseThrow()));
        }
        for (PerplexitySettings perplexity : experiment.evaluation().perplexities()) {
            note(problems, () -> chunks(perplexity));
        }
        for (String name : experiment.evaluation().taskNames()) {
            TasksSettings all = experiment.evaluation().tasks().orElseThrow();
            note(problems, () -> tasks(all.with(name, all.data())));
        }
        if (!problems.isEmpty()) {
            throw new ConfigException(problems.stream().distinct().toList());
        }
    }

    private static void note(List<String> problems, Given<?> given) throws IOException {
        try {
            Given.of(given);
        } catch (ConfigException e) {
            problems.addAll(e.problems());
        }
    }

    /** Names the text in which there is a token that the model does not have. */
    private static int[][] ofText(Text text, Given<int[][]> chunks) throws IOException {
        try {
            return chunks.read();
        } catch (Tokenizer.UnknownTokenException e) {
            throw new ConfigException(text.label() + ": " + e.getMessage());
        }
    }

    /** The chunks of a text to be scored, tokenized once for all variants of the model. */
    int[][] chunks(PerplexitySettings perplexity) throws IOException {
        int[][] chunks = scored.get(perplexity);
        if (chunks == null) {
            ModelConfig shape = experiment.shape();
            chunks = ofText(
                    perplexity.text(),
                    () -> Perplexity.chunks(
                            perplexity,
                            tokenizer(),
                            shape.longestSequence(),
                            shape.vocabulary().size()));
            scored.put(perplexity, chunks);
        }
        return chunks;
    }

    /** The chunks for calibration statistics. */
    int[][] calibrationSamples(CalibrationSettings calibration) throws IOException {
        int[][] chunks = ofText(
                calibration.text(),
                () -> calibration.drawnBy().isPresent()
                        ? Chunks.drawnFromStream(
                                calibration.text().rows(),
                                tokenizer(),
                                calibration.seqLen(),
                                calibration.numSamples(),
                                calibration.drawnBy().get())
                        : Chunks.firstOfStream(
                                calibration.text().rows(),
                                tokenizer(),
                                calibration.seqLen(),
                                calibration.numSamples()));
        if (chunks.length < calibration.numSamples()) {
            throw new ConfigException(calibration.text().label() + ": has " + chunks.length + " chunks of "
                    + calibration.seqLen() + " tokens, calibration asks for " + calibration.numSamples()
                    + "; lower num_samples or seq_len, or take a longer text");
        }
        return chunks;
    }

    /** The number of chunks of a text to be scored, if they were loaded before, as {@link #check} does. */
    OptionalInt knownChunks(PerplexitySettings perplexity) {
        int[][] chunks = scored.get(perplexity);
        return chunks == null ? OptionalInt.empty() : OptionalInt.of(chunks.length);
    }

    /** Returns whether blocks stay in memory between passes. */
    public boolean resident() {
        return switch (experiment.memory()) {
            case RESIDENT -> true;
            case STREAMED -> false;
            case AUTO -> MemoryEstimate.weights(experiment.shape()) <= MachineMemory.bytes() / 4;
        };
    }

    /** Returns a new runner of the experiment's blocks, which stay in memory or are streamed. */
    BlockRunner runner(LanguageModel of, BlockRunner.BlockChange change) {
        if (resident()) {
            return new BlockRunner(of, change, true);
        }
        return new BlockRunner(
                of,
                block -> {
                    blockReleased();
                    change.apply(block);
                },
                false);
    }

    /** Where blocks are streamed, memory counts more than time. */
    void blockReleased() {
        if (!resident()) {
            TensorEngine.returnFreedMemory();
        }
    }

    /** The interval between saves: hidden states of a large model take seconds to write, too long for every block. */
    private static Duration checkpointInterval() {
        String given = System.getenv().getOrDefault("PTQ_CHECKPOINT_SECONDS", "10");
        if (!given.matches("[0-9]{1,6}")) {
            throw new ConfigException("PTQ_CHECKPOINT_SECONDS: expected a number of seconds, got '" + given + "'");
        }
        return Duration.ofSeconds(Long.parseLong(given));
    }

    @Override
    public void close() throws IOException {
        if (preparedModel != null) {
            preparedModel.close();
        }
        if (openModel != null) {
            openModel.close();
        }
        if (openTokenizer != null) {
            openTokenizer.close();
        }
    }
}
