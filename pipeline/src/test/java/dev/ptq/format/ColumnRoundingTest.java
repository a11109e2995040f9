package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.format.IntegerFormat.Range;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.RawTensor;
import java.io.IOException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ColumnRoundingTest {
    private static final int ROWS = 10;
    private static final int COLUMNS = 38;

    private final NDManager manager = TensorEngine.newManager();

    @AfterEach
    void close() {
        manager.close();
    }

    static Stream<NumberFormat> formats() {
        return Stream.concat(GridTest.formats(), hqq()).filter(format -> !dependsOnTheWhole(format));
    }

    /** With groups that lie within rows, that are columns, and that reach over the ends of rows. */
    private static Stream<NumberFormat> hqq() {
        return Stream.of(groups(19, 1), groups(ROWS, 0), groups(20, 1), groups(38, 0));
    }

    private static HqqFormat groups(int size, int axis) {
        HqqSolver solver = new HqqSolver(20, HqqSolver.Stop.LAST, 0.7, 10, 1);
        return new HqqFormat(3, IntegerFormat.Granularity.GROUP, size, axis, false, solver);
    }

    /** Whether parts of a tensor may be rounded otherwise than the whole, as blocks depend on each other. */
    private static boolean dependsOnTheWhole(NumberFormat format) {
        boolean byItsSmallestBlock = format instanceof BlockFloatFormat blocks && blocks.exponentBias() > 127;
        boolean byTheSearchOfIntegers =
                format instanceof IntegerGridFormat integers && integers.range() == Range.COMPRESSED_TENSORS_MSE;
        boolean byTheSearchOfFloats = format instanceof Nvfp4Format nvfp4 && nvfp4.range() != Nvfp4Format.Range.MINMAX;
        return byItsSmallestBlock || byTheSearchOfIntegers || byTheSearchOfFloats;
    }

    private static float[] weight(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[ROWS * COLUMNS];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (random.nextGaussian() * Math.exp(random.nextGaussian()));
        }
        return values;
    }

    private static int[] shuffled(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        int[] order = ColumnRounding.asTheyAre(COLUMNS);
        for (int i = order.length - 1; i > 0; i--) {
            int other = random.nextInt(i + 1);
            int kept = order[i];
            order[i] = order[other];
            order[other] = kept;
        }
        return order;
    }

    /** Groups in their own order, each in another. */
    private static int[] inGroups(int size) {
        int whole = COLUMNS / size;
        int[] order = new int[COLUMNS];
        for (int i = 0; i < COLUMNS; i++) {
            int group = i / size;
            order[i] = group < whole ? (whole - 1 - group) * size + (size - 1 - i % size) : i;
        }
        return order;
    }

    /** Fits group by group, a few rows at a time, and rounds all values; returns them in the order of the weight. */
    private static float[] rounded(ColumnRounding rounding, float[] weight, int[] order, boolean fits) {
        float[] result = new float[weight.length];
        int group = rounding.groupColumns();
        int rows = Math.max(rounding.groupRows(), 4 / rounding.groupRows() * rounding.groupRows());
        for (int place = 0; place < COLUMNS; place += group) {
            int width = Math.min(group, COLUMNS - place);
            for (int from = 0; fits && from < ROWS; from += rows) {
                int to = Math.min(ROWS, from + rows);
                float[] part = new float[(to - from) * width];
                for (int row = from; row < to; row++) {
                    for (int i = 0; i < width; i++) {
                        part[(row - from) * width + i] = weight[row * COLUMNS + order[place + i]];
                    }
                }
                rounding.fit(place, from, part);
            }
            for (int i = place; i < place + width; i++) {
                for (int row = 0; row < ROWS; row++) {
                    int at = row * COLUMNS + order[i];
                    result[at] = rounding.rounded(weight[at], row, i);
                }
            }
        }
        return result;
    }

    /** Where no column changes another, the values are those of plain rounding, in any order that keeps groups. */
    @ParameterizedTest
    @MethodSource("formats")
    void partByPartIsAsTheWhole(NumberFormat format) throws IOException {
        float[] weight = weight(3);
        Shape shape = new Shape(ROWS, COLUMNS);
        NDArray tensor = NativeFloats.of(manager, weight, ROWS, COLUMNS);
        float[] expected = format.fakeQuantize(tensor, Operand.WEIGHT).toFloatArray();
        int group = ColumnRounding.groupColumns(format, shape);
        for (int[] order : new int[][] {ColumnRounding.asTheyAre(COLUMNS), inGroups(group)}) {
            ColumnRounding rounding = new ColumnRounding(format, tensor, order);
            if (rounding.groupRows() > 4 && rounding.groupRows() < ROWS) {
                continue;
            }
            float[] found = rounded(rounding, weight, order, group < COLUMNS);
            if (group < COLUMNS) {
                requireSame(found, expected);
                requireSameGrid(rounding, found, expected);
            }
        }
        int[] any = shuffled(5);
        ColumnRounding whole = new ColumnRounding(format, tensor, any);
        whole.fitAll(tensor);
        float[] found = rounded(whole, weight, any, false);
        requireSame(found, expected);
        requireSameGrid(whole, found, expected);
    }

    /** In an order that takes groups apart, the values are those of the weight with its columns in that order. */
    @ParameterizedTest
    @MethodSource("formats")
    void groupsOfAnyColumns(NumberFormat format) throws IOException {
        if (format instanceof HqqFormat hqq && hqq.solver().stopsEarly()) {
            return; // when it stops depends on the groups of the weight as it is
        }
        float[] weight = weight(4);
        int[] order = shuffled(6);
        NDArray tensor = NativeFloats.of(manager, weight, ROWS, COLUMNS);
        ColumnRounding rounding = new ColumnRounding(format, tensor, order);
        if (rounding.groupColumns() >= COLUMNS || (rounding.groupRows() > 4 && rounding.groupRows() < ROWS)) {
            return;
        }
        float[] turned = new float[weight.length];
        for (int i = 0; i < weight.length; i++) {
            turned[i] = weight[i / COLUMNS * COLUMNS + order[i % COLUMNS]];
        }
        float[] plain = format.fakeQuantize(NativeFloats.of(manager, turned, ROWS, COLUMNS), Operand.WEIGHT)
                .toFloatArray();
        float[] expected = new float[weight.length];
        for (int i = 0; i < weight.length; i++) {
            expected[i / COLUMNS * COLUMNS + order[i % COLUMNS]] = plain[i];
        }
        float[] found = rounded(rounding, weight, order, true);
        requireSame(found, expected);
        requireSameGrid(rounding, found, expected);
    }

    private void requireSameGrid(ColumnRounding rounding, float[] rounded, float[] expected) throws IOException {
        Grid grid = rounding.grid(NativeFloats.of(manager, rounded, ROWS, COLUMNS));
        requireSame(grid.values(manager).toFloatArray(), expected);
        Grid read = Grid.read(grid.format(), grid.shape(), grid.operand(), grid.parts());
        requireSame(read.values(manager).toFloatArray(), expected);
        requireSame(
                read.round(NativeFloats.of(manager, rounded, ROWS, COLUMNS))
                        .values(manager)
                        .toFloatArray(),
                expected);
    }

    private static void requireSame(float[] found, float[] expected) {
        for (int i = 0; i < found.length; i++) {
            assertThat(found[i]).as("value %d", i).isEqualTo(expected[i] == 0 ? found[i] * 0 : expected[i]);
        }
    }

    @Test
    void anOrderThatIsNoneIsRefused() throws IOException {
        NumberFormat format = new IntegerFormat(4, IntegerFormat.Granularity.GROUP, 4, true);
        float[] weight = weight(1);
        ColumnRounding rounding =
                new ColumnRounding(format, NativeFloats.of(manager, weight, ROWS, COLUMNS), shuffled(1));
        Grid grid =
                rounding.grid(NativeFloats.of(manager, rounded(rounding, weight, shuffled(1), true), ROWS, COLUMNS));
        for (int wrong : new int[] {-1, COLUMNS, 0}) {
            int[] order = shuffled(1);
            order[order[0] == 0 ? 1 : 0] = wrong == 0 ? order[order[0] == 0 ? 0 : 1] : wrong;
            Map<String, RawTensor> parts = new LinkedHashMap<>(grid.parts());
            parts.put("column_order", RawTensor.of(order, COLUMNS));
            assertThatThrownBy(() -> Grid.read(format, grid.shape(), grid.operand(), parts))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("column_order: expected each column once, got ");
        }
        assertThat(IntStream.of(shuffled(1)).sorted().toArray()).isEqualTo(ColumnRounding.asTheyAre(COLUMNS));
        assertThat(Arrays.equals(shuffled(1), ColumnRounding.asTheyAre(COLUMNS)))
                .isFalse();
    }
}
