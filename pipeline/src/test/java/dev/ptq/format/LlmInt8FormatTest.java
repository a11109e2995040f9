package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.withinPercentage;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.types.Shape;
import dev.ptq.config.ConfigException;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.LlmInt8Format.Per;
import dev.ptq.tensor.Shared;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class LlmInt8FormatTest {
    private static float[] rounded(NumberFormat format, Shape shape, float... values) {
        float[] rounded = values.clone();
        format.round(FloatBuffer.wrap(rounded), shape, Operand.ACTIVATION);
        return rounded;
    }

    private static float[] random(SplittableRandom random, int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) (random.nextGaussian() * Math.exp(random.nextGaussian()));
        }
        return values;
    }

    @Test
    void roundsByHand() {
        // 3 bits: codes from -4 to 3, of which a scale reaches 3; the second feature stays, in both tokens
        LlmInt8Format format = new LlmInt8Format(3, 6, Per.SEQUENCE);
        assertThat(rounded(format, new Shape(2, 3), 3, 6, 1.4f, -1.5f, 0.3f, 0.2f))
                .containsExactly(3, 6, 1, -1.5f, 0.3f, 0);
        // there, what is no outlier itself counts for the scale
        assertThat(rounded(format, new Shape(2, 3), 3, 6, 1.4f, -1.5f, 4.5f, 0.8f))
                .containsExactly(3, 6, 1, -1.5f, 4.5f, 1.5f);
        // a magnitude of the threshold is an outlier
        float below = Math.nextDown(6f);
        assertThat(rounded(format, new Shape(1, 2), below, -6)).containsExactly(below, -6);
        assertThat(rounded(format, new Shape(1, 2), below, 2.4f)).containsExactly(below, below / 3);
        // one that is all outliers, and one feature
        assertThat(rounded(format, new Shape(2, 1), 0.3f, 7)).containsExactly(0.3f, 7);
        assertThat(rounded(format, new Shape(1, 2), 0, -0f)).containsOnly(0);
    }

    @ParameterizedTest
    @EnumSource(Per.class)
    void withoutOutliersTheseAreIntegersAndWithNothingElseAllStays(Per per) {
        SplittableRandom random = new SplittableRandom(3);
        for (Shape shape : new Shape[] {new Shape(3, 5, 17), new Shape(1, 1), new Shape(4, 9), new Shape(2, 0, 8)}) {
            float[] values = random(random, (int) shape.size());
            assertThat(rounded(new LlmInt8Format(8, 1e30, per), shape, values))
                    .containsExactly(rounded(new IntegerFormat(8, Granularity.TOKEN, 0, true), shape, values));
            assertThat(rounded(new LlmInt8Format(4, 0, per), shape, values)).containsExactly(values);
        }
    }

    @ParameterizedTest
    @EnumSource(Per.class)
    void equalsThePlainFormula(Per per) {
        SplittableRandom random = new SplittableRandom(4);
        for (int trial = 0; trial < 50; trial++) {
            int sequences = 1 + random.nextInt(4);
            int tokens = 1 + random.nextInt(6);
            int features = 1 + random.nextInt(20);
            double threshold = random.nextDouble() * 8;
            float[] x = random(random, sequences * tokens * features);
            float[] expected = new float[x.length];
            for (int s = 0; s < sequences; s++) {
                for (int t = 0; t < tokens; t++) {
                    int row = (s * tokens + t) * features;
                    float largest = 0;
                    boolean[] stays = new boolean[features];
                    for (int j = 0; j < features; j++) {
                        for (int other = 0; other < sequences * tokens; other++) {
                            boolean counts = per == Per.BATCH || other / tokens == s;
                            stays[j] |= counts && Math.abs(x[other * features + j]) >= threshold;
                        }
                        float size = Math.abs(x[row + j]);
                        largest = size < threshold ? Math.max(largest, size) : largest;
                    }
                    for (int j = 0; j < features; j++) {
                        float scale = largest / 127;
                        float value = scale == 0 ? 0 : (float) Math.rint(x[row + j] / scale) * scale + 0f;
                        expected[row + j] = stays[j] ? x[row + j] : value;
                    }
                }
            }
            float[] found = rounded(new LlmInt8Format(8, threshold, per), new Shape(sequences, tokens, features), x);
            assertThat(found).as("trial %d", trial).containsExactly(expected);
        }
    }

    @Test
    void aBatchDoesNotChangeWhatIsDonePerSequence() {
        float[] x = random(new SplittableRandom(5), 4 * 6 * 32);
        float[] together = rounded(new LlmInt8Format(8, 6, Per.SEQUENCE), new Shape(4, 6, 32), x);
        boolean differs = false;
        for (int i = 0; i < 4; i++) {
            float[] one = Arrays.copyOfRange(x, i * 192, (i + 1) * 192);
            float[] same = Arrays.copyOfRange(together, i * 192, (i + 1) * 192);
            for (Per per : Per.values()) {
                assertThat(rounded(new LlmInt8Format(8, 6, per), new Shape(1, 6, 32), one))
                        .containsExactly(same);
            }
            differs |= !Arrays.equals(
                    same,
                    Arrays.copyOfRange(
                            rounded(new LlmInt8Format(8, 6, Per.BATCH), new Shape(4, 6, 32), x),
                            i * 192,
                            (i + 1) * 192));
        }
        assertThat(differs).isTrue();
    }

    @Test
    void featuresMayComeInAnyOrder() {
        float[] x = random(new SplittableRandom(6), 40 * 24);
        float[] turned = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            turned[i / 24 * 24 + 23 - i % 24] = x[i];
        }
        LlmInt8Format format = new LlmInt8Format(8, 4, Per.SEQUENCE);
        float[] expected = rounded(format, new Shape(40, 24), x);
        float[] found = rounded(format, new Shape(40, 24), turned);
        for (int i = 0; i < x.length; i++) {
            assertThat(found[i / 24 * 24 + 23 - i % 24]).isEqualTo(expected[i]);
        }
    }

    @Test
    void valuesThatAreNotFiniteRemainSo() {
        LlmInt8Format format = new LlmInt8Format(8, 6, Per.SEQUENCE);
        assertThat(rounded(format, new Shape(2, 2), 1, Float.NaN, 1, 2))
                .containsExactly(Float.NaN, Float.NaN, 64 * (2 / 127f), 2);
        assertThat(rounded(format, new Shape(2, 2), 1, Float.NEGATIVE_INFINITY, 1, 2))
                .containsExactly(1, Float.NEGATIVE_INFINITY, 64 * (2 / 127f), 2);
    }

    /** The input of a linear of bitsandbytes' layer, with outliers in a batch of two sequences. */
    @Test
    void agreesWithBitsandbytes() throws IOException {
        Optional<Path> golden = Shared.find("golden/checkpoints/bnb-int8/expected.safetensors");
        assumeTrue(golden.isPresent(), "no shared files");
        try (Safetensors file = Safetensors.open(golden.get())) {
            float[] input = file.floats("act_in.model.layers.0.self_attn.q_proj");
            float[] expected = file.floats("act_out.model.layers.0.self_attn.q_proj");
            float[] found = rounded(new LlmInt8Format(8, 6, Per.BATCH), new Shape(2, 32, 128), input);
            for (int i = 0; i < found.length; i++) {
                // the last bit: the tool divides by the largest magnitude, and multiplies by 127
                assertThat(found[i]).as("value %d", i).isCloseTo(expected[i], withinPercentage(2e-5));
            }
        }
    }

    @Test
    void isWrittenWithEveryKey() {
        NumberFormat format = Formats.parse("{ format = 'llm_int8' }", "test", Formats.Use.INPUT);
        assertThat(format).isEqualTo(new LlmInt8Format(8, 6, Per.SEQUENCE));
        assertThat(Formats.written(format))
                .isEqualTo("{ format = 'llm_int8', bits = 8, threshold = 6.0, per = 'sequence' }");
        assertThat(Formats.parse(Formats.written(format), "test")).isEqualTo(format);
        assertThat(format.storageBits(new Shape(10, 20), Operand.ACTIVATION)).isEqualTo(200 * 8 + 10 * 16);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "bits = 17|INPUT|format.bits: expected a whole number from 2 to 16, got 17",
                "threshold = -1|INPUT|format.threshold: expected a number of at least 0",
                "per = 'token'|INPUT|format.per: expected one of [batch, sequence], got \"token\"",
                "dynamic = false|INPUT|llm_int8 has no range that could come from calibration",
                "bits = 8|WEIGHT|format.format: llm_int8 is for inputs of linears, [quantization.activation]",
                "bits = 8|FACTOR|format.format: llm_int8 is for inputs of linears",
                "bits = 8|ACTIVATION|format.format: llm_int8 is for inputs of linears",
                "bits = 8|BIAS|format.format: llm_int8 is for inputs of linears"
            })
    void saysWhatIsWrong(String keys, Formats.Use use, String problem) {
        assertThatThrownBy(() -> Formats.parse("{ format = 'llm_int8', " + keys + " }", "test", use))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(problem);
    }
}
