package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.config.ConfigException;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.IntegerFormat.Range;
import dev.ptq.format.IntegerGrid.Mapping;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Ranges of weights that are searched for with regard to inputs. */
class WeightedFormatTest {
    private static final int ROWS = 5;
    private static final int COLUMNS = 22;
    private static final int GROUP = 8;

    private static IntegerGridFormat asking(IntegerGrid grid, Mapping mapping) {
        return new IntegerGridFormat(3, Granularity.GROUP, GROUP, grid, mapping, Range.IMATRIX_MSE);
    }

    private static float[] weight(SplittableRandom random) {
        float[] weight = new float[ROWS * COLUMNS];
        for (int i = 0; i < weight.length; i++) {
            weight[i] = (float) (random.nextGaussian() * (random.nextInt(10) == 0 ? 4 : 1));
        }
        return weight;
    }

    private static float[] meanSquares(SplittableRandom random) {
        float[] squares = new float[COLUMNS];
        for (int i = 0; i < squares.length; i++) {
            squares[i] = i == 3 ? 0 : (float) Math.exp(2 * random.nextGaussian());
        }
        return squares;
    }

    private static float[] rounded(NumberFormat format, float[] weight) {
        float[] rounded = weight.clone();
        format.round(FloatBuffer.wrap(rounded), new Shape(ROWS, COLUMNS), Operand.WEIGHT);
        return rounded;
    }

    /** Group by group: 19 ranges, the first with the least weighted cube. */
    private static float[] byLoop(IntegerGridFormat format, float[] weight, float[] squares) {
        IntegerGridFormat plain = new IntegerGridFormat(
                format.bits(), Granularity.TENSOR, 0, format.grid(), format.mapping(), Range.MINMAX);
        float[] all = new float[weight.length];
        for (int row = 0; row < ROWS; row++) {
            for (int from = 0; from < COLUMNS; from += GROUP) {
                int to = Math.min(COLUMNS, from + GROUP);
                float[] group = Arrays.copyOfRange(weight, row * COLUMNS + from, row * COLUMNS + to);
                float low = Float.POSITIVE_INFINITY;
                float high = Float.NEGATIVE_INFINITY;
                for (float value : group) {
                    low = Math.min(low, value);
                    high = Math.max(high, value);
                }
                double least = Double.POSITIVE_INFINITY;
                for (int i = 0; i < 19; i++) {
                    float share = (float) (1 - i / 20.0);
                    float[] tried = group.clone();
                    new StaticFormat(plain, Optional.of(new Bounds(share * low, share * high)))
                            .round(FloatBuffer.wrap(tried), new Shape(1, tried.length), Operand.WEIGHT);
                    double error = 0;
                    for (int k = 0; k < tried.length; k++) {
                        error += squares[from + k] * Math.pow(Math.abs(tried[k] - group[k]), 3);
                    }
                    if (error < least) {
                        least = error;
                        System.arraycopy(tried, 0, all, row * COLUMNS + from, tried.length);
                    }
                }
            }
        }
        return all;
    }

    @ParameterizedTest
    @EnumSource(value = IntegerGrid.class, mode = EnumSource.Mode.EXCLUDE, names = "NARROW")
    void equalsAScalarLoop(IntegerGrid grid) {
        SplittableRandom random = new SplittableRandom(11);
        for (Mapping mapping : new Mapping[] {Mapping.SYMMETRIC, Mapping.ASYMMETRIC}) {
            IntegerGridFormat format = asking(grid, mapping);
            for (int trial = 0; trial < 10; trial++) {
                float[] weight = weight(random);
                float[] squares = meanSquares(random);
                assertThat(rounded(new WeightedFormat(format, new MeanSquares(squares)), weight))
                        .isEqualTo(byLoop(format, weight, squares));
            }
        }
    }

    /** Equal ones, whatever they are, weigh nothing. */
    @Test
    void equalMeanSquaresAreNone() {
        SplittableRandom random = new SplittableRandom(2);
        float[] weight = weight(random);
        IntegerGridFormat format = asking(IntegerGrid.GPTQ, Mapping.ASYMMETRIC);
        float[] fours = new float[COLUMNS];
        Arrays.fill(fours, 4);
        float[] plain = rounded(new WeightedFormat(format, MeanSquares.equal(COLUMNS)), weight);
        assertThat(rounded(new WeightedFormat(format, new MeanSquares(fours)), weight))
                .isEqualTo(plain);
        assertThat(rounded(new WeightedFormat(format, new MeanSquares(meanSquares(random))), weight))
                .isNotEqualTo(plain);
    }

    /** Inputs that are always zero leave the range as it is. */
    @Test
    void columnsWithoutInputKeepTheWholeRange() {
        float[] weight = weight(new SplittableRandom(4));
        IntegerGridFormat format = asking(IntegerGrid.COMPRESSED_TENSORS, Mapping.SYMMETRIC);
        IntegerGridFormat whole = new IntegerGridFormat(
                3, Granularity.GROUP, GROUP, IntegerGrid.COMPRESSED_TENSORS, Mapping.SYMMETRIC, Range.MINMAX);
        assertThat(rounded(new WeightedFormat(format, new MeanSquares(new float[COLUMNS])), weight))
                .isEqualTo(rounded(whole, weight));
    }

