package dev.ptq.stage;

import dev.ptq.calibrate.CalibrationSettings;
import dev.ptq.calibrate.Statistic;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.evaluate.ModelScorer;
import dev.ptq.evaluate.Perplexity;
import dev.ptq.evaluate.PerplexitySettings;
import dev.ptq.evaluate.task.TasksSettings;
import dev.ptq.family.ModelConfig;
import dev.ptq.method.Inputs;
import dev.ptq.method.LowRankCorrection;
import dev.ptq.method.Method;
import dev.ptq.method.Training;
import dev.ptq.model.BlockPass;
import dev.ptq.model.HookPoint;
import dev.ptq.model.InputSpec;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.RotationTraining;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Function;
import java.util.stream.LongStream;

/**
 * A rough figure of the memory a run needs: weights held at a time, hidden states, one step's activations, and the
 * program itself. All sizes are in bytes.
 */
public final class MemoryEstimate {
    /** Hidden states of calibration samples while blocks are trained on them, with those of the augmented loss. */
    private static final int SAMPLE_PATHS = 4;
    /** What a step of training holds for each weight and activation: values on the way, gradients, moments. */
    private static final long TRAINING_COPIES = 8;
    /** Copies of a weight while its error is decomposed. */
    private static final long SOLVER_COPIES = 8;
    /** The Java machine and the tensor engine. */
    private static final long PROGRAM = 500L << 20;

    private final Workspace workspace;
    private final Experiment experiment;
    private final ModelConfig shape;

    /** Estimates for the experiment of a workspace; after its {@link Workspace#check} the length of texts is known. */
    public MemoryEstimate(Workspace workspace) {
        this.workspace = workspace;
        this.experiment = workspace.experiment();
        this.shape = experiment.shape();
    }

    /** All of it. */
    public long bytes() {
        long weights = weights(shape);
        long held = workspace.resident() ? weights : 2 * weights / shape.blocks();
        return held
                + hiddenStates()
                + largest(passing(), training(), solving(), rotating())
                + matrices()
                + LanguageModel.headBytes()
                + PROGRAM;
    }

    private static long largest(long... sizes) {
        return LongStream.of(sizes).max().orElse(0);
    }

    /** The linears of all blocks. */
    static long weights(ModelConfig shape) {
        return LanguageModel.linears(shape).stream()
                .mapToLong(linear -> linear.size() * Float.BYTES)
                .sum();
    }

    /** The most hidden states held at a time. */
    private long hiddenStates() {
        long tasks = experiment.evaluation().tasks().isPresent() ? hidden(ModelScorer.tokensAtOnce(shape)) : 0;
        long texts = experiment.evaluation().perplexities().stream()
                .mapToLong(this::ofText)
                .max()
                .orElse(0);
        return largest(tasks, texts, ofCalibration());
    }

    /** Hidden states of a text; adaptation holds those of all chunks at once. */
    private long ofText(PerplexitySettings perplexity) {
        long scoring = Perplexity.hiddenBytes(perplexity, shape);
        OptionalInt chunks = workspace.knownChunks(perplexity);
        return experiment.adaptation().isEmpty() || chunks.isEmpty()
                ? scoring
                : Math.max(scoring, SAMPLE_PATHS * hidden((long) chunks.getAsInt() * perplexity.seqLen()));
    }

    private long ofCalibration() {
        Optional<CalibrationSettings> calibration = experiment.calibration();
        if (calibration.isEmpty()) {
            return 0;
        }
        long tokens = (long) calibration.get().numSamples() * calibration.get().seqLen();
        // two paths through the model and the outputs of one, while methods work on samples; beside those what enters a
        // part of a block, and what comes out of it
        boolean isSearched = experiment.steps().steps().stream()
                .anyMatch(step -> step.needs().samples());
        return (experiment.needsSamples() ? SAMPLE_PATHS + (isSearched ? 1 : 0) : 1) * hidden(tokens);
    }

    private long hidden(long tokens) {
        return tokens * shape.hiddenSize() * Float.BYTES;
    }

