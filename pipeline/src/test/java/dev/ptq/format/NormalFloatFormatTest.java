package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.types.Shape;
import dev.ptq.format.NormalFloatFormat.Rule;
import dev.ptq.weights.RawTensor;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NormalFloatFormatTest {
    private static final float[] NF4 = {
        -1,
        -0.6961928f,
        -0.52507305f,
        -0.3949175f,
        -0.28444138f,
        -0.18477343f,
        -0.091050036f,
        0,
        0.0795803f,
        0.1609302f,
        0.2461123f,
        0.33791524f,
        0.44070983f,
        0.562617f,
        0.72295684f,
        1
    };
    private static final float[] NF3 = {-1, -0.4786292f, -0.21714179f, 0, 0.1609302f, 0.33791524f, 0.562617f, 1};
    private static final float[] NF2 = {-1, 0, 0.33791524f, 1};

    private static float[] rounded(NumberFormat format, Operand operand, Shape shape, float... values) {
        float[] rounded = values.clone();
        format.round(FloatBuffer.wrap(rounded), shape, operand);
        return rounded;
    }

    @Test
    void roundsABlockByHand() {
        float[] rounded = rounded(new NormalFloatFormat(4, 4), Operand.WEIGHT, new Shape(1, 4), 2, -1.4f, 0.01f, 0.9f);
        assertThat(rounded).containsExactly(2, 2 * NF4[1], 0, 2 * NF4[12]);
        rounded = rounded(new NormalFloatFormat(2, 4), Operand.WEIGHT, new Shape(1, 4), -4, 1.2f, -1.9f, 3);
        assertThat(rounded).containsExactly(-4, 4 * NF2[2], 0, 4);
    }

    /** The largest magnitude of a block may be negative, and blocks of weights reach over the ends of rows. */
    @Test
    void blocksOfWeightsLieInTheFlatTensorAndThoseOfActivationsInAToken() {
        float[] values = {1, 0.1f, 8, -2, 0.3f, 4};
        NormalFloatFormat format = new NormalFloatFormat(3, 2);
        float[] flat = rounded(format, Operand.WEIGHT, new Shape(2, 3), values);
        assertThat(flat).containsExactly(1, NF3[4], 8, 8 * NF3[2], 0, 4);
        assertThat(rounded(format, Operand.FACTOR, new Shape(2, 3), values)).containsExactly(flat);
        assertThat(rounded(format, Operand.BIAS, new Shape(6), values)).containsExactly(flat);
        for (Operand operand : new Operand[] {Operand.ACTIVATION, Operand.KEY, Operand.VALUE}) {
            assertThat(rounded(format, operand, new Shape(2, 3), values))
                    .containsExactly(1, NF3[4], 8, -2, 2 * NF3[4], 4);
        }
    }

    @ParameterizedTest
    @CsvSource({"4", "3", "2"})
    void equalsTheNearestEntryInDoublePrecision(int bits) {
        float[] table = bits == 4 ? NF4 : bits == 3 ? NF3 : NF2;
        SplittableRandom random = new SplittableRandom(bits);
        for (int trial = 0; trial < 100; trial++) {
            int rows = 1 + random.nextInt(5);
            int columns = 1 + random.nextInt(40);
            int size = 1 + random.nextInt(30);
            float[] values = new float[rows * columns];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) (random.nextInt(6) == 0 ? 0 : Math.pow(10, trial % 9 - 4) * random.nextGaussian());
            }
            float[] actual =
                    rounded(new NormalFloatFormat(bits, size), Operand.WEIGHT, new Shape(rows, columns), values);
            for (int from = 0; from < values.length; from += size) {
                int to = Math.min(values.length, from + size);
                double largest = 0;
                for (int i = from; i < to; i++) {
                    largest = Math.max(largest, Math.abs(values[i]));
                }
                for (int i = from; i < to; i++) {
                    double least = Double.POSITIVE_INFINITY;
                    for (float entry : table) {
                        least = Math.min(least, Math.abs(entry * largest - values[i]));
                    }
                    // either of two entries that float32 cannot tell apart
                    assertThat(Math.abs((double) actual[i] - values[i]))
                            .as("trial %s at %s", trial, i)
                            .isCloseTo(least, within(3e-7 * largest));
                }
            }
        }
    }

    @Test
    void aMidpointTakesTheLowerEntry() {
        for (int bits = 2; bits <= 4; bits++) {
            float[] table = bits == 4 ? NF4 : bits == 3 ? NF3 : NF2;
            float[] values = new float[table.length];
            values[0] = 1;
            for (int i = 1; i < table.length; i++) {
                values[i] = (table[i - 1] + table[i]) / 2;
            }
            float[] rounded =
                    rounded(new NormalFloatFormat(bits, 16), Operand.WEIGHT, new Shape(1, values.length), values);
            if (bits == 4) {
                for (int i = 1; i < table.length; i++) {
                    assertThat(rounded[i]).as("midpoint %s", i).isEqualTo(table[i - 1]);
                }
            }
            // here only where both distances are equal in float32: 0.5 of NF2
            if (bits == 2) {
                assertThat(rounded[1]).isEqualTo(-1);
            }
        }
    }

    /** The distance of the largest magnitudes from their mean, to within the table's resolution. */
    @Test
    void doubleQuantizationIsCloseToTheLargestMagnitudes() {
        SplittableRandom random = new SplittableRandom(6);
        float[] values = random.doubles(64 * 40)
                .collect(
                        () -> FloatBuffer.allocate(64 * 40),
                        (buffer, value) -> buffer.put((float) (value - 0.5) * (1 + buffer.position() / 640)),
                        FloatBuffer::put)
                .array();
        LineBlocks blocks = LineBlocks.of(new Shape(64, 40), Operand.WEIGHT, 64);
        float[] exact = blocks.absMax(FloatBuffer.wrap(values));
        for (Rule rule : new Rule[] {Rule.BITSANDBYTES, Rule.TORCHAO}) {
            NormalFloatFormat format = new NormalFloatFormat(4, 64, 16, rule);
            float[] decoded = format.fit(FloatBuffer.wrap(values.clone()), new Shape(64, 40), Operand.WEIGHT)
                    .scales();
            double mean = 0;
            for (float one : exact) {
                mean += one / (double) exact.length;
            }
            for (int i = 0; i < exact.length; i++) {
                double reach = 0;
                for (int j = i / 16 * 16; j < Math.min(exact.length, i / 16 * 16 + 16); j++) {
                    reach = Math.max(reach, Math.abs(exact[j] - mean));
                }
                // steps of 1/64 of the largest distance at most, of 1/128 in torchao
                assertThat((double) decoded[i]).isCloseTo(exact[i], within(reach / 120));
            }
        }
    }

    /** All blocks equal: no distance from the mean is left. */
    @Test
    void equalBlocksKeepTheirLargestMagnitude() {
        float[] values = new float[32];
        for (int i = 0; i < values.length; i++) {
            values[i] = i % 4 == 0 ? -3 : 0.5f;
        }
        for (Rule rule : new Rule[] {Rule.BITSANDBYTES, Rule.TORCHAO}) {
            NormalFloatFormat format = new NormalFloatFormat(4, 4, 4, rule);
            assertThat(rounded(format, Operand.WEIGHT, new Shape(4, 8), values)[4])
                    .isEqualTo(-3);
        }
    }

    @Test
    void oneBadValueSpoilsItsBlockOrWithDoubleQuantizationAll() {
        for (float bad : new float[] {
            Float.NaN, Float.intBitsToFloat(0xffc00000), Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY
        }) {
            float[] values = {1, 2, bad, 4, 5, 6, 7, 8};
            for (int bits = 2; bits <= 4; bits++) {
                float[] rounded = rounded(new NormalFloatFormat(bits, 4), Operand.WEIGHT, new Shape(2, 4), values);
                for (int i = 0; i < 8; i++) {
                    assertThat(Float.isNaN(rounded[i])).as("%s at %s", bad, i).isEqualTo(i < 4);
                }
            }
            for (Rule rule : new Rule[] {Rule.BITSANDBYTES, Rule.TORCHAO}) {
                NormalFloatFormat format = new NormalFloatFormat(4, 4, 256, rule);
                assertThat(rounded(format, Operand.WEIGHT, new Shape(2, 4), values))
                        .containsOnly(Float.NaN);
            }
        }
    }

    @Test
    void takesTheSmallestAndLargestNumbers() {
        float[] large = {Float.MAX_VALUE, -Float.MAX_VALUE, 0};
        float[] small = {0x1p-120f, -0x1p-120f, 0};
        for (int bits = 2; bits <= 4; bits++) {
            NormalFloatFormat format = new NormalFloatFormat(bits, 3);
            assertThat(rounded(format, Operand.WEIGHT, new Shape(1, 3), large)).containsExactly(large);
            assertThat(rounded(format, Operand.WEIGHT, new Shape(1, 3), small)).containsExactly(small);
        }
        // below 1e-38 bitsandbytes divides by that: all entries are 0
        assertThat(rounded(new NormalFloatFormat(4, 2), Operand.WEIGHT, new Shape(1, 2), 1e-41f, 1e-42f))
                .containsExactly(0, 0);
        assertThat(rounded(new NormalFloatFormat(3, 2), Operand.WEIGHT, new Shape(1, 2), 1e-41f, Float.MIN_VALUE))
                .containsExactly(1e-41f, 0);
    }

    @Test
    void whatWasStoredComesBack() throws IOException {
        float[] values = new SplittableRandom(3)
                .doubles(60)
                .collect(
                        () -> FloatBuffer.allocate(60),
                        (buffer, value) -> buffer.put((float) (value - 0.4)),
                        FloatBuffer::put)
                .array();
        Shape shape = new Shape(6, 10);
        NormalFloatFormat format = new NormalFloatFormat(4, 7, 4, Rule.BITSANDBYTES);
        NormalFloatEncoding encoding = format.fit(FloatBuffer.wrap(values), shape, Operand.WEIGHT);
        Map<String, RawTensor> parts = encoding.parts();
        assertThat(parts.keySet()).containsExactlyInAnyOrder("absmax_code", "absmax_scale", "absmax_mean");
        assertThat(format.read(shape, Operand.WEIGHT, new Parts(parts)).scales())
                .containsExactly(encoding.scales());

        Map<String, RawTensor> damaged = new LinkedHashMap<>(parts);
        damaged.put("absmax_scale", RawTensor.of(new float[2], 2));
        assertThatThrownBy(() -> format.read(shape, Operand.WEIGHT, new Parts(damaged)))
                .isInstanceOf(IOException.class)
                .hasMessage("absmax_scale: expected F32 [3], got F32 [2]");
        damaged.remove("absmax_code");
        assertThatThrownBy(() -> format.read(shape, Operand.WEIGHT, new Parts(damaged)))
                .isInstanceOf(IOException.class)
                .hasMessageStartingWith("absmax_code: expected a tensor");
    }

    @Test
    void refusesWhatIsNoFormat() {
        assertThatThrownBy(() -> new NormalFloatFormat(5, 64)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new NormalFloatFormat(4, 0)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new NormalFloatFormat(3, 64, 0, Rule.BITSANDBYTES))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new NormalFloatFormat(4, 64, 0, Rule.TORCHAO))
                .isInstanceOf(IllegalArgumentException.class);
    }
}
