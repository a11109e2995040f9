package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.family.ModelConfig;
import dev.ptq.model.Rotation.Matrix;
import dev.ptq.model.Rotation.Place;
import dev.ptq.progress.Progress;
import dev.ptq.tensor.CayleySgd;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class RotationTrainingTest {
    /** Families in which the residual stream can be rotated. */
    static Stream<Path> families() throws IOException {
        return TinyFamilies.few().stream().filter(family -> {
            try {
                return Rotation.absent(ModelConfig.read(family)).isEmpty();
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
        });
    }

    private static Rotation rotation() {
        return new Rotation(List.of(Place.values()), Matrix.HADAMARD, 0, false, 3);
    }

    private static int[][] sequences(LanguageModel model) {
        int size = model.config().vocabulary().size();
        return new int[][] {
            IntStream.range(0, 9).map(i -> (7 * i + 3) % size).toArray(),
            IntStream.range(0, 9).map(i -> (5 * i + 1) % size).toArray()
        };
    }

    private static RotationTraining training(LanguageModel model) throws IOException {
        return new RotationTraining(model, rotation(), block -> {}, true);
    }

    private static double meanLoss(LanguageModel model, int[][] sequences) throws IOException {
        double sum = 0;
        for (int[] sequence : sequences) {
            int[] inputs = Arrays.copyOf(sequence, sequence.length - 1);
            try (BlockRunner runner = new BlockRunner(model, BlockRunner.BlockChange.none(), false);
                    HiddenStates states = model.embed(new int[][] {inputs}, 1);
                    Progress progress = Progress.Reporter.none().start("", 1, "")) {
                runner.run(states, ActivationObserver.NONE, progress);
                try (NDArray logits = Scoring.logits(model, states, 0)) {
                    float[] rows = logits.toFloatArray();
                    int size = model.config().vocabulary().size();
                    for (int i = 0; i < inputs.length; i++) {
                        double total = 0;
                        for (int j = 0; j < size; j++) {
                            total += Math.exp(rows[i * size + j]);
                        }
                        sum += Math.log(total) - rows[i * size + sequence[i + 1]];
                    }
                }
            }
        }
        return sum / (sequences.length * (sequences[0].length - 1));
    }

    @ParameterizedTest
    @MethodSource("families")
    void theLossIsThatOfTheModelAndDoesNotDependOnTheMatrices(Path family) throws IOException {
        try (LanguageModel model = LanguageModel.open(family);
                RotationTraining training = training(model)) {
            double loss = training.loss(sequences(model));

            assertThat(loss).isCloseTo(meanLoss(model, sequences(model)), within(1e-5));
        }
    }

    /** Those without experts, whose choice jumps. */
    static Stream<Path> smooth() throws IOException {
        return families().filter(family -> {
            try {
                return !ModelConfig.read(family).hasExperts();
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
        });
    }

    /** Along a direction that leaves orthogonal matrices, the loss changes as the gradient says. */
    @ParameterizedTest
    @MethodSource("smooth")
    void gradientsAreThoseOfFiniteDifferences(Path family) throws IOException {
        try (LanguageModel model = LanguageModel.open(family);
                RotationTraining training = training(model);
                NDManager manager = TensorEngine.newManager()) {
            int[][] sequences = sequences(model);
            SplittableRandom random = new SplittableRandom(1);
            training.loss(sequences);
            Map<String, float[]> gradients = new LinkedHashMap<>();
            training.gradients().forEach((name, gradient) -> gradients.put(name, gradient.toFloatArray()));
            for (String name : List.of("R1", "R2.0")) {
                NDArray start =
                        Objects.requireNonNull(training.matrices().get(name)).duplicate();
                float[] values = start.toFloatArray();
                double[] direction = random.doubles(values.length, -1, 1).toArray();
                double expected = 0;
                for (int i = 0; i < direction.length; i++) {
                    expected += direction[i] * Objects.requireNonNull(gradients.get(name))[i];
                }
                double step = 2e-4;
                double found = (loss(training, manager, name, start, direction, step, sequences)
                                - loss(training, manager, name, start, direction, -step, sequences))
                        / (2 * step);
                training.set(name, start);
                assertThat(found).as(name).isCloseTo(expected, within(5e-3 + 0.02 * Math.abs(expected)));
            }
        }
    }

    private static double loss(
            RotationTraining training,
            NDManager manager,
            String name,
            NDArray start,
            double[] direction,
            double step,
            int[][] sequences)
            throws IOException {
        float[] values = start.toFloatArray();
        for (int i = 0; i < values.length; i++) {
            values[i] += (float) (step * direction[i]);
        }
        training.set(name, manager.create(values, start.getShape()));
        return training.loss(sequences);
    }

    @Test
    void whatIsLearnedIsFolded() throws IOException {
        Path family = TinyFamilies.few().get(0);
        try (LanguageModel model = LanguageModel.open(family)) {
            Map<String, float[]> found = new LinkedHashMap<>();
            try (RotationTraining training = training(model)) {
                training.matrices().forEach((name, matrix) -> found.put(name, matrix.toFloatArray()));
            }
            Rotation rotation = rotation();
            try (LanguageModel drawn = model.rotated(rotation);
                    LanguageModel learned = model.rotated(rotation, RotationTraining.learned(found));
                    NDManager manager = TensorEngine.newManager()) {
                for (String name : drawn.weights().names()) {
                    assertThat(learned.weights().load(manager, name).toFloatArray())
                            .as(name)
                            .containsExactly(drawn.weights().load(manager, name).toFloatArray(), within(2e-5f));
                }
            }
        }
    }

    @Test
    void stepsStayOrthogonalAndLeadDown() {
        try (NDManager manager = TensorEngine.newManager()) {
            int order = 12;
            NDArray target = CayleySgd.orthogonal(manager, manager.randomNormal(new Shape(order, order)));
            NDArray x = CayleySgd.orthogonal(manager, manager.randomNormal(new Shape(order, order)));
            double first = x.sub(target).square().sum().getFloat();
            SplittableRandom random = new SplittableRandom(2);
            for (int i = 0; i < 200; i++) {
                x = CayleySgd.step(manager, x, x.sub(target), 0.1, random);
            }
            NDArray products = x.matMul(x.transpose(1, 0));
            assertThat(products.sub(manager.eye(order)).abs().max().getFloat()).isLessThan(1e-3f);
            NDArray end = CayleySgd.orthogonal(manager, x);
            assertThat(end.matMul(end.transpose(1, 0))
                            .sub(manager.eye(order))
                            .abs()
                            .max()
                            .getFloat())
                    .isLessThan(1e-6f);
            // matrices of the other determinant cannot be reached, but the distance shrinks all the same
            assertThat((double) x.sub(target).square().sum().getFloat()).isLessThan(first / 2);
        }
    }
}
