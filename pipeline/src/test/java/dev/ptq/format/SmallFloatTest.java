package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.format.SmallFloat.Ties;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class SmallFloatTest {
    /** Every number and every midpoint, one float32 step to either side of both, extremes, and random values. */
    private static float[] values(SmallFloat element) {
        List<Float> values = new ArrayList<>(
                List.of(0f, Float.MIN_VALUE, Float.MIN_NORMAL, 1e-30f, Float.MAX_VALUE, Float.POSITIVE_INFINITY));
        double[] numbers = ScalarSmallFloats.numbers(element);
        for (int i = 0; i < numbers.length; i++) {
            double next = i + 1 < numbers.length ? numbers[i + 1] : 2 * numbers[i] - numbers[i - 1];
            for (double at : new double[] {numbers[i], (numbers[i] + next) / 2}) {
                values.add((float) at);
                values.add(Math.nextUp((float) at));
                values.add(Math.nextDown((float) at));
            }
        }
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < 20_000; i++) {
            values.add((float) (element.largest() * Math.pow(2, random.nextDouble(-30, 2))));
            values.add(Float.intBitsToFloat(random.nextInt(0x7f800000)));
        }
        float[] both = new float[2 * values.size()];
        for (int i = 0; i < values.size(); i++) {
            both[2 * i] = values.get(i);
            both[2 * i + 1] = -values.get(i);
        }
        return both;
    }

    @ParameterizedTest
    @EnumSource(SmallFloat.class)
    void everyValueBecomesTheNumberThatASearchFinds(SmallFloat element) {
        float[] values = values(element);
        for (Ties ties : Ties.values()) {
            float[] fast = values.clone();
            SmallFloatKernel kernel = new SmallFloatKernel(
                    new SmallFloatKernel.Rounding(element, ties, false, false),
                    new Blocks(1, 1, fast.length, 1, fast.length));
            kernel.setAll(1, 1);
            kernel.round(fast, 0, 1);
            for (int i = 0; i < values.length; i++) {
                // + 0 where there is no negative zero
                float expected = (float) ScalarSmallFloats.round(element, values[i], ties) + element.addedZero();
                if (Float.floatToIntBits(element.round(values[i], ties)) != Float.floatToIntBits(expected)
                        || Float.floatToIntBits(fast[i]) != Float.floatToIntBits(expected)) {
                    throw new AssertionError(element + " " + ties + " of " + values[i] + ": "
                            + element.round(values[i], ties) + " and " + fast[i] + ", expected " + expected);
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(SmallFloat.class)
    void everyNumberHasItsCode(SmallFloat element) {
        double[] numbers = ScalarSmallFloats.numbers(element);
        int sign = 1 << (element.bits() - 1);
        for (int code = 0; code < numbers.length; code++) {
            float number = (float) numbers[code];
            assertThat(element.code(number)).isEqualTo(code);
            assertThat(element.value(code)).isEqualTo(number);
            int negative = element == SmallFloat.INT8 ? -code : sign + code;
            assertThat(element.code(-number)).isEqualTo(negative);
            assertThat(element.value(negative)).isEqualTo(-number + element.addedZero());
        }
        assertThat((double) element.largest()).isEqualTo(numbers[numbers.length - 1]);
    }

    @Test
    void fp8HasCodesForWhatIsNoNumber() {
        assertThat(SmallFloat.E4M3.value(0x7f)).isNaN();
        assertThat(SmallFloat.E4M3.value(0xff)).isNaN();
        assertThat(SmallFloat.E5M2.value(0x7c)).isEqualTo(Float.POSITIVE_INFINITY);
        assertThat(SmallFloat.E5M2.value(0xfc)).isEqualTo(Float.NEGATIVE_INFINITY);
        for (int code = 0x7d; code < 0x80; code++) {
            assertThat(SmallFloat.E5M2.value(code)).isNaN();
        }
        for (SmallFloat element : SmallFloat.values()) {
            for (Ties ties : Ties.values()) {
                assertThat(element.round(Float.NaN, ties)).isNaN();
            }
        }
        assertThat(SmallFloat.E4M3.code(Float.NaN)).isEqualTo(0x7f);
        assertThat(SmallFloat.E5M2.code(Float.NaN)).isEqualTo(0x7f);
    }
}
