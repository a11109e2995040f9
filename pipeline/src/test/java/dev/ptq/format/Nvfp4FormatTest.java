package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.types.Shape;
import dev.ptq.config.ConfigException;
import dev.ptq.format.Nvfp4Format.Range;
import dev.ptq.format.Nvfp4Format.Rule;
import dev.ptq.format.SmallFloat.Ties;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class Nvfp4FormatTest {
    private static final int BLOCK = 16;

    private static float[] rounded(NumberFormat format, Shape shape, Operand operand, float... values) {
        float[] rounded = values.clone();
        format.round(FloatBuffer.wrap(rounded), shape, operand);
        return rounded;
    }

    private static Nvfp4Format format(Rule rule, boolean tensorScale, boolean fourOverSix) {
        return new Nvfp4Format(rule, tensorScale, fourOverSix, Range.MINMAX, Optional.empty());
    }

    private static float amax(float[] values) {
        float amax = 0;
        for (float value : values) {
            amax = Math.max(amax, Math.abs(value));
        }
        return amax;
    }

    private static float e4(float value) {
        return (float) ScalarSmallFloats.round(SmallFloat.E4M3, value, Ties.EVEN);
    }

    private static float fp4(float value) {
        return (float) ScalarSmallFloats.round(SmallFloat.E2M1, value, Ties.EVEN);
    }

    /** One row by the rule as it is written, in float32. */
    private static float[] scalar(Nvfp4Format format, float[] row) {
        float product = format.fourOverSix() ? 6 * 256 : 6 * 448;
        float[] rounded = new float[row.length];
        for (int from = 0; from < row.length; from += BLOCK) {
            float[] block = Arrays.copyOfRange(row, from, Math.min(row.length, from + BLOCK));
            float[] six = scalar(format, block, amax(row), product, 6);
            float[] four = scalar(format, block, amax(row), product, 4);
            boolean better = format.fourOverSix() && squaredError(block, four) < squaredError(block, six);
            System.arraycopy(better ? four : six, 0, rounded, from, block.length);
        }
        return rounded;
    }

    private static float[] scalar(Nvfp4Format format, float[] block, float amax, float product, float element) {
        float[] rounded = new float[block.length];
        if (format.rule() == Rule.TORCHAO) {
            float p = format.tensorScale() ? amax / product : 1;
            float s = e4(Math.max((amax(block) / element) / p, 0x1p-6f));
            for (int i = 0; i < block.length; i++) {
                rounded[i] = fp4(block[i] * ((1 / p) / s)) * (p * s);
            }
        } else {
            float g = (1 / Math.max(amax, 0x1p-126f)) * product;
            float s = e4(g * (amax(block) / element));
            float scale = (s == 0 ? 0.125f : s) / g;
            for (int i = 0; i < block.length; i++) {
                rounded[i] = fp4(block[i] / scale) * scale;
            }
        }
        return rounded;
    }

    private static double squaredError(float[] values, float[] rounded) {
        double sum = 0;
        for (int i = 0; i < values.length; i++) {
            sum += Math.pow((double) rounded[i] - values[i], 2);
        }
        return sum;
    }

    @Test
    void everyRuleIsItsFormula() {
        SplittableRandom random = new SplittableRandom(5);
        int better = 0;
        for (int trial = 0; trial < 300; trial++) {
            float[] row = new float[1 + random.nextInt(70)];
            double size = Math.pow(2, random.nextInt(-60, 60));
            for (int i = 0; i < row.length; i++) {
                // blocks far below the tensor's largest too
                int block = i / BLOCK;
                row[i] = (float) (size * Math.pow(2, -4 * block) * random.nextGaussian());
            }
            Shape shape = new Shape(1, row.length);
            for (boolean fourOverSix : new boolean[] {false, true}) {
                for (Nvfp4Format format : new Nvfp4Format[] {
                    format(Rule.COMPRESSED_TENSORS, true, fourOverSix),
                    format(Rule.TORCHAO, true, fourOverSix),
                    format(Rule.TORCHAO, false, fourOverSix)
                }) {
                    assertThat(rounded(format, shape, Operand.WEIGHT, row))
                            .as(format + " of " + Arrays.toString(row))
                            .containsExactly(scalar(format, row));
                }
            }
            float[] without = rounded(format(Rule.COMPRESSED_TENSORS, true, false), shape, Operand.WEIGHT, row);
            float[] with = rounded(format(Rule.COMPRESSED_TENSORS, true, true), shape, Operand.WEIGHT, row);
            better += squaredError(row, with) < squaredError(row, without) ? 1 : 0;
        }
        assertThat(better).isGreaterThan(200);
    }

    /** In units of 1, 4.5 becomes 4; if 6 is 4 units of 1.5, it is 3 of them. */
    @Test
    void aBlockTakesFourWhereThatIsBetter() {
        float[] values = {6, 4.5f, 4.5f, 4.5f};
        Shape shape = new Shape(1, 4);
        assertThat(rounded(format(Rule.COMPRESSED_TENSORS, true, false), shape, Operand.WEIGHT, values))
                .containsExactly(6, 4, 4, 4);
        assertThat(rounded(format(Rule.COMPRESSED_TENSORS, true, true), shape, Operand.WEIGHT, values))
                .containsExactly(6, 4.5f, 4.5f, 4.5f);
    }

    /** A search by hand: every candidate of every block, and an end after five that improve none. */
    @Test
    void aSearchFindsTheLeastError() {
        SplittableRandom random = new SplittableRandom(9);
        int stopped = 0;
        for (int trial = 0; trial < 60; trial++) {
            float[] row = new float[1 + random.nextInt(3 * BLOCK)];
            for (int i = 0; i < row.length; i++) {
                row[i] = (float) Math.pow(random.nextGaussian(), 3);
            }
            Shape shape = new Shape(1, row.length);
            int blocks = (row.length + BLOCK - 1) / BLOCK;
            for (Nvfp4Search search : new Nvfp4Search[] {Nvfp4Search.MSE, Nvfp4Search.EXPANDED_MSE}) {
                float[] best = new float[blocks];
                double[] least = new double[blocks];
                Arrays.fill(least, Double.POSITIVE_INFINITY);
                int idle = 0;
                int tried = 0;
                for (int i = 0; i < search.candidates() && idle < search.patience(); i++) {
                    boolean improves = false;
                    for (int block = 0; block < blocks; block++) {
                        float[] own = Arrays.copyOfRange(row, block * BLOCK, Math.min(row.length, (block + 1) * BLOCK));
                        float candidate = (float) (1 - i / search.parts()) * (search.expand() * amax(own));
                        double error = 0;
                        for (float value : own) {
                            float scale = candidate / 6;
                            error += Math.pow(Math.abs(fp4(value / scale) * scale - value), 2.4);
                        }
                        if (error < least[block]) {
                            least[block] = error;
                            best[block] = candidate;
                            improves = true;
                        }
                    }
                    idle = improves ? 0 : idle + 1;
                    tried++;
                }
                stopped += tried < search.candidates() ? 1 : 0;
                float[] amaxes = new float[blocks];
                for (int block = 0; block < blocks; block++) {
                    amaxes[block] =
                            amax(Arrays.copyOfRange(row, block * BLOCK, Math.min(row.length, (block + 1) * BLOCK)));
                }
                assertThat(search.run(
                                FloatBuffer.wrap(row.clone()),
                                Blocks.over(shape.getShape(), List.of(1, BLOCK)),
                                amaxes))
                        .containsExactly(best);
            }
        }
        assertThat(stopped).isPositive();
    }

    @Test
    void everyMatrixOfABatchHasItsTensorScale() {
        SplittableRandom random = new SplittableRandom(2);
        float[] values = new float[3 * 5 * 20];
        for (int i = 0; i < values.length; i++) {
            int matrix = i / 100;
            values[i] = (float) (random.nextGaussian() * Math.pow(10, matrix));
        }
        float[] all = rounded(new Nvfp4Format(), new Shape(3, 5, 20), Operand.ACTIVATION, values);
        for (int matrix = 0; matrix < 3; matrix++) {
            float[] own = Arrays.copyOfRange(values, 100 * matrix, 100 * (matrix + 1));
            assertThat(Arrays.copyOfRange(all, 100 * matrix, 100 * (matrix + 1)))
                    .containsExactly(rounded(new Nvfp4Format(), new Shape(5, 20), Operand.ACTIVATION, own));
        }
    }

    @Test
    void blocksLieAlongTheFeatures() {
        SplittableRandom random = new SplittableRandom(4);
        float[] rows = new float[3 * 20];
        float[] turned = new float[rows.length];
        for (int i = 0; i < rows.length; i++) {
            rows[i] = (float) random.nextGaussian();
            turned[i % 20 * 3 + i / 20] = rows[i];
        }
        float[] expected = rounded(new Nvfp4Format(), new Shape(3, 20), Operand.WEIGHT, rows);
        assertThat(rounded(new Nvfp4Format(), new Shape(3, 20), Operand.KEY, rows))
                .containsExactly(expected);
        assertThat(rounded(new Nvfp4Format(), new Shape(3, 20), Operand.VALUE, rows))
                .containsExactly(expected);
        float[] columns = rounded(new Nvfp4Format(), new Shape(20, 3), Operand.FACTOR, turned);
        for (int i = 0; i < rows.length; i++) {
            assertThat(columns[i % 20 * 3 + i / 20]).isEqualTo(expected[i]);
        }
    }

    /** g = 2688 / 6 = 448: a scale of 448 stands for 1, and larger blocks have it too. */
    @Test
    void aGivenMagnitudeDecidesTheTensorScale() {
        Shape shape = new Shape(1, 2 * BLOCK);
        float[] values = new float[2 * BLOCK];
        values[0] = 60;
        values[1] = 2.4f;
        values[BLOCK] = 1.5f;
        float[] expected = new float[2 * BLOCK];
        expected[0] = 6;
        expected[1] = 2;
        expected[BLOCK] = 1.5f;
        assertThat(rounded(new Nvfp4Format().withAmax(6), shape, Operand.WEIGHT, values))
                .containsExactly(expected);
        StaticFormat found = new StaticFormat(new Nvfp4Format(), Optional.empty()).withBounds(-6, 2);
        assertThat(rounded(found, shape, Operand.ACTIVATION, values)).containsExactly(expected);
        values[2] = Float.POSITIVE_INFINITY;
        Arrays.fill(expected, 0, BLOCK, Float.NaN);
        assertThat(rounded(found, shape, Operand.ACTIVATION, values)).containsExactly(expected);
        assertThat(new Nvfp4Format().withAmax(6).dynamic()).isEqualTo(new Nvfp4Format());
        assertThat(found.dynamic()).isEqualTo(new Nvfp4Format());
    }

    @Test
    void storageIsCodesAndBothScales() {
        Shape shape = new Shape(10, 40);
        assertThat(new Nvfp4Format().storageBits(shape, Operand.WEIGHT)).isEqualTo(400 * 4 + 10 * 3 * 8 + 32);
        assertThat(format(Rule.TORCHAO, false, false).storageBits(shape, Operand.WEIGHT))
                .isEqualTo(400 * 4 + 10 * 3 * 8);
        Shape batch = new Shape(3, 10, 40);
        assertThat(new Nvfp4Format().storageBits(batch, Operand.ACTIVATION)).isEqualTo(3 * (400 * 4 + 10 * 3 * 8 + 32));
        assertThat(new Nvfp4Format().withAmax(1).storageBits(batch, Operand.ACTIVATION))
                .isEqualTo(3 * (400 * 4 + 10 * 3 * 8) + 32);
        assertThat(new StaticFormat(new Nvfp4Format(), Optional.empty()).storageBits(batch, Operand.ACTIVATION))
                .isEqualTo(3 * (400 * 4 + 10 * 3 * 8) + 32);
    }

    @Test
    void configsNameWhatDoesNotGoTogether() {
        assertThat(Formats.parse("{ format = \"nvfp4\" }", "test", Formats.Use.INPUT))
                .isEqualTo(new Nvfp4Format());
        assertThat(Formats.parse("{ format = \"nvfp4\", dynamic = false }", "test", Formats.Use.INPUT))
                .isEqualTo(new StaticFormat(new Nvfp4Format(), Optional.empty()));
        assertThat(Formats.written(new Nvfp4Format().withAmax(0.5f)))
                .isEqualTo("{ format = 'nvfp4', rule = 'compressed_tensors', tensor_scale = true,"
                        + " four_over_six = false, range = 'minmax', shared_scale = false, amax = 0.5 }");
        assertThat(Formats.parse(Formats.written(new Nvfp4Format().withAmax(0.1f)), "test"))
                .isEqualTo(new Nvfp4Format().withAmax(0.1f));
        assertProblem("{ format = \"nvfp4\", amax = 1.0 }", "amax: unknown key");
        assertProblem(
                "{ format = \"nvfp4\", tensor_scale = false }",
                "tensor_scale: only rule = \"torchao\" goes without a tensor scale; set that");
        assertProblem(
                "{ format = \"nvfp4\", rule = \"torchao\", range = \"mse\" }",
                "range: a range is searched for with rule = \"compressed_tensors\" only; set that");
        assertProblem(
                "{ format = \"nvfp4\", four_over_six = true, range = \"expanded_mse\" }",
                "range: four_over_six = true chooses the range of a block itself; leave one out");
        assertThatThrownBy(() -> Formats.parse("{ format = \"nvfp4\", range = \"mse\" }", "test", Formats.Use.INPUT))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("range: a search is for weights");
        assertThatThrownBy(() -> Formats.parse(
                        "{ format = \"nvfp4\", rule = \"torchao\", tensor_scale = false, dynamic = false }",
                        "test",
                        Formats.Use.INPUT))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(
                        "dynamic: a range from calibration is that of all values: set tensor_scale = true");
        assertThatThrownBy(() -> Formats.parse(
                        "{ format = 'nvfp4', rule = 'torchao', tensor_scale = false, amax = 1.0 }", "grid.format"))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("amax: it decides the tensor scale, and there is none");
    }

    private static void assertProblem(String table, String expected) {
        assertThatThrownBy(() -> Formats.parse(table, "test", Formats.Use.WEIGHT))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(expected);
    }

    @Test
    void impossibleFormatsAreRefused() {
        assertThatThrownBy(() -> format(Rule.COMPRESSED_TENSORS, false, false))
                .hasMessageStartingWith("only torchao goes without a tensor scale");
        assertThatThrownBy(() -> new Nvfp4Format(Rule.TORCHAO, true, false, Range.MSE, Optional.empty()))
                .hasMessageStartingWith("a range is searched for with the rule of compressed-tensors only");
        for (float bad : new float[] {Float.NaN, -1, Float.POSITIVE_INFINITY}) {
            assertThatThrownBy(() -> new Nvfp4Format().withAmax(bad))
                    .hasMessage("expected a finite largest magnitude, got " + bad);
        }
    }
}
