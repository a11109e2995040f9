package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.types.Shape;
import dev.ptq.config.ConfigException;
import dev.ptq.format.Fp8Format.Granularity;
import dev.ptq.format.Fp8Format.Rule;
import dev.ptq.format.SmallFloat.Ties;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class Fp8FormatTest {
    private static float[] rounded(NumberFormat format, Shape shape, Operand operand, float... values) {
        float[] rounded = values.clone();
        format.round(FloatBuffer.wrap(rounded), shape, operand);
        return rounded;
    }

    private static Fp8Format blocks(Rule rule, int rows, int columns) {
        return new Fp8Format(SmallFloat.E4M3, Granularity.BLOCK, List.of(rows, columns), rule);
    }

    /** Every value by the rule as it is written, in float32 or double as that says. */
    @ParameterizedTest
    @EnumSource(Rule.class)
    void everyRuleIsItsFormula(Rule rule) {
        SplittableRandom random = new SplittableRandom(3);
        for (SmallFloat element : new SmallFloat[] {SmallFloat.E4M3, SmallFloat.E5M2}) {
            float max = element.largest();
            for (int trial = 0; trial < 300; trial++) {
                float[] values = new float[1 + random.nextInt(40)];
                double size = Math.pow(2, random.nextInt(-100, 100));
                float amax = 0;
                for (int i = 0; i < values.length; i++) {
                    values[i] = (float) (size * random.nextGaussian());
                    amax = Math.max(amax, Math.abs(values[i]));
                }
                Fp8Format format = new Fp8Format(element, Granularity.BLOCK, List.of(1, 40), rule);
                float[] actual = rounded(format, new Shape(1, values.length), Operand.WEIGHT, values);
                for (int i = 0; i < values.length; i++) {
                    float expected = switch (rule) {
                        case COMPRESSED_TENSORS, TORCHAO -> {
                            float scale = amax / max;
                            yield (float) ScalarSmallFloats.round(element, values[i] / scale, Ties.EVEN) * scale;
                        }
                        case TORCHAO_BLOCKWISE -> {
                            float reciprocal = (float) (1.0 / Math.max((double) amax, 1e-12) * (double) max);
                            yield (float) ScalarSmallFloats.round(element, values[i] * reciprocal, Ties.EVEN)
                                    * (1 / reciprocal);
                        }
                    };
                    assertThat(actual[i]).as(format + " of " + values[i]).isEqualTo(expected);
                }
            }
        }
    }

    @Test
    void zerosHaveTheScaleOfTheRule() {
        Shape shape = new Shape(1, 2);
        for (Rule rule : Rule.values()) {
            float zero = rule == Rule.TORCHAO ? Float.NaN : 0;
            assertThat(rounded(blocks(rule, 1, 2), shape, Operand.WEIGHT, 0, 0)).containsExactly(zero, zero);
        }
    }

    /** The smallest element is 2^-9: with scales of 1, 2 and 4 more and more of the small ones are lost. */
    @Test
    void valuesShareTheScaleOfTheirGroup() {
        float[] values = {448, 0x1p-9f, 0x1p-8f, 896, 0x1p-9f, 0x1p-8f, 1792, 0x1p-9f, 0x1p-8f};
        Shape shape = new Shape(3, 3);
        SmallFloat element = SmallFloat.E4M3;
        assertThat(rounded(new Fp8Format(element, Granularity.TENSOR), shape, Operand.WEIGHT, values))
                .containsExactly(448, 0, 0, 896, 0, 0, 1792, 0, 0);
        float[] rows = {448, 0x1p-9f, 0x1p-8f, 896, 0, 0x1p-8f, 1792, 0, 0};
        assertThat(rounded(new Fp8Format(element, Granularity.CHANNEL), shape, Operand.WEIGHT, values))
                .containsExactly(rows);
        assertThat(rounded(new Fp8Format(element, Granularity.TOKEN), shape, Operand.KEY, values))
                .containsExactly(rows);
        // the last column is a block by itself
        assertThat(rounded(blocks(Rule.COMPRESSED_TENSORS, 2, 2), shape, Operand.WEIGHT, values))
                .containsExactly(448, 0, 0x1p-8f, 896, 0, 0x1p-8f, 1792, 0, 0x1p-8f);
        for (Fp8Format format :
                List.of(new Fp8Format(element, Granularity.CHANNEL), blocks(Rule.COMPRESSED_TENSORS, 1, 3))) {
            float[] turned = {448, 17, 17, 1, 2, 3};
            // a column of a factor is a channel
            assertThat(rounded(format, new Shape(3, 2), Operand.FACTOR, 448, 1, 17, 2, 17, 3))
                    .containsExactly(interleaved(rounded(format, new Shape(2, 3), Operand.WEIGHT, turned)));
        }
    }

    private static float[] interleaved(float[] rows) {
        return new float[] {rows[0], rows[3], rows[1], rows[4], rows[2], rows[5]};
    }

    @Test
    void aRangeFromCalibrationIsThatOfATensor() {
        Fp8Format format = new Fp8Format(SmallFloat.E4M3, Granularity.TENSOR);
        StaticFormat found = new StaticFormat(format, Optional.empty()).withBounds(-448, 3);
        assertThat(rounded(found, new Shape(1, 4), Operand.ACTIVATION, 1000, -17, 1.1f, Float.POSITIVE_INFINITY))
                .containsExactly(448, -16, 1.125f, Float.NaN);
        assertThat(found.storageBits(new Shape(3, 4, 5), Operand.ACTIVATION)).isEqualTo(60 * 8 + 32);
        assertThatThrownBy(() -> new StaticFormat(new Fp8Format(SmallFloat.E4M3, Granularity.TOKEN), Optional.empty()))
                .hasMessageContaining("granularity = \"tensor\"");
    }

    @Test
    void storageIsCodesAndScales() {
        Shape shape = new Shape(130, 129);
        assertThat(new Fp8Format(SmallFloat.E5M2, Granularity.TENSOR).storageBits(shape, Operand.WEIGHT))
                .isEqualTo(130 * 129 * 8 + 32);
        assertThat(new Fp8Format(SmallFloat.E5M2, Granularity.CHANNEL).storageBits(shape, Operand.WEIGHT))
                .isEqualTo(130 * (129 * 8 + 32));
        assertThat(blocks(Rule.TORCHAO, 128, 128).storageBits(shape, Operand.WEIGHT))
                .isEqualTo(130 * 129 * 8 + 4 * 32);
    }

    @Test
    void configsHaveTheBlocksOfTheirUse() {
        String block = "{ format = \"fp8_e4m3\", granularity = \"block\" }";
        assertThat(Formats.parse(block, "test", Formats.Use.WEIGHT))
                .isEqualTo(blocks(Rule.COMPRESSED_TENSORS, 128, 128));
        assertThat(Formats.parse(block, "test", Formats.Use.INPUT)).isEqualTo(blocks(Rule.COMPRESSED_TENSORS, 1, 128));
        String plain = "{ format = \"fp8_e5m2\" }";
        assertThat(Formats.parse(plain, "test", Formats.Use.WEIGHT))
                .isEqualTo(new Fp8Format(SmallFloat.E5M2, Granularity.CHANNEL));
        assertThat(Formats.parse(plain, "test", Formats.Use.ACTIVATION))
                .isEqualTo(new Fp8Format(SmallFloat.E5M2, Granularity.TOKEN));
        assertThat(Formats.parse(plain, "test", Formats.Use.BIAS))
                .isEqualTo(new Fp8Format(SmallFloat.E5M2, Granularity.TENSOR));
        assertThat(Formats.parse(
                        "{ format = \"fp8_e4m3\", granularity = \"tensor\", dynamic = false }",
                        "test",
                        Formats.Use.INPUT))
                .isEqualTo(new StaticFormat(new Fp8Format(SmallFloat.E4M3, Granularity.TENSOR), Optional.empty()));

        assertProblem("{ format = \"fp8_e4m3\", granularity = \"channel\" }", "granularity: expected one of");
        assertProblem("{ format = \"fp8_e4m3\", block_size = [1, 128] }", "block_size: unknown key");
        assertProblem(
                "{ format = \"fp8_e4m3\", granularity = \"block\", block_size = [128] }",
                "block_size: expected two numbers, each at least 1 or -1 for the whole dimension, got [128]");
        assertProblem(
                "{ format = \"fp8_e4m3\", rule = \"torchao_blockwise\" }",
                "rule: \"torchao_blockwise\" is for granularity = \"block\"; set that, or rule = \"torchao\"");
        assertProblem(
                "{ format = \"fp8_e4m3\", granularity = \"token\", dynamic = false }",
                "dynamic: a range from calibration is that of all values: set granularity = \"tensor\"");
    }

    private static void assertProblem(String table, String expected) {
        assertThatThrownBy(() -> Formats.parse(table, "test", Formats.Use.INPUT))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(expected);
    }

    @Test
    void impossibleFormatsAreRefused() {
        assertThatThrownBy(() -> new Fp8Format(SmallFloat.INT8, Granularity.TENSOR))
                .hasMessage("not FP8: INT8");
        assertThatThrownBy(() -> new Fp8Format(SmallFloat.E4M3, Granularity.BLOCK))
                .hasMessage("block size [] with granularity BLOCK");
        assertThatThrownBy(() -> new Fp8Format(SmallFloat.E4M3, Granularity.TENSOR, List.of(), Rule.TORCHAO_BLOCKWISE))
                .hasMessage("the rule TORCHAO_BLOCKWISE is for blocks, not for TENSOR");
    }
}