    /** Methods fit groups of any columns: each has the mean square of its own. */
    @Test
    void columnsInAnotherOrderKeepTheirMeanSquares() {
        SplittableRandom random = new SplittableRandom(8);
        int[] order = new int[COLUMNS];
        for (int i = 0; i < COLUMNS; i++) {
            order[i] = (i * 7 + 2) % COLUMNS;
        }
        float[] weight = weight(random);
        float[] squares = meanSquares(random);
        IntegerGridFormat format = asking(IntegerGrid.GPTQ, Mapping.SYMMETRIC);
        float[] turned = new float[weight.length];
        float[] turnedSquares = new float[COLUMNS];
        for (int i = 0; i < COLUMNS; i++) {
            turnedSquares[i] = squares[order[i]];
            for (int row = 0; row < ROWS; row++) {
                turned[row * COLUMNS + i] = weight[row * COLUMNS + order[i]];
            }
        }
        float[] expected = byLoop(format, turned, turnedSquares);
        try (NDManager manager = TensorEngine.newManager()) {
            NDArray tensor = NativeFloats.of(manager, weight, ROWS, COLUMNS);
            ColumnRounding rounding =
                    new ColumnRounding(new WeightedFormat(format, new MeanSquares(squares)), tensor, order);
            for (int place = 0; place < COLUMNS; place++) {
                if (place % GROUP == 0) {
                    int width = Math.min(GROUP, COLUMNS - place);
                    float[] group = new float[ROWS * width];
                    for (int row = 0; row < ROWS; row++) {
                        System.arraycopy(turned, row * COLUMNS + place, group, row * width, width);
                    }
                    rounding.fit(place, 0, group);
                }
                for (int row = 0; row < ROWS; row++) {
                    assertThat(rounding.rounded(turned[row * COLUMNS + place], row, place))
                            .isEqualTo(expected[row * COLUMNS + place]);
                }
            }
        }
    }

    @Test
    void aGridIsReadWithoutMeanSquares() throws IOException {
        float[] weight = weight(new SplittableRandom(6));
        IntegerGridFormat format = asking(IntegerGrid.TORCHAO, Mapping.ASYMMETRIC);
        NumberFormat known = new WeightedFormat(format, MeanSquares.equal(COLUMNS));
        try (NDManager manager = TensorEngine.newManager()) {
            Grid grid = known.fit(NativeFloats.of(manager, weight, ROWS, COLUMNS), Operand.WEIGHT)
                    .orElseThrow();
            NumberFormat written = Formats.parse(Formats.written(grid.format()), "test");
            assertThat(written).isEqualTo(format);
            assertThat(Grid.read(written, grid.shape(), Operand.WEIGHT, grid.parts())
                            .values(manager)
                            .toFloatArray())
                    .isEqualTo(rounded(known, weight));
        }
        assertThat(known.storageBits(new Shape(ROWS, COLUMNS), Operand.WEIGHT))
                .isEqualTo(format.storageBits(new Shape(ROWS, COLUMNS), Operand.WEIGHT));
        assertThat(known.dynamic()).isEqualTo(format);
    }

    @Test
    void nothingIsRoundedBeforeInputsAreKnown() {
        IntegerGridFormat format = asking(IntegerGrid.GPTQ, Mapping.SYMMETRIC);
        assertThatThrownBy(() -> rounded(format, new float[ROWS * COLUMNS]))
                .hasMessage("the mean squares of inputs were not taken from statistics");
        assertThatThrownBy(() -> rounded(new WeightedFormat(format, MeanSquares.equal(3)), new float[ROWS * COLUMNS]))
                .hasMessageStartingWith("expected a weight of 3 input features");
        for (float bad : new float[] {-1, Float.NaN, Float.POSITIVE_INFINITY}) {
            assertThatThrownBy(() -> new MeanSquares(1, bad))
                    .hasMessageContaining("the mean square of feature 1 is " + bad);
        }
    }

    @Test
    void itIsForWeightsOfLinearsAlone() {
        String table = "{ format = 'int', bits = 4, grid = 'gptq', range = 'imatrix_mse' }";
        assertThat(Formats.parse(table, "test", Formats.Use.WEIGHT).needs()).containsExactly(InputFact.MEAN_SQUARES);
        for (Map.Entry<Formats.Use, String> use : Map.of(
                        Formats.Use.TENSOR, "weighs errors by the input of a linear",
                        Formats.Use.FACTOR, "weighs errors by the input of a linear",
                        Formats.Use.INPUT, "weighs errors by the input of a linear")
                .entrySet()) {
            assertThatThrownBy(() -> Formats.parse(table, "test", use.getKey()))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining(use.getValue());
        }
        assertThatThrownBy(() -> Formats.parse(
                        "{ format = 'int', bits = 4, range = 'imatrix_mse' }", "test", Formats.Use.WEIGHT))
                .hasMessageContaining("\"imatrix_mse\" is not for grid = \"narrow\"; set another grid");
    }
}
