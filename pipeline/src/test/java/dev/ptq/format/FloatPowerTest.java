package dev.ptq.format;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FloatPowerTest {
    @ParameterizedTest
    @ValueSource(doubles = {2.4, 3, 1, 0.7})
    void agreesWithPow(double exponent) {
        FloatPower power = new FloatPower(exponent);
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < 200_000; i++) {
            float magnitude = Float.intBitsToFloat(random.nextInt() & Integer.MAX_VALUE);
            assertAgrees(exponent, power, magnitude);
        }
    }

    @ParameterizedTest
    @ValueSource(
            floats = {
                0,
                -0f,
                Float.MIN_VALUE,
                Float.MIN_NORMAL,
                1,
                1.9999999f,
                2,
                Float.MAX_VALUE,
                Float.POSITIVE_INFINITY,
                Float.NaN
            })
    void agreesAtEnds(float magnitude) {
        assertAgrees(2.4, new FloatPower(2.4), magnitude);
    }

    private static void assertAgrees(double exponent, FloatPower power, float magnitude) {
        double expected = Math.pow(magnitude, exponent);
        double error = Double.isFinite(expected) ? 1e-11 * expected + Double.MIN_VALUE : 1;
        assertEquals(expected, power.of(magnitude), error, () -> "of " + magnitude);
    }
}
