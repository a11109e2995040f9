package dev.ptq.stage;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.artifact.Metric;
import dev.ptq.artifact.RotationColumn;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.TableColumn;
import dev.ptq.calibrate.CalibrationSettings;
import dev.ptq.config.OmittedIfEmpty;
import dev.ptq.data.Text;
import dev.ptq.method.Rotate;
import dev.ptq.model.ModelFormats;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.Rotation;
import dev.ptq.model.RotationTraining;
import dev.ptq.progress.Progress;
import dev.ptq.run.Stage;
import dev.ptq.tensor.CayleySgd;
import dev.ptq.tensor.Parallel;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.SplittableRandom;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Learns the matrices that rotate the model: {@code rotations.safetensors}, {@code training.csv}, {@code metrics.json}.
 * Weights stay in full precision; activations are rounded as they will be in the end.
 */
final class RotateStage implements Stage {
    private static final Logger log = LoggerFactory.getLogger(RotateStage.class);
    /** Keys in the metadata of a saved training. */
    private static final String LOSSES = "losses";

    private static final int STEPS_BETWEEN_COLLECTIONS = 4;

    private final Workspace workspace;
    private final CalibrationSettings calibration;
    private final Settings settings;

    private record Settings(
            Workspace.ModelContent model,
            Workspace.TokenizerContent tokenizer,
            Text.Content text,
            int numSamples,
            int seqLen,
            @OmittedIfEmpty Optional<Long> drawnBy,
            Rotation rotation,
            Rotate.Learning learning,
            QuantizationSettings formats) {}

    RotateStage(Workspace workspace, CalibrationSettings calibration) throws IOException {
        this.workspace = workspace;
        this.calibration = calibration;
        Experiment experiment = workspace.experiment();
        this.settings = new Settings(
                workspace.modelContent(),
                workspace.tokenizerContent(),
                workspace.content(calibration.text()),
                calibration.numSamples(),
                calibration.seqLen(),
                calibration.drawnBy(),
                experiment.rotation().orElseThrow(),
                experiment.steps().rotationLearning().orElseThrow(),
                experiment.quantization());
    }

    @Override
    public String name() {
        return RunFiles.ROTATE;
    }

    @Override
    public List<String> inputs() {
        return List.of();
    }

    @Override
    public Record settings() {
        return settings;
    }

    @Override
    public int version() {
        return 1;
    }

    /** Reads the matrices in the stage's folder. */
    static Rotation.Matrices matrices(Path folder) throws IOException {
        Map<String, float[]> found = new LinkedHashMap<>();
        try (Safetensors file = Safetensors.open(folder.resolve(RunFiles.ROTATIONS))) {
            for (String name : file.entries().keySet()) {
                found.put(name, file.floats(name));
            }
        }
        return RotationTraining.learned(found);
    }

    @Override
    public void run(Map<String, Path> inputs, Path output, Path unfinished) throws IOException {
        int[][] samples = workspace.calibrationSamples(calibration);
        ModelFormats formats =
                ModelFormats.of(settings.formats(), workspace.experiment().preparedShape());
        Path saved = unfinished.resolve(RunFiles.ROTATIONS);
        List<Double> losses = new ArrayList<>();
        int steps = settings.learning().steps();
        try (RotationTraining training = new RotationTraining(
                        workspace.model(), settings.rotation(), formats::roundOperands, workspace.resident());
                Progress progress = workspace.reporter().start(RunFiles.ROTATE, steps, "training steps")) {
            restore(saved, training, losses);
            long last = System.nanoTime();
            for (int step = losses.size(); step < steps; step++) {
                losses.add(step(training, samples, step));
                progress.step(step + 1L);
                if (System.nanoTime() - last
                        > workspace.unfinished(unfinished).between().toNanos()) {
                    save(saved, training, losses);
                    last = System.nanoTime();
                }
                if ((step + 1) % STEPS_BETWEEN_COLLECTIONS == 0) {
                    System.gc();
                }
            }
            finish(training, losses, output);
        }
        Files.deleteIfExists(saved);
    }

