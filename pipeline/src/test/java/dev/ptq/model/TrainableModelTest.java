package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.GradientCollector;
import dev.ptq.family.ModelConfig;
import dev.ptq.progress.Progress;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.SafetensorsWriter;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainableModelTest {
    private static final int TOKENS = 12;

    @TempDir
    private Path folder;

    private static ModelConfig config(Path folder) throws IOException {
        SyntheticModel.llama().heads(4, 2).tied(true).write(folder);
        return ModelConfig.read(folder);
    }

    private static int[][] sequences(int vocabulary) {
        SplittableRandom random = new SplittableRandom(9);
        int[][] sequences = new int[3][TOKENS + 1];
        for (int[] sequence : sequences) {
            Arrays.setAll(sequence, i -> random.nextInt(vocabulary));
        }
        return sequences;
    }

    /** The parameters with deviations large enough for every part to matter. */
    private static void widen(TrainableModel model) {
        SplittableRandom random = new SplittableRandom(5);
        model.parameters().values().forEach(parameter -> {
            FloatBuffer values = NativeFloats.writableWindow(parameter);
            double base = parameter.getShape().dimension() == 1 ? 1 : 0;
            for (int i = 0; i < values.capacity(); i++) {
                values.put(i, (float) (base + 0.15 * random.nextGaussian()));
            }
        });
    }

    @Test
    void itsLossIsThatOfTheModelThatIsSaved() throws IOException {
        ModelConfig config = config(folder);
        int[][] sequences = sequences(config.vocabulary().size());
        try (TrainableModel model = new TrainableModel(config, TOKENS, 1);
                NDManager scratch = TensorEngine.newManager()) {
            widen(model);
            double loss = model.loss(scratch, sequences, 0).getFloat();
            SafetensorsWriter.write(folder.resolve("model.safetensors"), model.parameters(), Map.of());
            try (LanguageModel saved = LanguageModel.open(folder);
                    BlockRunner runner = new BlockRunner(saved, block -> {}, true);
                    HiddenStates states = saved.embed(sequences, 3)) {
                runner.run(
                        states,
                        ActivationObserver.NONE,
                        Progress.Reporter.none().start("", 1, ""));
                double expected = Arrays.stream(Scoring.nextTokenLosses(saved, states, sequences))
                        .flatMapToDouble(Arrays::stream)
                        .average()
                        .orElseThrow();
                // float32 in another order of operations
                assertThat(loss).isCloseTo(expected, within(2e-6 * expected));
            }
        }
    }

    @Test
    void gradientsAreTheSlopesOfTheLoss() throws IOException {
        ModelConfig config = config(folder);
        int[][] sequences = sequences(config.vocabulary().size());
        try (TrainableModel model = new TrainableModel(config, TOKENS, 1)) {
            widen(model);
            try (NDManager scratch = TensorEngine.newManager();
                    GradientCollector collector = Engine.getInstance().newGradientCollector()) {
                NDArray loss = model.loss(scratch, sequences, 0);
                // memory that Java has let go would be reused here
                System.gc();
                for (int i = 0; i < 50; i++) {
                    scratch.create(new float[1000]).close();
                }
                collector.backward(loss);
            }
            SplittableRandom random = new SplittableRandom(3);
            model.parameters().forEach((name, parameter) -> {
                float[] gradient;
                try (NDArray taken = parameter.getGradient()) {
                    gradient = taken.toFloatArray();
                }
                float[] direction = new float[gradient.length];
                double slope = 0;
                for (int i = 0; i < direction.length; i++) {
                    direction[i] = random.nextBoolean() ? 1 : -1;
                    slope += (double) direction[i] * gradient[i];
                }
                double h = 2e-3;
                double difference = (moved(model, parameter, direction, h, sequences)
                                - moved(model, parameter, direction, -h, sequences))
                        / (2 * h);
                // the loss is a float32 near 5: differences over 2h are good to about 1e-4
                assertThat(difference).as(name).isCloseTo(slope, within(5e-4 + 0.02 * Math.abs(slope)));
            });
        }
    }

    private static double moved(
            TrainableModel model, NDArray parameter, float[] direction, double step, int[][] sequences) {
        FloatBuffer values = NativeFloats.writableWindow(parameter);
        float[] before = new float[values.capacity()];
        values.get(0, before);
        for (int i = 0; i < before.length; i++) {
            values.put(i, (float) (before[i] + step * direction[i]));
        }
        try (NDManager scratch = TensorEngine.newManager()) {
            return model.loss(scratch, sequences, 0).getFloat();
        } finally {
            values.put(0, before);
        }
    }

    @Test
    void theSameSeedGivesTheSameWeights() throws IOException {
        ModelConfig config = config(folder);
        try (TrainableModel one = new TrainableModel(config, TOKENS, 1);
                TrainableModel same = new TrainableModel(config, TOKENS, 1);
                TrainableModel other = new TrainableModel(config, TOKENS, 2)) {
            float[] weights = downProjection(one);
            assertThat(downProjection(same)).isEqualTo(weights);
            assertThat(downProjection(other)).isNotEqualTo(weights);
        }
    }

    private static float[] downProjection(TrainableModel model) {
        return Objects.requireNonNull(model.parameters().get("model.layers.1.mlp.down_proj.weight"))
                .toFloatArray();
    }

    @Test
    void aShapeThatItCannotTrainIsRefused() throws IOException {
        SyntheticModel.llama().tied(false).write(folder);
        ModelConfig untied = ModelConfig.read(folder);
        assertThatThrownBy(() -> new TrainableModel(untied, TOKENS, 1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("tied head");
    }
}
