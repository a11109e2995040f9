package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.types.Shape;
import dev.ptq.config.ConfigException;
import dev.ptq.format.MxFormat.ScaleRule;
import dev.ptq.format.SmallFloat.Ties;
import java.nio.FloatBuffer;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class MxFormatTest {
    private static float[] rounded(NumberFormat format, Shape shape, Operand operand, float... values) {
        float[] rounded = values.clone();
        format.round(FloatBuffer.wrap(rounded), shape, operand);
        return rounded;
    }

    private static float[] rounded(NumberFormat format, float... values) {
        return rounded(format, new Shape(1, values.length), Operand.WEIGHT, values);
    }

    private static MxFormat with(SmallFloat element, ScaleRule rule) {
        return new MxFormat(element, 32, rule, Ties.EVEN, false);
    }

    /** The exponent of a positive number: found by doubling and halving. */
    private static int floorLog2(double value) {
        int exponent = 0;
        while (Math.pow(2, exponent) > value) {
            exponent--;
        }
        while (Math.pow(2, exponent + 1) <= value) {
            exponent++;
        }
        return exponent;
    }

    private static int ceilLog2(double value) {
        int floor = floorLog2(value);
        return Math.pow(2, floor) == value ? floor : floor + 1;
    }

    /** A block by the definition, in double. */
    private static float[] scalar(MxFormat format, float[] block) {
        SmallFloat element = format.element();
        double amax = 0;
        for (float value : block) {
            amax = Math.max(amax, Math.abs((double) value));
        }
        float[] rounded = new float[block.length];
        if (amax == 0 || (format.flush() && amax < Float.MIN_NORMAL)) {
            return rounded;
        }
        int mantissaBits = format.scaleRule() == ScaleRule.EVEN_E2M1 ? 1 : element.mantissaBits();
        int emax = floorLog2(element.largest());
        int exponent = switch (format.scaleRule()) {
            case FLOOR -> floorLog2(amax) - emax;
            case CEIL -> ceilLog2(amax) - emax;
            case EVEN, EVEN_E2M1 -> {
                double binade = Math.pow(2, floorLog2(amax));
                // half up at the mantissa's last bit reaches the next binade
                boolean carries = amax / binade >= 2 - Math.pow(2, -mantissaBits - 1);
                yield floorLog2(amax) + (carries ? 1 : 0) - emax;
            }
            case RCEIL -> {
                float quotient = (float) amax / element.largest();
                yield quotient == 0 ? -127 : ceilLog2(quotient);
            }
        };
        double scale = Math.pow(2, Math.min(Math.max(exponent, -127), 127));
        for (int i = 0; i < block.length; i++) {
            rounded[i] = (float) (ScalarSmallFloats.round(element, block[i] / scale, format.ties()) * scale);
        }
        return rounded;
    }

    @ParameterizedTest
    @EnumSource(SmallFloat.class)
    void everyRuleIsItsDefinition(SmallFloat element) {
        SplittableRandom random = new SplittableRandom(7);
        for (int trial = 0; trial < 400; trial++) {
            float[] block = new float[1 + random.nextInt(32)];
            double size = Math.pow(2, random.nextInt(-149, 128));
            for (int i = 0; i < block.length; i++) {
                block[i] = switch (random.nextInt(4)) {
                    case 0 -> (float) (size * Math.rint(8 * random.nextGaussian()) / 8);
                    case 1 -> (float) (size * (1 - random.nextInt(3) * 0x1p-24));
                    default -> (float) (size * random.nextGaussian());
                };
                if (!Float.isFinite(block[i])) {
                    block[i] = Float.MAX_VALUE;
                }
            }
            for (ScaleRule rule : ScaleRule.values()) {
                for (Ties ties : Ties.values()) {
                    for (boolean flush : new boolean[] {false, true}) {
                        MxFormat format = new MxFormat(element, 32, rule, ties, flush);
                        float[] actual = rounded(format, block);
                        float[] expected = scalar(format, block);
                        for (int i = 0; i < block.length; i++) {
                            // zeros of both signs are equal
                            if (actual[i] != expected[i]) {
                                throw new AssertionError(
                                        format + " of " + block[i] + ": " + actual[i] + ", expected " + expected[i]);
                            }
                        }
                    }
                }
            }
        }
    }

    @Test
    void aBlockSharesAPowerOfTwo() {
        // 7 = 1.75 · 2^2 has the exponent of 4: a scale of 1; half to even, away, down; 7 is clamped
        float[] values = {7, -2.5f, 1.25f, 0.25f, 5};
        assertThat(rounded(new MxFormat(SmallFloat.E2M1), values)).containsExactly(6, -2, 1, 0, 4);
        assertThat(rounded(new MxFormat(SmallFloat.E2M1, 32, ScaleRule.FLOOR, Ties.AWAY, false), values))
                .containsExactly(6, -3, 1.5f, 0.5f, 6);
        assertThat(rounded(new MxFormat(SmallFloat.E2M1, 32, ScaleRule.FLOOR, Ties.TRUNC, false), values))
                .containsExactly(6, -2, 1, 0, 4);
        // a scale of 2
        for (ScaleRule rule : new ScaleRule[] {ScaleRule.CEIL, ScaleRule.EVEN, ScaleRule.EVEN_E2M1, ScaleRule.RCEIL}) {
            assertThat(rounded(with(SmallFloat.E2M1, rule), values)).containsExactly(8, -2, 1, 0, 4);
        }
        // below 7 only two of them
        assertThat(rounded(with(SmallFloat.E2M1, ScaleRule.EVEN), Math.nextDown(7f)))
                .containsExactly(6);
        assertThat(rounded(with(SmallFloat.E2M1, ScaleRule.CEIL), Math.nextDown(7f)))
                .containsExactly(6);
        assertThat(rounded(with(SmallFloat.E2M1, ScaleRule.RCEIL), 6, 5)).containsExactly(6, 4);
        assertThat(rounded(with(SmallFloat.E2M1, ScaleRule.RCEIL), Math.nextUp(6f), 5))
                .containsExactly(6, 4);
        assertThat(rounded(with(SmallFloat.E2M1, ScaleRule.RCEIL), 6.5f, 0.5f)).containsExactly(6, 0);
    }

    /** The failure that made saturation known: floor leaves E4M3 448, and 957 / 2 is more. */
    @Test
    void floorClampsTheLargestOfE4m3() {
        assertThat(rounded(with(SmallFloat.E4M3, ScaleRule.FLOOR), 957)).containsExactly(896);
        assertThat(rounded(with(SmallFloat.E4M3, ScaleRule.RCEIL), 957)).containsExactly(960);
    }

    @Test
    void blocksLieAlongTheFeatures() {
        MxFormat format = new MxFormat(SmallFloat.E2M1, 2, ScaleRule.FLOOR, Ties.EVEN, false);
        Shape shape = new Shape(2, 3);
        float[] values = {6, 0.2f, 0.2f, 600, 0.2f, 60};
        // rows of 2 and 1
        float[] rows = {6, 0, 0.1875f, 512, 0, 48};
        for (Operand operand :
                new Operand[] {Operand.WEIGHT, Operand.ACTIVATION, Operand.KEY, Operand.VALUE, Operand.BIAS}) {
            assertThat(rounded(format, shape, operand, values)).containsExactly(rows);
        }
        // columns of 2
        assertThat(rounded(format, shape, Operand.FACTOR, values)).containsExactly(0, 0.1875f, 0, 512, 0.1875f, 48);
    }

    @Test
    void aBlockThatIsNoNumberIsNaN() {
        MxFormat format = new MxFormat(SmallFloat.E4M3, 2, ScaleRule.FLOOR, Ties.EVEN, false);
        for (float bad : new float[] {
            Float.NaN, Float.intBitsToFloat(0xffc00001), Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY
        }) {
            assertThat(rounded(format, 1, bad, 1, 1)).containsExactly(Float.NaN, Float.NaN, 1, 1);
        }
    }

    @Test
    void storageIsCodesAndABytePerBlock() {
        Shape shape = new Shape(10, 70);
        assertThat(new MxFormat(SmallFloat.E2M1).storageBits(shape, Operand.WEIGHT))
                .isEqualTo(700 * 4 + 10 * 3 * 8);
        assertThat(new MxFormat(SmallFloat.E3M2).storageBits(shape, Operand.FACTOR))
                .isEqualTo(700 * 6 + 70 * 8);
        assertThat(new MxFormat(SmallFloat.INT8).storageBits(new Shape(3, 10, 32), Operand.KEY))
                .isEqualTo(960 * 8 + 30 * 8);
    }

    @Test
    void configsGiveTheSpecificationByDefault() {
        for (Formats.Use use : Formats.Use.values()) {
            assertThat(Formats.parse("{ format = \"mxfp4\" }", "test", use)).isEqualTo(new MxFormat(SmallFloat.E2M1));
        }
        assertThat(Formats.parse(
                        "{ format = \"mxfp8_e4m3\", block_size = 16, scale_rule = \"rceil\", ties = \"away\", flush = true }",
                        "test",
                        Formats.Use.WEIGHT))
                .isEqualTo(new MxFormat(SmallFloat.E4M3, 16, ScaleRule.RCEIL, Ties.AWAY, true));
        assertThat(Formats.written(new MxFormat(SmallFloat.E3M2)))
                .isEqualTo(
                        "{ format = 'mxfp6_e3m2', block_size = 32, scale_rule = 'floor', ties = 'even', flush = false }");
        assertProblem(
                "{ format = \"mxfp4\", block_size = 0 }", "block_size: expected a whole number of at least 1, got 0");
        assertProblem("{ format = \"mxfp4\", scale_rule = \"flor\" }", "did you mean \"floor\"");
        assertProblem("{ format = \"mxint8\", bits = 8 }", "bits: unknown key");
        assertProblem("{ format = \"mxfp4\", dynamic = false }", "mxfp4 has no range that could come from calibration");
        assertProblem("{ format = \"mxfp6\" }", "expected one of");
    }

    private static void assertProblem(String table, String expected) {
        assertThatThrownBy(() -> Formats.parse(table, "test", Formats.Use.INPUT))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(expected);
    }

    @Test
    void squaresOfWholeBlocksAreIndependent() {
        assertThat(new MxFormat(SmallFloat.E4M3).roundsSquares(64)).isTrue();
        assertThat(new MxFormat(SmallFloat.E4M3).roundsSquares(48)).isFalse();
    }
}
