package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.IntegerFormat.Range;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.nio.FloatBuffer;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class StaticIntegerFormatTest {
    private final NDManager manager = TensorEngine.newManager();

    @AfterEach
    void closeManager() {
        manager.close();
    }

    private static StaticIntegerFormat format(int bits, boolean symmetric, boolean includeZero) {
        IntegerFormat integers = new IntegerFormat(bits, Granularity.TENSOR, 0, symmetric, includeZero, Range.MINMAX);
        return new StaticIntegerFormat(integers, Optional.empty());
    }

    private static float[] rounded(NumberFormat format, float... values) {
        float[] rounded = values.clone();
        format.round(FloatBuffer.wrap(rounded), new Shape(1, values.length), Operand.ACTIVATION, false);
        return rounded;
    }

    @Test
    void roundsByHand() {
        // -1 to 2 in 3 steps; beyond the range are its ends
        assertThat(rounded(format(2, false, true).withBounds(-1, 2), -5, -0.6f, 0.4f, 0.5f, 1.6f, 9))
                .containsExactly(-1, -1, 0, 0, 2, 2);
        // 0 belongs to the range of 3 to 6, steps of 2
        assertThat(rounded(format(2, false, true).withBounds(3, 6), 0, 3.2f, 7)).containsExactly(0, 4, 6);
        // or does not: steps of 1 from 3
        assertThat(rounded(format(2, false, false).withBounds(3, 6), 0, 3.2f, 7))
                .containsExactly(3, 3, 6);
        assertThat(rounded(format(3, true, true).withBounds(-3, 1), -9, -1.2f, 2.6f, 8))
                .containsExactly(-4, -1, 3, 3);
        assertThat(rounded(format(4, false, true).withBounds(0, 0), 0, 0.4f)).containsExactly(0, 0);
    }

    /** On values that reach the ends of the range it is the format that takes its range from them. */
    @Test
    void isTheDynamicFormOnValuesOfTheRange() {
        SplittableRandom random = new SplittableRandom(4);
        for (int trial = 0; trial < 60; trial++) {
            StaticIntegerFormat format = format(2 + trial % 8, trial % 3 == 0, trial % 3 != 2);
            float[] values = new float[1 + random.nextInt(3000)];
            float low = Float.POSITIVE_INFINITY;
            float high = Float.NEGATIVE_INFINITY;
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) (random.nextGaussian() + trial % 5 - 2);
                low = Math.min(low, values[i]);
                high = Math.max(high, values[i]);
            }
            float[] expected = rounded(format.dynamic(), values);
            assertThat(rounded(format.withBounds(low, high), values)).isEqualTo(expected);
            NDArray array = NativeFloats.of(manager, values, 1, values.length);
            assertThat(format.withBounds(low, high)
                            .differentiable(array, Operand.ACTIVATION)
                            .toFloatArray())
                    .isEqualTo(expected);
        }
    }

    @Test
    void gradientsPassInsideTheRange() {
        StaticIntegerFormat format = format(4, false, true).withBounds(-1, 2);
        NDArray values = NativeFloats.of(manager, new float[] {-3, -0.97f, 0.3f, 1.9f, 2.5f}, 5);
        values.setRequiresGradient(true);
        try (GradientCollector collector = Engine.getEngine("PyTorch").newGradientCollector()) {
            NDArray loss = format.differentiable(values, Operand.ACTIVATION).sum();
            LearnedIntegersTest.disturb();
            collector.backward(loss);
        }
        assertThat(values.getGradient().toFloatArray()).containsExactly(0, 1, 1, 1, 0);
    }

    /** Saturation would hide it. */
    @Test
    void whatIsNotFiniteIsNotANumber() {
        StaticIntegerFormat format = format(8, false, true).withBounds(-1, 1);
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            assertThat(rounded(format, bad, 0.5f)).containsExactly(Float.NaN, 64 * (2 / 255f));
            NDArray array = NativeFloats.of(manager, new float[] {bad, 0.5f}, 2);
            assertThat(format.differentiable(array, Operand.ACTIVATION).toFloatArray())
                    .containsExactly(Float.NaN, 64 * (2 / 255f));
        }
        // 255 steps of 2/255; 1 / step is a little less than 127.5, so the zero point is 127
        assertThat(rounded(format, Float.MAX_VALUE, -1e30f)).containsExactly(128 * (2 / 255f), -127 * (2 / 255f));
    }

    @Test
    void refusesWhatIsNoRange() {
        assertThatThrownBy(() -> rounded(format(8, false, true), 1)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> format(8, false, true).withBounds(2, 1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> format(8, false, true).withBounds(Float.NaN, 1))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> format(8, false, true).withBounds(0, Float.POSITIVE_INFINITY))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() ->
                        new StaticIntegerFormat(new IntegerFormat(8, Granularity.TOKEN, 0, false), Optional.empty()))
                .isInstanceOf(IllegalArgumentException.class);
    }
}