    private double step(RotationTraining training, int[][] samples, int step) throws IOException {
        // a step draws by its number, so that a resumed training takes the same ones
        SplittableRandom random = new SplittableRandom(settings.rotation().seed() + step);
        int[][] batch = new int[settings.learning().batchSize()][];
        List<Integer> left = new ArrayList<>();
        for (int i = 0; i < batch.length; i++) {
            if (left.isEmpty()) {
                for (int sample = 0; sample < samples.length; sample++) {
                    left.add(sample);
                }
            }
            batch[i] = samples[left.remove(random.nextInt(left.size()))];
        }
        double loss = loss(training, batch);
        if (!Double.isFinite(loss)) {
            throw new IOException("step " + (step + 1) + ": the loss is " + loss
                    + "; lower learning_rate, or take wider formats of activations");
        }
        double rate = settings.learning().rate()
                * (1 + Math.cos(Math.PI * step / settings.learning().steps()))
                / 2;
        try (NDManager scratch = TensorEngine.newManager()) {
            Map<String, NDArray> gradients = training.gradients();
            Map.copyOf(training.matrices()).entrySet().stream()
                    .sorted(Map.Entry.comparingByKey())
                    .forEach(entry -> training.set(
                            entry.getKey(),
                            CayleySgd.step(
                                    scratch,
                                    entry.getValue(),
                                    Objects.requireNonNull(gradients.get(entry.getKey()), entry.getKey()),
                                    rate,
                                    random)));
        }
        return loss;
    }

    private static double loss(RotationTraining training, int[][] batch) throws IOException {
        try {
            return Parallel.onEngineThreads(() -> {
                try {
                    return training.loss(batch);
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    private void finish(RotationTraining training, List<Double> losses, Path output) throws IOException {
        double error = 0;
        Map<String, NDArray> matrices = new LinkedHashMap<>();
        try (NDManager scratch = TensorEngine.newManager()) {
            for (Map.Entry<String, NDArray> entry : training.matrices().entrySet()) {
                NDArray matrix = CayleySgd.orthogonal(scratch, entry.getValue());
                NDArray products = matrix.matMul(matrix.transpose(1, 0));
                NDArray identity = scratch.eye((int) matrix.getShape().get(0));
                error = Math.max(error, products.sub(identity).abs().max().getFloat());
                matrices.put(entry.getKey(), matrix);
            }
            SafetensorsWriter.write(output.resolve(RunFiles.ROTATIONS), matrices, Map.of());
        }
        List<List<Object>> rows = new ArrayList<>();
        losses.forEach(loss -> rows.add(List.of(rows.size() + 1, loss)));
        Tables.write(output.resolve(RunFiles.TRAINING), TableColumn.header(RotationColumn.values()), rows);
        JsonFiles.write(output.resolve(RunFiles.METRICS), Map.of(Metric.ROTATION_ERROR.label(), error));
        int some = Math.max(1, losses.size() / 10);
        log.info(
                "{}: loss {} over the first {} steps, {} over the last; matrices are orthogonal to {}",
                RunFiles.ROTATE,
                mean(losses.subList(0, some)),
                some,
                mean(losses.subList(losses.size() - some, losses.size())),
                String.format(Locale.ROOT, "%.0e", error));
    }

    private static String mean(List<Double> losses) {
        double mean = losses.stream().mapToDouble(Double::doubleValue).average().orElse(Double.NaN);
        return String.format(Locale.ROOT, "%.4f", mean);
    }

    private static void save(Path file, RotationTraining training, List<Double> losses) throws IOException {
        SafetensorsWriter.write(
                file,
                training.matrices(),
                Map.of(
                        LOSSES,
                        String.join(" ", losses.stream().map(String::valueOf).toList())));
    }

    private static void restore(Path file, RotationTraining training, List<Double> losses) throws IOException {
        if (!Files.exists(file)) {
            return;
        }
        try (NDManager scratch = TensorEngine.newManager();
                Safetensors saved = Safetensors.open(file)) {
            for (String name : saved.entries().keySet()) {
                training.set(name, saved.load(scratch, name));
            }
            for (String loss : saved.metadata().getOrDefault(LOSSES, "").split(" ", -1)) {
                losses.add(Double.parseDouble(loss));
            }
        }
    }
}