    /** What the pieces of hidden states hold that go through a block side by side. */
    private long passing() {
        Optional<TasksSettings> tasks = experiment.evaluation().tasks();
        long ofTasks = tasks.isEmpty()
                ? 0
                : sideBySide(Math.min(
                                ModelScorer.tokensAtOnce(shape),
                                (long) tasks.get().batchSize()
                                        * shape.positions().count())
                        * shape.hiddenSize());
        long ofTexts = experiment.evaluation().perplexities().stream()
                .mapToLong(perplexity -> ofPieces(perplexity.batchSize(), perplexity.seqLen()))
                .max()
                .orElse(0);
        long ofCalibration = experiment
                .calibration()
                .map(calibration -> ofPieces(calibration.batchSize(), calibration.seqLen()))
                .orElse(0L);
        return largest(ofTasks, ofTexts, ofCalibration);
    }

    private long ofPieces(int batchSize, int tokens) {
        return sideBySide(BlockPass.pieceValues(
                batchSize, tokens, shape.hiddenSize(), experiment.quantization().spansBatch()));
    }

    private long sideBySide(long values) {
        return BlockPass.atOnce(values) * activations(values / shape.hiddenSize());
    }

    private long activations(long tokens) {
        int widest = shape.layers().stream()
                .mapToInt(block -> block.mlp().activeWidth())
                .max()
                .orElse(0);
        return tokens * (6L * shape.hiddenSize() + 3L * widest) * Float.BYTES;
    }

    /** What a step of training holds, in calibration or adaptation. */
    private long training() {
        OptionalInt samples =
                experiment.steps().trainings().mapToInt(Training::batchSize).max();
        if (samples.isEmpty()) {
            return 0;
        }
        int adapting = experiment.adaptation().isEmpty()
                ? 0
                : experiment.evaluation().perplexities().stream()
                        .mapToInt(PerplexitySettings::seqLen)
                        .max()
                        .orElse(0);
        long tokens = (long) samples.getAsInt()
                * Math.max(experiment.calibration().orElseThrow().seqLen(), adapting);
        return TRAINING_COPIES * (weights(shape) / shape.blocks() + activations(tokens));
    }

    /**
     * What a step of learning rotations holds: what enters each block, one block with its gradients, the head with some
     * logits and theirs.
     */
    private long rotating() {
        return experiment
                .steps()
                .rotationLearning()
                .map(learning -> {
                    long tokens = (long) learning.batchSize()
                            * experiment.calibration().orElseThrow().seqLen();
                    long head = (long) shape.vocabulary().size()
                            * shape.vocabulary().width()
                            * Float.BYTES;
                    return (shape.blocks() + 2) * hidden(tokens)
                            + TRAINING_COPIES * (weights(shape) / shape.blocks() + activations(tokens))
                            + head
                            + RotationTraining.logitBytes();
                })
                .orElse(0L);
    }

    /** What the decomposition of one weight's error holds. */
    private long solving() {
        long largest = LanguageModel.linears(shape).stream()
                .mapToLong(linear -> linear.size() * Float.BYTES)
                .max()
                .orElse(0);
        return experiment.steps().isEmpty()
                ? 0
                : LowRankCorrection.atOnce(largest / Float.BYTES) * SOLVER_COPIES * largest;
    }

    /** What matrices of a block's statistics take: half of each in double while they are gathered. */
    private long matrices() {
        WantedStatistics wanted = experiment.statistics();
        long ofCalibration = matrices(input -> wanted.of(input.block(), input.hookPoint()), false);
        long ofSteps = experiment.steps().steps().stream()
                .map(Method::needs)
                .filter(needs -> needs.inputs() != Inputs.FULL_PRECISION)
                .mapToLong(needs -> matrices(input -> needs.statistics(), needs.inputs() == Inputs.TRUE_SEQUENTIAL))
                .max()
                .orElse(0);
        return Math.max(ofCalibration, ofSteps);
    }

    /** The matrices among some statistics of a block's inputs, of all together or of one at a time. */
    private long matrices(Function<InputSpec, ? extends Collection<Statistic>> wanted, boolean oneAtATime) {
        Map<HookPoint, Long> hookPoints = new HashMap<>();
        for (InputSpec input : LanguageModel.inputs(shape)) {
            long count =
                    wanted.apply(input).stream().filter(Statistic::isMatrix).count();
            hookPoints.merge(input.hookPoint(), count * input.features() * input.features() * Float.BYTES, Math::max);
        }
        LongStream sizes = hookPoints.values().stream().mapToLong(Long::longValue);
        // beside a Hessian its damped copy and its factor
        return oneAtATime ? 3 * sizes.max().orElse(0) : sizes.sum();
    }
}
