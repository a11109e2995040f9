package dev.ptq.calibrate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDManager;
import dev.ptq.model.HookInput;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class ValueCountsTest {
    /** As an input of one feature and one sequence. */
    private static ValueCounts counts(float... values) {
        try (NDManager manager = TensorEngine.newManager()) {
            Histogram histogram = new Histogram();
            if (values.length > 0) {
                histogram.add(new HookInput(
                        NativeFloats.of(manager, values, 1, values.length, 1), List.of(values.length), values.length));
            }
            float[] rows = new float[2 * ValueCounts.BINS];
            for (int row = 0; row < 2; row++) {
                float[] own = new float[ValueCounts.BINS];
                histogram.row(row, own);
                System.arraycopy(own, 0, rows, row * own.length, own.length);
            }
            return ValueCounts.of(rows);
        }
    }

    @Test
    void fewValuesAreExact() {
        ValueCounts counts = counts(0.3f, -1.7f, 5, 0.3f, -0f, 1e-40f);
        assertThat(counts.values()).containsExactly(-1.7f, 0, 1e-40f, 0.3f, 5);
        assertThat(counts.counts()).containsExactly(1, 1, 1, 2, 1);
    }

    @Test
    void aPercentileIsTheLeastValueNotBelowAsMany() {
        ValueCounts counts = counts(1, 2, 3, 4);
        assertThat(counts.percentile(50)).isEqualTo(2);
        assertThat(counts.percentile(50.01)).isEqualTo(3);
        assertThat(counts.percentile(75)).isEqualTo(3);
        assertThat(counts.percentile(100)).isEqualTo(4);
        assertThat(counts.percentile(1e-9)).isEqualTo(1);
        assertThat(counts(7).percentile(99.99)).as("one value").isEqualTo(7);
        assertThat(counts(3, 3, 3, 8).percentile(75)).as("ties").isEqualTo(3);
        assertThat(counts(0, 0, 0).percentile(99)).as("zeros").isZero();
        assertThatThrownBy(() -> counts().percentile(99)).isInstanceOf(IllegalStateException.class);
    }

    /** 99.99 hundredths are no binary number. */
    @Test
    void hundredthsAreDecimals() {
        float[] values = new float[10_000];
        Arrays.fill(values, 1);
        values[0] = 2;
        assertThat(counts(values).percentile(99.99)).isEqualTo(1);
        values[1] = 3;
        assertThat(counts(values).percentile(99.99)).isEqualTo(2);
        assertThat(counts(values).percentile(99.991)).isEqualTo(3);
    }

    @Test
    void signsAndMagnitudes() {
        ValueCounts counts = counts(-5, -1, 2, 3);
        assertThat(counts.negated().values()).containsExactly(-3, -2, 1, 5);
        assertThat(counts.negated().percentile(75)).isEqualTo(1);
        assertThat(counts.magnitudes().percentile(75)).isEqualTo(3);
        assertThat(counts.magnitudes().percentile(76)).isEqualTo(5);
        assertThat(counts(-2, 2).magnitudes().counts()).containsExactly(1, 1);
    }

    /** Against the sorted values. */
    @Test
    void manyValuesAreOffByLessThanAHundredAndTwentyEighth() {
        SplittableRandom random = new SplittableRandom(5);
        float[] values = new float[50_000];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (random.nextGaussian() * Math.exp(3 * random.nextGaussian()));
        }
        float[] sorted = values.clone();
        Arrays.sort(sorted);
        ValueCounts counts = counts(values);
        for (double percent : new double[] {50.5, 90, 99, 99.9, 99.99, 100}) {
            float exact = sorted[(int) Math.ceil(percent / 100 * values.length - 1e-6) - 1];
            assertThat(Math.abs(counts.percentile(percent) - exact))
                    .as("%s of %s", percent, exact)
                    .isLessThan(Math.abs(exact) / 128);
        }
    }
}
