package dev.ptq.stage;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.artifact.RunFiles;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.CalibrationSettings;
import dev.ptq.model.Block;
import dev.ptq.model.EnteringStates;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LossGradients;
import dev.ptq.progress.Progress;
import dev.ptq.run.Stage;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Scores the errors that candidates leave in each weight, on the calibration samples: {@code layers.csv}. The loss is
 * differentiated in full precision, one block at a time from the last to the first.
 */
final class SensitivityStage implements Stage {
    private static final Logger log = LoggerFactory.getLogger(SensitivityStage.class);

    private final Workspace workspace;
    private final CalibrationSettings calibration;
    private final List<Candidate> candidates;
    private final Settings settings;

    private record Settings(
            Workspace.ModelContent model, Workspace.SampleContent samples, List<Candidate.Content> candidates) {}

    SensitivityStage(Workspace workspace, CalibrationSettings calibration, List<Candidate> candidates)
            throws IOException {
        this.workspace = workspace;
        this.calibration = calibration;
        this.candidates = candidates;
        this.settings = new Settings(
                workspace.modelContent(),
                workspace.content(calibration),
                candidates.stream().map(Candidate::content).toList());
    }

    @Override
    public String name() {
        return RunFiles.SENSITIVITY;
    }

    @Override
    public List<String> inputs() {
        return List.of(RunFiles.CALIBRATE);
    }

    @Override
    public Record settings() {
        return settings;
    }

    @Override
    public int version() {
        return 1;
    }

    /** The samples without their last tokens, which nothing is predicted from. */
    static int[][] inputs(int[][] samples) {
        return Arrays.stream(samples)
                .map(sample -> Arrays.copyOf(sample, sample.length - 1))
                .toArray(int[][]::new);
    }

    @Override
    public void run(Map<String, Path> inputs, Path output, Path unfinished) throws IOException {
        LanguageModel model = workspace.model();
        ActivationStatistics statistics = KnownFormats.statistics(inputs);
        List<RoundedBlock.Rounding> roundings = new ArrayList<>();
        for (Candidate candidate : candidates) {
            roundings.add(RoundedBlock.by(candidate, workspace, model, inputs));
        }
        int[][] samples = workspace.calibrationSamples(calibration);
        long tokens = (long) samples.length * (samples[0].length - 1);
        int blocks = model.config().blocks();
        List<List<WeightScores>> all = new ArrayList<>();
        try (Progress progress = workspace.reporter().start(RunFiles.SENSITIVITY, 2L * blocks, "blocks");
                LossGradients gradients = new LossGradients(model)) {
            EnteringStates entering = EnteringStates.of(model, inputs(samples), unfinished, progress);
            for (int index = blocks - 1; index >= 0; index--) {
                Path done = Files.createDirectories(unfinished.resolve("scores-" + index));
                if (!Files.exists(done.resolve(RunFiles.LAYERS))) {
                    workspace.blockReleased();
                    List<WeightScores> scores;
                    try (Behind behind = Behind.read(unfinished, index + 1, blocks, entering, gradients, samples);
                            NDManager owner = TensorEngine.newManager();
                            Block block = model.load(index)) {
                        List<RoundedBlock> rounded = new ArrayList<>();
                        for (RoundedBlock.Rounding rounding : roundings) {
                            rounded.add(rounding.round(index, owner));
                        }
                        BlockScores ofBlock = new BlockScores(owner, block, rounded);
                        behind.step(block, entering, gradients, ofBlock);
                        scores = ofBlock.scores(statistics, tokens);
                        behind.write(unfinished, index);
                    }
                    Path partial = Files.createDirectories(unfinished.resolve("partial"));
                    WeightScores.write(partial, scores);
                    Files.move(
                            partial.resolve(RunFiles.LAYERS),
                            done.resolve(RunFiles.LAYERS),
                            StandardCopyOption.ATOMIC_MOVE);
                    Files.deleteIfExists(Behind.file(unfinished, index + 1));
                }
                all.add(0, WeightScores.read(done));
                progress.step(2L * blocks - index);
            }
        }
        List<WeightScores> rows = all.stream().flatMap(List::stream).toList();
        WeightScores.write(output, rows);
        log.info(
                "{}: {} linears, {} choices, {} tokens",
                RunFiles.SENSITIVITY,
                rows.size() / candidates.size(),
                candidates.size(),
                tokens);
    }

    /** The gradients of the loss by what leaves a block, sequence by sequence. */
    private record Behind(NDManager owner, List<NDArray> gradients) implements AutoCloseable {
        static Path file(Path folder, int block) {
            return folder.resolve("gradients-" + block + ".safetensors");
        }

        /** Those by what enters a block, or leaves the last: computed there, else read. */
        static Behind read(
                Path folder, int block, int blocks, EnteringStates entering, LossGradients by, int[][] samples)
                throws IOException {
            NDManager owner = TensorEngine.newManager();
            List<NDArray> gradients = new ArrayList<>();
            if (block == blocks) {
                for (int i = 0; i < samples.length; i++) {
                    try (NDArray stream = entering.of(block, i, owner)) {
                        gradients.add(by.ofStream(owner, stream, samples[i]));
                    }
                }
            } else {
                try (Safetensors file = Safetensors.open(file(folder, block))) {
                    for (int i = 0; i < samples.length; i++) {
                        gradients.add(file.load(owner, String.valueOf(i)));
                    }
                }
            }
            return new Behind(owner, gradients);
        }

        /** Goes on to what enters a block. */
        void step(Block block, EnteringStates entering, LossGradients by, LossGradients.Visitor visitor)
                throws IOException {
            for (int i = 0; i < gradients.size(); i++) {
                try (NDArray input = entering.of(block.index(), i, owner)) {
                    NDArray before = gradients.get(i);
                    gradients.set(i, by.ofBlock(owner, block, input, before, visitor));
                    before.close();
                }
            }
        }

        void write(Path folder, int block) throws IOException {
            Map<String, NDArray> tensors = new LinkedHashMap<>();
            for (int i = 0; i < gradients.size(); i++) {
                tensors.put(String.valueOf(i), gradients.get(i));
            }
            SafetensorsWriter.write(file(folder, block), tensors, Map.of());
        }

        @Override
        public void close() {
            owner.close();
        }
    }
}
