package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.types.Shape;
import dev.ptq.format.IntegerFormat.Granularity;
import java.nio.FloatBuffer;
import java.util.HashSet;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class IntegerFormatTest {
    @Test
    void roundsASymmetricRowByHand() {
        // largest magnitude 7 of codes up to 7: scale 1; ties go to even
        assertThat(rounded(symmetric(4), new float[] {7, -7, 0.5f, 1.5f, -2.5f, 3.49f, 0, -0.6f}, 1, 8))
                .containsExactly(7, -7, 0, 2, -2, 3, 0, -1);
        // scale 0.5; the code -8 is never needed, since the scale is that of 7
        assertThat(rounded(symmetric(4), new float[] {-3.5f, 1.2f, 3.3f, 0.25f, 0.75f}, 1, 5))
                .containsExactly(-3.5f, 1, 3.5f, 0, 1);
    }

    @Test
    void roundsAnAsymmetricRowByHand() {
        // range -1 to 2 in 3 steps: scale 1, zero point 1, codes 0 to 3
        assertThat(rounded(asymmetric(2), new float[] {-1, 2, 0.5f, 1.5f, -0.5f, 0.2f}, 1, 6))
                .containsExactly(-1, 2, 0, 2, 0, 0);
        // all positive: the range is 0 to 6 all the same, scale 2
        assertThat(rounded(asymmetric(2), new float[] {6, 5, 4.9f, 2, 1}, 1, 5)).containsExactly(6, 4, 4, 2, 0);
        // all negative: zero point 3
        assertThat(rounded(asymmetric(2), new float[] {-6, -5, -2, -1}, 1, 4)).containsExactly(-6, -4, -2, 0);
        // -1 to 5 in 3 steps: scale 2, zero point round(0.5) = 0, so negative values are lost
        assertThat(rounded(asymmetric(2), new float[] {-1, 5, 3, 1}, 1, 4)).containsExactly(0, 4, 4, 0);
    }

    @Test
    void eachGranularityHasItsOwnScales() {
        float[] values = {1, 0.4f, 4, 1, 7, 3, 21, 5};
        // two bits and a sign: codes up to 3
        assertThat(rounded(new IntegerFormat(3, Granularity.CHANNEL, 0, true), values, 2, 4))
                .containsExactly(expected(values, new float[] {4, 4, 4, 4, 21, 21, 21, 21}));
        assertThat(rounded(new IntegerFormat(3, Granularity.TENSOR, 0, true), values, 2, 4))
                .containsExactly(expected(values, new float[] {21, 21, 21, 21, 21, 21, 21, 21}));
        assertThat(rounded(new IntegerFormat(3, Granularity.GROUP, 2, true), values, 2, 4))
                .containsExactly(expected(values, new float[] {1, 1, 4, 4, 7, 7, 21, 21}));
        // the last group of a row is shorter
        assertThat(rounded(new IntegerFormat(3, Granularity.GROUP, 3, true), values, 2, 4))
                .containsExactly(expected(values, new float[] {4, 4, 4, 1, 21, 21, 21, 5}));
        // every matrix of a batch has its own
        float[] batch = values.clone();
        new IntegerFormat(3, Granularity.TENSOR, 0, true)
                .round(FloatBuffer.wrap(batch), new Shape(2, 2, 2), Operand.ACTIVATION);
        assertThat(batch).containsExactly(expected(values, new float[] {4, 4, 4, 4, 21, 21, 21, 21}));
    }

    @Test
    void channelsOfAFactorAreColumns() {
        float[] values = {1, 0.4f, 4, 1, 7, 3, 21, 5};
        float[] channels = values.clone();
        new IntegerFormat(3, Granularity.CHANNEL, 0, true)
                .round(FloatBuffer.wrap(channels), new Shape(4, 2), Operand.FACTOR);
        assertThat(channels).containsExactly(expected(values, new float[] {21, 5, 21, 5, 21, 5, 21, 5}));
        float[] groups = values.clone();
        new IntegerFormat(3, Granularity.GROUP, 3, true)
                .round(FloatBuffer.wrap(groups), new Shape(4, 2), Operand.FACTOR);
        assertThat(groups).containsExactly(expected(values, new float[] {7, 3, 7, 3, 7, 3, 21, 5}));
    }

    private static float[] expected(float[] values, float[] largest) {
        float[] expected = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            float scale = largest[i] / 3;
            expected[i] = (float) Math.rint(values[i] / scale) * scale;
        }
        return expected;
    }

    @ParameterizedTest
    @CsvSource({"2,true", "3,true", "4,true", "8,true", "16,true", "2,false", "4,false", "8,false", "16,false"})
    void staysWithinHalfAStepOnFewCodes(int bits, boolean symmetric) {
        SplittableRandom random = new SplittableRandom(bits);
        for (int trial = 0; trial < 50; trial++) {
            int columns = 1 + random.nextInt(70);
            float[] values = values(random, columns, trial % 2 == 0 ? 0 : 3);
            float[] rounded = rounded(new IntegerFormat(bits, Granularity.CHANNEL, 0, symmetric), values, 1, columns);
            float low = 0;
            float high = 0;
            for (float value : values) {
                low = Math.min(low, value);
                high = Math.max(high, value);
            }
            double scale =
                    symmetric ? Math.max(-low, high) / ((1 << (bits - 1)) - 1.0) : (high - low) / ((1 << bits) - 1.0);
            // the zero point is rounded, so the ends of the range may lie half a step beyond the codes
            double bound = scale * (symmetric ? 0.5 : 1) * (1 + 1e-4) + 2 * Math.ulp(Math.max(-low, high));
            Set<Float> codes = new HashSet<>();
            for (int i = 0; i < columns; i++) {
                assertThat((double) rounded[i]).as("trial %s", trial).isCloseTo(values[i], within(bound));
                codes.add(rounded[i] + 0f);
            }
            assertThat(codes).hasSizeLessThanOrEqualTo(1 << bits);
        }
    }

    @Test
    void isIdempotentWhereSymmetric() {
        SplittableRandom random = new SplittableRandom(4);
        for (int bits : new int[] {2, 3, 4, 6, 8, 12}) {
            float[] values = values(random, 6 * 37, 0);
            IntegerFormat format = new IntegerFormat(bits, Granularity.GROUP, 16, true);
            float[] once = rounded(format, values, 6, 37);
            float[] twice = rounded(format, once, 6, 37);
            for (int i = 0; i < once.length; i++) {
                // the same codes; the scale, derived anew, may differ in its last place
                assertThat(twice[i]).isCloseTo(once[i], within(2 * Math.ulp(once[i])));
            }
        }
    }

    @Test
    void aGroupOfAllColumnsIsAChannel() {
        float[] values = values(new SplittableRandom(5), 9 * 24, 1);
        for (boolean symmetric : new boolean[] {true, false}) {
            float[] channel = rounded(new IntegerFormat(4, Granularity.CHANNEL, 0, symmetric), values, 9, 24);
            for (int size : new int[] {24, 25, Integer.MAX_VALUE}) {
                assertThat(rounded(new IntegerFormat(4, Granularity.GROUP, size, symmetric), values, 9, 24))
                        .containsExactly(channel);
            }
            assertThat(rounded(new IntegerFormat(4, Granularity.TOKEN, 0, symmetric), values, 9, 24))
                    .containsExactly(channel);
        }
    }

    @Test
    void sixteenBitsChangeLittle() {
        float[] values = values(new SplittableRandom(6), 512, 0);
        for (boolean symmetric : new boolean[] {true, false}) {
            float[] rounded = rounded(new IntegerFormat(16, Granularity.CHANNEL, 0, symmetric), values, 4, 128);
            for (int i = 0; i < values.length; i++) {
                // half of a range of about 8 in 2^16 steps
                assertThat(rounded[i]).isCloseTo(values[i], within(2e-4f));
            }
        }
    }

    @Test
    void rowsAreIndependent() {
        float[] values = values(new SplittableRandom(7), 8 * 20, 0.5);
        for (IntegerFormat format : new IntegerFormat[] {
            new IntegerFormat(3, Granularity.CHANNEL, 0, false), new IntegerFormat(3, Granularity.GROUP, 7, true)
        }) {
            float[] rounded = rounded(format, values, 8, 20);
            float[] reversed = new float[values.length];
            for (int row = 0; row < 8; row++) {
                System.arraycopy(values, row * 20, reversed, (7 - row) * 20, 20);
            }
            float[] roundedReversed = rounded(format, reversed, 8, 20);
            for (int i = 0; i < values.length; i++) {
                assertThat(roundedReversed[(7 - i / 20) * 20 + i % 20]).isEqualTo(rounded[i]);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {-60, -20, -1, 1, 7, 60})
    void scalingByAPowerOfTwoScalesTheResultExactly(int power) {
        float[] values = values(new SplittableRandom(8), 6 * 33, 0.2);
        float[] scaled = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            scaled[i] = Math.scalb(values[i], power);
        }
        for (boolean symmetric : new boolean[] {true, false}) {
            IntegerFormat format = new IntegerFormat(4, Granularity.GROUP, 16, symmetric);
            float[] expected = rounded(format, values, 6, 33);
            float[] actual = rounded(format, scaled, 6, 33);
            for (int i = 0; i < values.length; i++) {
                assertThat(actual[i]).isEqualTo(Math.scalb(expected[i], power));
            }
        }
    }

    @Test
    void zerosAndConstantsStay() {
        for (boolean symmetric : new boolean[] {true, false}) {
            for (int bits : new int[] {2, 4, 8}) {
                IntegerFormat format = new IntegerFormat(bits, Granularity.CHANNEL, 0, symmetric);
                assertThat(positive(rounded(format, new float[] {0, -0f, 0}, 1, 3)))
                        .containsOnly(0f);
                for (float value : new float[] {3, -0.7f, 1e-30f, -1e30f}) {
                    float[] row = rounded(format, new float[] {value, value, value, value}, 1, 4);
                    assertThat(row).containsOnly(row[0]);
                    assertThat(row[0]).isCloseTo(value, within(2 * Math.ulp(value)));
                    float[] column = rounded(format, new float[] {value, 2 * value, 0}, 3, 1);
                    assertThat(column[1]).isCloseTo(2 * value, within(2 * Math.ulp(2 * value)));
                }
            }
        }
    }

    @Test
    void oneBadValueSpoilsItsGroupAndNoOther() {
        for (float bad : new float[] {
            Float.NaN, Float.intBitsToFloat(0xffc00000), Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY
        }) {
            for (boolean symmetric : new boolean[] {true, false}) {
                float[] values = {1, 2, bad, 4, 5, 6, 7, 8};
                float[] rounded = rounded(new IntegerFormat(8, Granularity.GROUP, 4, symmetric), values, 1, 8);
                for (int i = 0; i < 8; i++) {
                    assertThat(Float.isNaN(rounded[i])).as("%s at %s", bad, i).isEqualTo(i < 4);
                }
            }
        }
    }

    @Test
    void takesTheSmallestAndLargestNumbers() {
        float step = Float.MAX_VALUE / 127;
        assertThat(rounded(symmetric(8), new float[] {Float.MAX_VALUE, -Float.MAX_VALUE, 0}, 1, 3))
                .containsExactly(127 * step, -127 * step, 0);
        // a step below the smallest number there is: all values are less than a step of 1
        assertThat(positive(rounded(symmetric(8), new float[] {Float.MIN_VALUE, -Float.MIN_VALUE}, 1, 2)))
                .containsOnly(0f);
        assertThat(rounded(symmetric(8), new float[] {127 * Float.MIN_VALUE, -Float.MIN_VALUE}, 1, 2))
                .containsExactly(127 * Float.MIN_VALUE, -Float.MIN_VALUE);
    }

    @Test
    void refusesWhatIsNoFormat() {
        assertThatThrownBy(() -> symmetric(1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> symmetric(17)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new IntegerFormat(4, Granularity.GROUP, 0, true))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new IntegerFormat(4, Granularity.CHANNEL, 8, true))
                .isInstanceOf(IllegalArgumentException.class);
    }

    private static IntegerFormat symmetric(int bits) {
        return new IntegerFormat(bits, Granularity.CHANNEL, 0, true);
    }

    private static IntegerFormat asymmetric(int bits) {
        return new IntegerFormat(bits, Granularity.CHANNEL, 0, false);
    }

    private static float[] rounded(NumberFormat format, float[] values, int rows, int columns) {
        float[] rounded = values.clone();
        format.round(FloatBuffer.wrap(rounded), new Shape(rows, columns), Operand.WEIGHT);
        return rounded;
    }

    /** The values with one zero only. */
    private static float[] positive(float[] values) {
        for (int i = 0; i < values.length; i++) {
            values[i] += 0f;
        }
        return values;
    }

    private static float[] values(SplittableRandom random, int count, double mean) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) (mean + random.nextGaussian());
        }
        return values;
    }
}
