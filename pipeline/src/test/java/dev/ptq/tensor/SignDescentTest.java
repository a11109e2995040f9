package dev.ptq.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.GradientCollector;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class SignDescentTest {
    /** More than one tile, and not a multiple of it. */
    private static final int SIZE = 9001;

    @Test
    void movesByTheSignOfTheGradientAlone() {
        SplittableRandom random = new SplittableRandom(4);
        float[] gradient = new float[SIZE];
        float[] start = new float[SIZE];
        for (int i = 0; i < SIZE; i++) {
            start[i] = (float) random.nextGaussian();
            gradient[i] = i % 10 == 0 ? i % 20 == 0 ? 0f : -0f : (float) (random.nextGaussian() * Math.pow(10, i % 30));
        }
        gradient[1] = Float.MIN_VALUE;
        gradient[2] = Float.NEGATIVE_INFINITY;
        gradient[3] = Float.NaN;
        try (NDManager manager = TensorEngine.newManager()) {
            NDArray some = NativeFloats.of(manager, start, SIZE);
            NDArray other = NativeFloats.of(manager, new float[] {1, 2}, 2);
            SignDescent descent = new SignDescent();
            descent.add(some, 0.25);
            descent.add(other, 2);
            some.setRequiresGradient(true);
            other.setRequiresGradient(true);
            for (int step = 0; step < 2; step++) {
                try (NDManager scratch = manager.newSubManager();
                        GradientCollector collector = Engine.getInstance().newGradientCollector()) {
                    NDArray sum =
                            NativeFloats.of(scratch, gradient, SIZE).mul(some).sum();
                    collector.backward(NativeFloats.of(scratch, new float[] {-3, 0}, 2)
                            .mul(other)
                            .sum()
                            .add(sum));
                }
                descent.step(0.5);
            }
            float[] expected = new float[SIZE];
            for (int i = 0; i < SIZE; i++) {
                // the gradient of the step before is gone
                float once = start[i] - 0.125f * Math.signum(gradient[i]);
                expected[i] = once - 0.125f * Math.signum(gradient[i]);
            }
            assertThat(some.toFloatArray()).containsExactly(expected);
            assertThat(other.toFloatArray()).containsExactly(3, 2);
        }
    }
}
