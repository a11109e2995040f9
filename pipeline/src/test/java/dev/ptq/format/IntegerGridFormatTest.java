package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.types.Shape;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.IntegerFormat.Range;
import dev.ptq.format.IntegerGrid.Mapping;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class IntegerGridFormatTest {
    private static IntegerGridFormat channel(int bits, IntegerGrid grid, Mapping mapping) {
        return new IntegerGridFormat(bits, Granularity.CHANNEL, 0, grid, mapping, Range.MINMAX);
    }

    private static float[] rounded(NumberFormat format, Operand operand, Shape shape, float... values) {
        float[] rounded = values.clone();
        format.round(FloatBuffer.wrap(rounded), shape, operand);
        return rounded;
    }

    private static float[] row(NumberFormat format, float... values) {
        return rounded(format, Operand.WEIGHT, new Shape(1, values.length), values);
    }

    /** Each grid and mapping. */
    static Stream<IntegerGridFormat> grids() {
        List<IntegerGridFormat> grids = new ArrayList<>();
        for (NumberFormat format : NumberFormatTest.integerGrids()) {
            if (format instanceof IntegerGridFormat grid && grid.bits() == 4 && grid.range() == Range.MINMAX) {
                grids.add(grid);
            }
        }
        return grids.stream();
    }

    @Test
    void thereAreElevenGrids() {
        assertThat(grids()).hasSize(11);
    }

    @Test
    void roundsSymmetricRowsByHand() {
        // 3 bits, steps of 7 to either side: codes -4 to 3
        float[] straddling = {-7, 7, 3, -1.2f};
        assertThat(row(channel(3, IntegerGrid.GPTQ, Mapping.SYMMETRIC), straddling))
                .containsExactly(-8, 6, 4, -2);
        assertThat(row(channel(3, IntegerGrid.COMPRESSED_TENSORS, Mapping.SYMMETRIC), straddling))
                .containsExactly(-8, 6, 4, -2);
        assertThat(row(channel(3, IntegerGrid.TORCHAO, Mapping.SYMMETRIC), straddling))
                .containsExactly(-8, 6, 4, -2);
        // the larger end has the code -4: 8 and equal ends in steps of -2, -8 in steps of 2
        IntegerGridFormat full = channel(3, IntegerGrid.FULL_RANGE, Mapping.SYMMETRIC);
        assertThat(row(full, -8, 8, 6, 3.2f)).as("equal ends").containsExactly(-6, 8, 6, 4);
        assertThat(row(full, -8, 7.9f, 6, 3.2f)).containsExactly(-8, 6, 6, 4);
        assertThat(row(full, 8, -7.9f, -6, -3.2f)).containsExactly(8, -6, -6, -4);
        // neither end beyond the codes: 6 / 3 is more than 7 / 4
        assertThat(row(channel(3, IntegerGrid.TORCHAO, Mapping.SYMMETRIC_NO_CLIPPING_ERR), -7, 6, 1.2f))
                .containsExactly(-8, 6, 2);
    }

    @Test
    void aRowWithoutNegativeValuesLosesHalfTheCodesOfGptq() {
        // from 0 to 7 in 7 steps, of which the codes 4 to 7 are above 0
        assertThat(row(channel(3, IntegerGrid.GPTQ, Mapping.SYMMETRIC), 7, 3, 1, 0))
                .containsExactly(3, 3, 1, 0);
        assertThat(row(channel(3, IntegerGrid.GPTQ, Mapping.SYMMETRIC), -7, -3, 0))
                .containsExactly(-8, -4, 0);
    }

    @Test
    void roundsAsymmetricRowsByHand() {
        // from -2 to 5 in 7 steps
        float[] values = {-2, 5, 1.4f, 0.5f};
        for (IntegerGrid grid : IntegerGrid.values()) {
            if (grid != IntegerGrid.NARROW) {
                assertThat(row(channel(3, grid, Mapping.ASYMMETRIC), values))
                        .as(grid.name())
                        .containsExactly(-2, 5, 1, 0);
            }
        }
        // codes that are rounded after the zero point was added are even in their own right: 0.5 - 1 is -0
        assertThat(row(channel(3, IntegerGrid.COMPRESSED_TENSORS, Mapping.ASYMMETRIC), -3, 4, 0.5f))
                .containsExactly(-3, 4, 1);
        assertThat(row(channel(3, IntegerGrid.TORCHAO, Mapping.ASYMMETRIC), -3, 4, 0.5f))
                .containsExactly(-3, 4, 0);
        // from 10 to 17 without 0: the zero point stays among the codes, or is a value
        assertThat(row(channel(3, IntegerGrid.TORCHAO, Mapping.ASYMMETRIC_NO_ZERO), 10, 17, 12.4f))
                .containsExactly(7, 7, 7);
        assertThat(row(channel(3, IntegerGrid.TORCHAO, Mapping.ASYMMETRIC_FLOAT), 10, 17, 12.4f))
                .containsExactly(10, 17, 12);
    }

    @ParameterizedTest
    @MethodSource("grids")
    void equalsThePlainFormulas(IntegerGridFormat of) {
        SplittableRandom random = new SplittableRandom(of.toString().hashCode());
        for (int trial = 0; trial < 300; trial++) {
            int bits = 2 + random.nextInt(7);
            int rows = 1 + random.nextInt(4);
            int columns = 1 + random.nextInt(40);
            int size = 1 + random.nextInt(12);
            float[] values = values(random, rows * columns);
            ScalarGrids scalar = new ScalarGrids(bits, of.grid(), of.mapping());
            IntegerGridFormat format =
                    new IntegerGridFormat(bits, Granularity.GROUP, size, of.grid(), of.mapping(), Range.MINMAX);
            float[] expected = new float[values.length];
            for (int row = 0; row < rows; row++) {
                for (int from = 0; from < columns; from += size) {
                    int count = Math.min(size, columns - from);
                    float[] group = new float[count];
                    System.arraycopy(values, row * columns + from, group, 0, count);
                    System.arraycopy(scalar.rounded(group, 1), 0, expected, row * columns + from, count);
                }
            }
            if (leavesUnrounded(format, values, rows, columns)) {
                expected = values;
            }
            assertSame("trial " + trial, rounded(format, Operand.WEIGHT, new Shape(rows, columns), values), expected);
        }
    }

    private static boolean leavesUnrounded(IntegerGridFormat format, float[] values, int rows, int columns) {
        if (format.grid() != IntegerGrid.GPTQ) {
            return false;
        }
        for (float scale : format.fit(FloatBuffer.wrap(values.clone()), new Shape(rows, columns), Operand.WEIGHT)
                .scales()) {
            if (scale == 0) {
                return true;
            }
        }
        return false;
    }

    /** Rows of one sign or both, of any size, with ties, zeros and the smallest numbers. */
    private static float[] values(SplittableRandom random, int count) {
        float[] values = new float[count];
        double size = Math.pow(2, random.nextInt(10) == 0 ? random.nextInt(-149, 120) : random.nextInt(-10, 10));
        int sign = random.nextInt(4);
        for (int i = 0; i < count; i++) {
            double value = random.nextInt(5) == 0 ? random.nextInt(-16, 17) / 2.0 : 4 * random.nextGaussian();
            values[i] = (float) (size * (sign == 0 ? Math.abs(value) : sign == 1 ? -Math.abs(value) : value));
        }
        return values;
    }

    @ParameterizedTest
    @MethodSource("grids")
    void channelsOfAFactorAreColumnsAndMatricesHaveTheirOwnScales(IntegerGridFormat of) {
        float[] values = values(new SplittableRandom(4), 6 * 5);
        float[] transposed = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            transposed[i % 5 * 6 + i / 5] = values[i];
        }
        float[] expected = rounded(of, Operand.WEIGHT, new Shape(5, 6), transposed);
        float[] actual = rounded(of, Operand.FACTOR, new Shape(6, 5), values);
        for (int i = 0; i < values.length; i++) {
            assertThat(actual[i]).isEqualTo(expected[i % 5 * 6 + i / 5]);
        }
        IntegerGridFormat tensor =
                new IntegerGridFormat(4, Granularity.TENSOR, 0, of.grid(), of.mapping(), Range.MINMAX);
        float[] batch = rounded(tensor, Operand.ACTIVATION, new Shape(2, 3, 5), values);
        ScalarGrids scalar = new ScalarGrids(4, of.grid(), of.mapping());
        for (int matrix = 0; matrix < 2; matrix++) {
            float[] one = new float[15];
            System.arraycopy(values, matrix * 15, one, 0, 15);
            float[] found = new float[15];
            System.arraycopy(batch, matrix * 15, found, 0, 15);
            assertSame("matrix " + matrix, found, scalar.rounded(one, 1));
        }
    }

    @ParameterizedTest
    @MethodSource("grids")
    void oneBadValueSpoilsItsGroupAndNoOther(IntegerGridFormat of) {
        IntegerGridFormat format =
                new IntegerGridFormat(4, Granularity.GROUP, 4, of.grid(), of.mapping(), Range.MINMAX);
        for (float bad : new float[] {
            Float.NaN, Float.intBitsToFloat(0xffc00000), Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY
        }) {
            float[] rounded = row(format, 1, 2, bad, -4, 5, -6, 7, 8);
            for (int i = 0; i < 8; i++) {
                assertThat(Float.isNaN(rounded[i])).as("%s at %s", bad, i).isEqualTo(i < 4);
            }
        }
    }

    @Test
    void aScaleOfZeroLeavesATensorOfGptqUnrounded() {
        IntegerGridFormat format = channel(8, IntegerGrid.GPTQ, Mapping.ASYMMETRIC);
        float[] values = {1.37f, -1, 0.123f, 3 * Float.MIN_VALUE, 0, -Float.MIN_VALUE};
        assertThat(rounded(format, Operand.WEIGHT, new Shape(2, 3), values)).containsExactly(values);
        // the first row alone is rounded
        assertThat(row(format, 1.37f, -1, 0.123f)[2]).isNotEqualTo(0.123f);
        // and what is unrounded stays so when it was stored
        assertThat(format.fit(FloatBuffer.wrap(values.clone()), new Shape(2, 3), Operand.WEIGHT)
                        .scales()[1])
                .isZero();
    }

    @Test
    void theSearchEqualsTryingEveryShare() {
        SplittableRandom random = new SplittableRandom(9);
        for (IntegerGridFormat of : grids().toList()) {
            for (int trial = 0; trial < 6; trial++) {
                float[] values = values(random, 30 + trial);
                ScalarGrids scalar = new ScalarGrids(3, of.grid(), of.mapping());
                double least = Double.POSITIVE_INFINITY;
                float[] best = values;
                for (int i = 0; i < 80; i++) {
                    float[] rounded = scalar.rounded(values, (float) (1 - i / 100.0));
                    double error = error(values, rounded);
                    if (error < least) {
                        least = error;
                        best = rounded;
                    }
                }
                IntegerGridFormat format =
                        new IntegerGridFormat(3, Granularity.CHANNEL, 0, of.grid(), of.mapping(), Range.GPTQ_MSE);
                assertSame(of + " " + trial, row(format, values), best);
            }
        }
    }

    private static double error(float[] values, float[] rounded) {
        double sum = 0;
        for (int i = 0; i < values.length; i++) {
            sum += Math.pow(Math.abs(rounded[i] - values[i]), 2.4);
        }
        return sum;
    }

    /** A row that still gains keeps the search of all others going. */
    @Test
    void theShortSearchEndsForAllRowsTogether() {
        IntegerGridFormat format = new IntegerGridFormat(
                2,
                Granularity.CHANNEL,
                0,
                IntegerGrid.COMPRESSED_TENSORS,
                Mapping.ASYMMETRIC,
                Range.COMPRESSED_TENSORS_MSE);
        SplittableRandom random = new SplittableRandom(2);
        int differing = 0;
        for (int trial = 0; trial < 40; trial++) {
            float[] first = values(random, 24);
            float[] second = values(random, 24);
            float[] both = new float[48];
            System.arraycopy(first, 0, both, 0, 24);
            System.arraycopy(second, 0, both, 24, 24);
            float[] together = rounded(format, Operand.WEIGHT, new Shape(2, 24), both);
            float[] alone = row(format, first);
            float[] beside = new float[24];
            System.arraycopy(together, 0, beside, 0, 24);
            // more steps never make a row worse
            assertThat(error(first, beside)).isLessThanOrEqualTo(error(first, alone));
            differing += error(first, beside) < error(first, alone) ? 1 : 0;
        }
        assertThat(differing).isPositive();
    }

    @Test
    void refusesWhatIsNoFormat() {
        assertThatThrownBy(() -> channel(1, IntegerGrid.GPTQ, Mapping.SYMMETRIC))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> channel(4, IntegerGrid.NARROW, Mapping.SYMMETRIC))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> channel(4, IntegerGrid.GPTQ, Mapping.ASYMMETRIC_FLOAT))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("ASYMMETRIC_FLOAT is a mapping of torchao, not of GPTQ");
        assertThatThrownBy(() -> new IntegerGridFormat(
                        4, Granularity.GROUP, 0, IntegerGrid.GPTQ, Mapping.SYMMETRIC, Range.MINMAX))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new IntegerGridFormat(
                        4, Granularity.CHANNEL, 0, IntegerGrid.GPTQ, Mapping.SYMMETRIC, Range.MSE))
                .isInstanceOf(IllegalArgumentException.class);
    }

    private static void assertSame(String what, float[] actual, float[] expected) {
        assertThat(actual).as(what).hasSameSizeAs(expected);
        for (int i = 0; i < actual.length; i++) {
            if (actual[i] != expected[i] && !(Float.isNaN(actual[i]) && Float.isNaN(expected[i]))) {
                throw new AssertionError(what + " at " + i + ": " + actual[i] + ", expected " + expected[i]);
            }
        }
    }
}
