package dev.ptq.train;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.GradientCollector;
import dev.ptq.data.Tokenizer;
import dev.ptq.model.TrainableModel;
import dev.ptq.progress.Progress;
import dev.ptq.tensor.AdamW;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Trains a model, one step at a time. The whole state is in one file, so a training interrupted anywhere resumes from
 * the last checkpoint and ends the same.
 */
public final class ReferenceTraining implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(ReferenceTraining.class);

    /** The state: weights and moments, with the progress in the metadata. */
    static final String CHECKPOINT = "checkpoint.safetensors";
    /** The weights that did best on the validation texts. */
    static final String BEST = "best.safetensors";

    /** Native memory of small arrays is released only when Java's own are collected. */
    private static final int STEPS_BETWEEN_COLLECTIONS = 50;

    private final Recipe recipe;
    private final Path folder;
    private final Map<String, TokenStream> train = new LinkedHashMap<>();
    private final Map<String, int[][]> validation = new LinkedHashMap<>();
    private final NDManager manager = TensorEngine.newManager();
    private final TrainableModel model;
    private final AdamW optimizer = new AdamW(new AdamW.Settings(0.9, 0.95, 1e-8));
    private State state = new State(0, 0, List.of());

    /**
     * The progress of a training.
     *
     * @param step number of steps taken
     * @param seconds that they took, over all processes
     * @param curve a row for each step
     */
    record State(int step, double seconds, List<LossCurve.Row> curve) {
        State {
            curve = List.copyOf(curve);
        }
    }

    /**
     * Starts a training, or resumes it if {@code folder} has a checkpoint.
     *
     * @param texts by corpus; those that the recipe names
     * @param folder for checkpoints, which must exist
     * @throws IOException if there is a checkpoint of another recipe
     */
    ReferenceTraining(Recipe recipe, Map<String, ReferenceModel.Texts> texts, Tokenizer tokenizer, Path folder)
            throws IOException {
        this.recipe = recipe;
        this.folder = folder;
        int length = recipe.schedule().seqLen() + 1;
        for (String corpus : recipe.shares().keySet()) {
            ReferenceModel.Texts own = recipe.of(texts, corpus);
            train.put(corpus, TokenStream.of(own.train().rows(), tokenizer, length));
            validation.put(
                    corpus,
                    TokenStream.of(own.validation().rows(), tokenizer, length)
                            .first(recipe.schedule().validationSequences(), length));
        }
        model = new TrainableModel(recipe.shape().config(), recipe.schedule().seqLen(), recipe.seed());
        model.parameters().forEach((name, parameter) -> {
            boolean matrix = parameter.getShape().dimension() > 1;
            optimizer.add(name, parameter, matrix ? recipe.schedule().weightDecay() : 0, manager);
        });
        if (Files.exists(folder.resolve(CHECKPOINT))) {
            resume();
        }
    }

    State state() {
        return state;
    }

    Map<String, TokenStream> trainingTokens() {
        return train;
    }

    /** Called after each step. */
    @FunctionalInterface
    public interface StepListener {
        void stepped(int step, double loss);
    }

    /** Trains until the recipe's last step. */
    void run(StepListener listener, Progress.Reporter reporter) throws IOException {
        Recipe.Schedule schedule = recipe.schedule();
        long start = System.nanoTime();
        double before = state.seconds();
        List<LossCurve.Row> curve = new ArrayList<>(state.curve());
        try (Progress progress = reporter.start("training", schedule.steps(), "steps")) {
            for (int step = state.step() + 1; step <= schedule.steps(); step++) {
                double loss = step(step);
                listener.stepped(step, loss);
                progress.step(step);
                if (step % STEPS_BETWEEN_COLLECTIONS == 0) {
                    System.gc();
                }
                long tokens = (long) step * schedule.batchSize() * schedule.seqLen();
                boolean look = step % schedule.evaluateEvery() == 0 || step == schedule.steps();
                Map<String, Double> losses = look ? validationLosses() : Map.of();
                boolean best = look && lowest(losses, curve);
                curve.add(new LossCurve.Row(step, tokens, schedule.rate(step), loss, losses));
                if (look) {
                    state = new State(step, before + (System.nanoTime() - start) / 1e9, curve);
                    save(best);
                    log.info("step {}: validation {}{}", step, losses, best ? ", the best" : "");
                }
            }
        }
    }

    /** Returns whether the mean over the corpora is lower than ever before. */
    private static boolean lowest(Map<String, Double> losses, List<LossCurve.Row> curve) {
        return curve.stream()
                .map(LossCurve.Row::validationLosses)
                .allMatch(earlier -> earlier.isEmpty() || mean(losses) < mean(earlier));
    }

    private double step(int step) throws IOException {
        Recipe.Schedule schedule = recipe.schedule();
        // all randomness depends on the step alone, not on where a process began
        SplittableRandom random = new SplittableRandom(recipe.seed() * 1_000_003 + step);
        int[][] batch = new int[schedule.batchSize()][];
        for (int i = 0; i < batch.length; i++) {
            batch[i] = corpus(random.nextDouble()).draw(random, schedule.seqLen() + 1);
        }
        Engine.getInstance().setRandomSeed(random.nextInt());
        double loss;
        try (NDManager scratch = manager.newSubManager();
                GradientCollector collector = Engine.getInstance().newGradientCollector()) {
            NDArray mean = model.loss(scratch, batch, schedule.dropout());
            loss = mean.getFloat();
            if (Double.isFinite(loss)) {
                collector.backward(mean);
            }
        }
        double norm = optimizer.gradientNorm();
        if (!Double.isFinite(loss) || !Double.isFinite(norm)) {
            throw new IOException("step " + step + ": the loss is " + loss + ", the norm of the gradients " + norm
                    + "; the training diverged, the last checkpoint is kept in " + folder);
        }
        optimizer.step(schedule.rate(step), Math.min(1, schedule.gradientNorm() / norm));
        return loss;
    }

    private TokenStream corpus(double uniform) {
        double passed = 0;
        TokenStream last = null;
        for (Map.Entry<String, Double> share : recipe.shares().entrySet()) {
            last = Objects.requireNonNull(train.get(share.getKey()));
            passed += share.getValue();
            if (uniform < passed) {
                return last;
            }
        }
        return Objects.requireNonNull(last);
    }

    private Map<String, Double> validationLosses() {
        Map<String, Double> losses = new LinkedHashMap<>();
        for (Map.Entry<String, int[][]> texts : validation.entrySet()) {
            double sum = 0;
            for (int[] sequence : texts.getValue()) {
                try (NDManager scratch = manager.newSubManager()) {
                    sum += model.loss(scratch, new int[][] {sequence}, 0).getFloat();
                }
            }
            losses.put(texts.getKey(), sum / texts.getValue().length);
        }
        return losses;
    }

    /** Saves the state, and the weights separately if they are the best so far. */
    private void save(boolean best) throws IOException {
        if (best) {
            SafetensorsWriter.write(folder.resolve(BEST), model.parameters(), Map.of());
        }
        Map<String, NDArray> tensors = new LinkedHashMap<>(model.parameters());
        tensors.putAll(optimizer.state());
        SafetensorsWriter.write(
                folder.resolve(CHECKPOINT),
                tensors,
                Map.of(
                        "recipe", JsonMapper.shared().writeValueAsString(recipe),
                        "state", JsonMapper.shared().writeValueAsString(state)));
    }

    private static double mean(Map<String, Double> losses) {
        return losses.values().stream()
                .mapToDouble(Double::doubleValue)
                .average()
                .orElseThrow();
    }

    private void resume() throws IOException {
        Path file = folder.resolve(CHECKPOINT);
        try (Safetensors saved = Safetensors.open(file)) {
            JsonNode madeWith = JsonMapper.shared()
                    .readTree(Objects.requireNonNullElse(saved.metadata().get("recipe"), "{}"));
            if (!madeWith.equals(
                    JsonMapper.shared().readTree(JsonMapper.shared().writeValueAsString(recipe)))) {
                throw new IOException(file + ": is of another recipe, " + madeWith
                        + "; take its settings, or delete the folder to start anew");
            }
            Map<String, NDArray> tensors = new LinkedHashMap<>(model.parameters());
            tensors.putAll(optimizer.state());
            try (NDManager scratch = manager.newSubManager()) {
                for (Map.Entry<String, NDArray> tensor : tensors.entrySet()) {
                    NDArray values = saved.load(scratch, tensor.getKey());
                    NativeFloats.writableWindow(tensor.getValue()).put(NativeFloats.window(values));
                }
            }
            state = JsonMapper.shared()
                    .readValue(Objects.requireNonNull(saved.metadata().get("state")), State.class);
            optimizer.resumeAt(state.step());
            log.info(
                    "continues after step {} of {}",
                    state.step(),
                    recipe.schedule().steps());
        }
    }

    @Override
    public void close() {
        manager.close();
        model.close();
    }
}
