package dev.ptq.evaluate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TokenChoiceTest {
    private static final int DRAWS = 40_000;

    /** Natural logarithms of 1/8, 1/2, 1/8 and 1/4, each with 90 added. */
    private static final float[] LOGITS = {
        90 - (float) Math.log(8), 90 - (float) Math.log(2), 90 - (float) Math.log(8), 90 - (float) Math.log(4)
    };

    @ParameterizedTest
    @CsvSource({
        "1,   1,    0.125,    0.5,      0.125,    0.25",
        // squared and normalized
        "0.5, 1,    0.045455, 0.727273, 0.045455, 0.181818",
        "1e9, 1,    0.25,     0.25,     0.25,     0.25",
        // 1/2 is less than 0.6, with 1/4 it is more
        "1,   0.6,  0,        0.666667, 0,        0.333333",
        // of two that are equally likely the first
        "1,   0.8,  0.142857, 0.571429, 0,        0.285714",
        "1,   0.99, 0.125,    0.5,      0.125,    0.25",
        "1,   0.01, 0,        1,        0,        0",
        // the temperature comes first
        "0.5, 0.7,  0,        1,        0,        0"
    })
    void drawsAsOftenAsIsLikely(
            double temperature, double topP, double first, double second, double third, double fourth) {
        double[] expected = {first, second, third, fourth};
        TokenChoice choice = new TokenChoice(temperature, topP);
        SplittableRandom random = new SplittableRandom(11);
        int[] counts = new int[LOGITS.length];
        for (int draw = 0; draw < DRAWS; draw++) {
            counts[choice.draw(LOGITS, random)]++;
        }

        for (int token = 0; token < expected.length; token++) {
            double deviation = Math.sqrt(expected[token] * (1 - expected[token]) / DRAWS);
            assertThat(counts[token] / (double) DRAWS)
                    .as(Arrays.toString(counts))
                    .isEqualTo(expected[token], within(4 * deviation + 1e-12));
        }
    }

    @Test
    void temperatureZeroTakesTheLargest() {
        TokenChoice greedy = new TokenChoice(0, 0.5);

        assertThat(greedy.draw(LOGITS, new SplittableRandom(1))).isEqualTo(1);
        assertThat(greedy.draw(new float[] {-3, -1, -1}, new SplittableRandom(1)))
                .isEqualTo(1);
    }

    /** Exponentials of these would be infinite or all zero. */
    @Test
    void extremeLogitsAndTemperaturesAreNoTrouble() {
        SplittableRandom random = new SplittableRandom(1);

        assertThat(new TokenChoice(1, 1).draw(new float[] {-3e38f, 3e38f}, random))
                .isEqualTo(1);
        assertThat(new TokenChoice(1, 1).draw(new float[] {-3e38f, -3e38f, -2e38f}, random))
                .isEqualTo(2);
        assertThat(new TokenChoice(1e-300, 0.9).draw(new float[] {1, 1.0001f}, random))
                .isEqualTo(1);
    }

    @ParameterizedTest
    @CsvSource({"-0.1, 1", "NaN, 1", "Infinity, 1", "1, 0", "1, 1.01", "1, NaN"})
    void refusesWhatMakesNoSense(double temperature, double topP) {
        assertThatIllegalArgumentException().isThrownBy(() -> new TokenChoice(temperature, topP));
    }
}
