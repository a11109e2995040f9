package dev.ptq.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.GradientCollector;
import java.nio.FloatBuffer;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class AdamWTest {
    private static final AdamW.Settings SETTINGS = new AdamW.Settings(0.9, 0.95, 1e-8);

    /** More than one tile, and not a multiple of it. */
    private static final int SIZE = 9001;

    /** One parameter under {@code Σ w² c / 2}, whose gradient is {@code w c}. */
    private static final class Bowl implements AutoCloseable {
        private final NDManager manager = TensorEngine.newManager();
        private final AdamW optimizer = new AdamW(SETTINGS);
        private final float[] curvature = new float[SIZE];
        private final NDArray weight;

        Bowl(double weightDecay) {
            SplittableRandom random = new SplittableRandom(4);
            float[] start = new float[SIZE];
            for (int i = 0; i < SIZE; i++) {
                start[i] = (float) random.nextGaussian();
                curvature[i] = (float) Math.exp(3 * random.nextGaussian());
            }
            weight = NativeFloats.of(manager, start, SIZE);
            weight.setRequiresGradient(true);
            optimizer.add("w", weight, weightDecay, manager);
        }

        void step(double rate, double factor) {
            backward();
            optimizer.step(rate, factor);
        }

        void backward() {
            try (NDManager scratch = manager.newSubManager();
                    GradientCollector collector = Engine.getInstance().newGradientCollector()) {
                NDArray c = NativeFloats.of(scratch, curvature, SIZE);
                NDArray half = NativeFloats.of(scratch, new float[] {0.5f}, 1);
                collector.backward(c.mul(weight).mul(weight).mul(half).sum());
            }
        }

        float[] values() {
            return weight.toFloatArray();
        }

        @Override
        public void close() {
            manager.close();
        }
    }

    @Test
    void followsThePublishedFormulasInDouble() {
        try (Bowl bowl = new Bowl(0.1)) {
            double[] weight = doubles(bowl.values());
            double[] mean = new double[SIZE];
            double[] square = new double[SIZE];
            for (int step = 1; step <= 5; step++) {
                double rate = 0.01 * step;
                bowl.step(rate, 0.5);
                for (int i = 0; i < SIZE; i++) {
                    double gradient = 0.5 * weight[i] * bowl.curvature[i];
                    mean[i] = 0.9 * mean[i] + 0.1 * gradient;
                    square[i] = 0.95 * square[i] + 0.05 * gradient * gradient;
                    double correctedMean = mean[i] / (1 - Math.pow(0.9, step));
                    double correctedSquare = square[i] / (1 - Math.pow(0.95, step));
                    weight[i] -= rate * 0.1 * weight[i];
                    weight[i] -= rate * correctedMean / (Math.sqrt(correctedSquare) + 1e-8);
                }
            }
            float[] moved = bowl.values();
            for (int i = 0; i < SIZE; i++) {
                // five steps of a few float32 roundings each
                assertThat((double) moved[i]).isCloseTo(weight[i], within(2e-6 * (1 + Math.abs(weight[i]))));
            }
        }
    }

    @Test
    void gradientsAreZeroAfterAStepAndTheirNormIsTaken() {
        try (Bowl bowl = new Bowl(0)) {
            bowl.backward();
            double sum = 0;
            float[] values = bowl.values();
            for (int i = 0; i < SIZE; i++) {
                sum += Math.pow((double) values[i] * bowl.curvature[i], 2);
            }
            assertThat(bowl.optimizer.gradientNorm()).isCloseTo(Math.sqrt(sum), within(1e-6 * Math.sqrt(sum)));
            bowl.optimizer.step(0.1, 1);
            assertThat(bowl.optimizer.gradientNorm()).isZero();
        }
    }

    @Test
    void continuesFromSavedMoments() {
        try (Bowl straight = new Bowl(0.1);
                Bowl first = new Bowl(0.1);
                Bowl second = new Bowl(0.1)) {
            for (int step = 0; step < 6; step++) {
                straight.step(0.02, 1);
            }
            for (int step = 0; step < 3; step++) {
                first.step(0.02, 1);
            }
            copy(first.weight, second.weight);
            Map<String, NDArray> saved = first.optimizer.state();
            second.optimizer.state().forEach((name, moments) -> copy(Objects.requireNonNull(saved.get(name)), moments));
            second.optimizer.resumeAt(first.optimizer.steps());
            for (int step = 0; step < 3; step++) {
                second.step(0.02, 1);
            }
            assertThat(second.values()).isEqualTo(straight.values());
        }
    }

    private static void copy(NDArray from, NDArray to) {
        FloatBuffer values = NativeFloats.window(from);
        NativeFloats.writableWindow(to).put(0, values, 0, values.capacity());
    }

    private static double[] doubles(float[] values) {
        double[] wide = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            wide[i] = values[i];
        }
        return wide;
    }
}
