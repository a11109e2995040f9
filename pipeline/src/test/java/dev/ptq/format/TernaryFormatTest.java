package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.types.Shape;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.TernaryFormat.Scale;
import java.nio.FloatBuffer;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class TernaryFormatTest {
    private static float[] rounded(NumberFormat format, int rows, float... values) {
        float[] rounded = values.clone();
        format.round(FloatBuffer.wrap(rounded), new Shape(rows, values.length / rows), Operand.WEIGHT);
        return rounded;
    }

    @Test
    void roundsByHand() {
        float[] values = {4, -1, 0.5f, -0.5f, 1, 1, 5, -3};
        // the mean magnitude is 2; half of it is a tie
        assertThat(rounded(new TernaryFormat(Granularity.TENSOR, 0, Scale.ABSMEAN), 2, values))
                .containsExactly(2, 0, 0, 0, 0, 0, 2, -2);
        assertThat(rounded(new TernaryFormat(Granularity.CHANNEL, 0, Scale.ABSMEAN), 2, values))
                .containsExactly(1.5f, -1.5f, 0, 0, 0, 0, 2.5f, -2.5f);
        assertThat(rounded(new TernaryFormat(Granularity.TENSOR, 0, Scale.ABSMAX), 2, values))
                .containsExactly(5, 0, 0, 0, 0, 0, 5, -5);
        assertThat(rounded(new TernaryFormat(Granularity.GROUP, 2, Scale.ABSMAX), 2, values))
                .containsExactly(4, 0, 0.5f, -0.5f, 1, 1, 5, -5);
    }

    @Test
    void equalsThePlainFormula() {
        SplittableRandom random = new SplittableRandom(5);
        for (int trial = 0; trial < 100; trial++) {
            float[] values = new float[1 + random.nextInt(50)];
            double sum = 0;
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) (Math.pow(10, trial % 7 - 3) * random.nextGaussian());
                sum += Math.abs(values[i]);
            }
            float scale = (float) (sum / values.length);
            float[] rounded = rounded(new TernaryFormat(Granularity.CHANNEL, 0, Scale.ABSMEAN), 1, values);
            for (int i = 0; i < values.length; i++) {
                float expected = values[i] / scale > 0.5f ? scale : values[i] / scale < -0.5f ? -scale : 0;
                assertThat(rounded[i] + 0f).isEqualTo(expected);
            }
        }
    }

    @Test
    void tinyGroupsAndBadValues() {
        // the mean is at least 1e-5
        assertThat(rounded(new TernaryFormat(Granularity.TENSOR, 0, Scale.ABSMEAN), 1, 1e-6f, 6e-6f, 0))
                .containsExactly(0, 1e-5f, 0);
        float tiny = 700 * Float.MIN_VALUE;
        assertThat(rounded(new TernaryFormat(Granularity.TENSOR, 0, Scale.ABSMAX), 1, tiny, -7 * Float.MIN_VALUE, 0))
                .containsExactly(tiny, 0, 0);
        for (Scale scale : Scale.values()) {
            for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
                float[] rounded = rounded(new TernaryFormat(Granularity.GROUP, 2, scale), 1, 1, bad, 1, -1);
                assertThat(rounded).containsExactly(Float.NaN, Float.NaN, 1, -1);
            }
            // a mean beyond float32 would be needed only if the largest were
            assertThat(rounded(new TernaryFormat(Granularity.TENSOR, 0, scale), 1, Float.MAX_VALUE, -Float.MAX_VALUE))
                    .containsExactly(Float.MAX_VALUE, -Float.MAX_VALUE);
        }
    }

    @Test
    void refusesWhatIsNoFormat() {
        assertThatThrownBy(() -> new TernaryFormat(Granularity.GROUP, 0, Scale.ABSMAX))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new TernaryFormat(Granularity.TENSOR, 8, Scale.ABSMAX))
                .isInstanceOf(IllegalArgumentException.class);
    }
}
