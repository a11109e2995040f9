package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.IntegerFormat.Range;
import dev.ptq.format.IntegerGrid.Mapping;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** AutoRound's integers with learned shifts and ranges, against plain loops and finite differences. */
class ShiftedIntegersTest {
    private static final int ROWS = 5;
    private static final int COLUMNS = 14;

    private final NDManager manager = TensorEngine.newManager();

    @AfterEach
    void closeManager() {
        manager.close();
    }

    static Stream<ShiftedIntegers> all() {
        List<ShiftedIntegers> all = new ArrayList<>();
        for (int bits : new int[] {2, 3, 4, 8}) {
            for (Mapping mapping : List.of(Mapping.SYMMETRIC, Mapping.ASYMMETRIC)) {
                for (boolean half : new boolean[] {true, false}) {
                    all.add(new ShiftedIntegers(format(bits, Granularity.TENSOR, 0, mapping), half));
                    all.add(new ShiftedIntegers(format(bits, Granularity.CHANNEL, 0, mapping), half));
                    // two groups; three of which one is smaller; one
                    for (int size : new int[] {7, 5, 20}) {
                        all.add(new ShiftedIntegers(format(bits, Granularity.GROUP, size, mapping), half));
                    }
                }
            }
        }
        return all.stream();
    }

    /** Few bits, with which many values have the last codes, and more; what other widths change is a constant. */
    static Stream<ShiftedIntegers> differentiated() {
        return all().filter(integers ->
                integers.format().bits() == 2 || integers.format().bits() == 4);
    }

    private static IntegerGridFormat format(int bits, Granularity granularity, int size, Mapping mapping) {
        return new IntegerGridFormat(bits, granularity, size, IntegerGrid.FULL_RANGE, mapping, Range.MINMAX);
    }

    /** The rule in plain loops over doubles or, rounded after every operation, over floats. */
    private record Scalar(ShiftedIntegers integers, int rows, int columns, boolean single) {
        private double as(double value) {
            return single ? (float) value : value;
        }

        int width() {
            return switch (integers.format().granularity()) {
                case GROUP -> integers.format().groupSize();
                case TENSOR -> rows * columns;
                default -> columns;
            };
        }

        int group(int index) {
            if (integers.format().granularity() == Granularity.TENSOR) {
                return 0;
            }
            int across = (columns + width() - 1) / width();
            return index / columns * across + index % columns / width();
        }

        int groups() {
            return group(rows * columns - 1) + 1;
        }

        boolean symmetric() {
            return integers.format().mapping() == Mapping.SYMMETRIC;
        }

        double lowest() {
            return symmetric() ? -Math.pow(2, integers.format().bits() - 1) : 0;
        }

        double highest() {
            return lowest() + Math.pow(2, integers.format().bits()) - 1;
        }

        /** To eleven digits in base 2, and fewer below 2^-14; half to even. */
        static double toHalf(double value) {
            double unit = Math.pow(2, Math.max(Math.getExponent(value), -14) - 10);
            return Math.rint(value / unit) * unit;
        }

        /** The ends of a group's range, then what rounding to float16 adds to the scale; scale and exact zero point. */
        double[] scaleAndZero(double[] values, int group, double upper, double lower, double rounding) {
            double most = 0;
            double least = 0;
            for (int i = 0; i < values.length; i++) {
                if (group(i) == group) {
                    most = Math.max(most, values[i]);
                    least = Math.min(least, values[i]);
                }
            }
            most = as(most * upper);
            least = as(least * lower);
            double size = symmetric()
                    ? as(Math.max(most, -least) / -lowest())
                    : as(as(most - least) / (highest() - lowest()));
            size = Math.max(size, 1e-5f);
            if (Double.isNaN(rounding)) {
                size = integers.halfScales() ? toHalf(size) : size;
            } else {
                size += rounding;
            }
            double scale = symmetric() && most > 0 && most >= -least ? -size : size;
            return new double[] {scale, symmetric() ? 0 : as(-least / scale)};
        }
    }

    private static final double ROUNDED = Double.NaN;

    @ParameterizedTest
    @MethodSource("all")
    void valuesAreThoseOfPlainLoops(ShiftedIntegers integers) throws IOException {
        SplittableRandom random = new SplittableRandom(7);
        Scalar scalar = new Scalar(integers, ROWS, COLUMNS, true);
        for (int trial = 0; trial < 12; trial++) {
            // rows that straddle zero, and rows that do not; in the last trials scales are the least, or small halves
            double size = trial < 9 ? 1 : Math.pow(10, -trial / 2.0);
            double[] values = floats(random, trial % 3 - 1, size);
            double[] upper = factors(random, scalar.groups());
            double[] lower = factors(random, scalar.groups());
            double[] shifts =
                    random.doubles(values.length).map(x -> (float) (x - 0.5)).toArray();
            NDArray weight = tensor(values, ROWS, COLUMNS);
            long[] groups = integers.groups(weight.getShape()).getShape();
            NDArray found =
                    integers.round(weight, tensor(upper, groups), tensor(lower, groups), tensor(shifts, ROWS, COLUMNS));
            double[] expected = new double[values.length];
            for (int i = 0; i < values.length; i++) {
                int group = scalar.group(i);
                double[] range = scalar.scaleAndZero(values, group, upper[group], lower[group], ROUNDED);
                double zeroPoint = Math.rint(range[1]);
                double exact = scalar.as(scalar.as(values[i] / range[0]) + shifts[i]);
                double code = Math.min(Math.max(Math.rint(exact) + zeroPoint, scalar.lowest()), scalar.highest());
                expected[i] = scalar.as((code - zeroPoint) * range[0]) + 0.0;
            }
            assertThat(doubles(found)).containsExactly(expected);

            Grid grid =
                    integers.grid(weight, tensor(upper, groups), tensor(lower, groups), tensor(shifts, ROWS, COLUMNS));
            assertThat(grid.exceptions()).isZero();
            assertThat(bits(grid.values(manager))).isEqualTo(bits(found));
            Grid read = Grid.read(integers.format(), weight.getShape(), Operand.WEIGHT, grid.parts());
            assertThat(bits(read.values(manager))).isEqualTo(bits(found));
        }
    }

    /** Of odd values too, bit for bit: zeros, equal values, tiny and huge ones. */
    @ParameterizedTest
    @MethodSource("all")
    void untrainedTheyAreFakeQuantization(ShiftedIntegers integers) {
        SplittableRandom random = new SplittableRandom(8);
        ShiftedIntegers exact = new ShiftedIntegers(integers.format(), false);
        for (int trial = 0; trial < 12; trial++) {
            int rows = 1 + random.nextInt(6);
            int columns = 1 + random.nextInt(40);
            double size = Math.pow(10, random.nextInt(-30, 30));
            int kind = trial % 4;
            double[] values = new double[rows * columns];
            for (int i = 0; i < values.length; i++) {
                values[i] = kind == 0 ? 0 : (float) (size * (kind == 1 ? -1 : random.nextDouble(-2, 2)));
            }
            NDArray weight = tensor(values, rows, columns);
            NDArray one = manager.ones(exact.groups(weight.getShape()));
            NDArray none = manager.zeros(weight.getShape());
            int before = manager.getManagedArrays().size();
            NDArray found = exact.round(weight, one, one, none);
            assertThat(manager.getManagedArrays()).as("only the result is left").hasSize(before + 1);
            assertThat(found.toFloatArray())
                    .isEqualTo(integers.format()
                            .fakeQuantize(weight, Operand.WEIGHT)
                            .toFloatArray());
            before = manager.getManagedArrays().size();
            assertThat(exact.grid(weight, one, one, none).exceptions()).isZero();
            assertThat(manager.getManagedArrays()).as("nothing is left").hasSize(before);
        }
    }

    /** With what rounding left, and which values have the last codes, held fixed, the values are a smooth function. */
    @ParameterizedTest
    @MethodSource("differentiated")
    void gradientsAreFiniteDifferences(ShiftedIntegers integers) {
        SplittableRandom random = new SplittableRandom(9);
        Scalar scalar = new Scalar(integers, ROWS, COLUMNS, false);
        int groups = scalar.groups();
        double[] weights = random.doubles(ROWS * COLUMNS).map(x -> 4 * x - 2).toArray();
        double[] counts = random.doubles(weights.length).map(x -> 4 * x - 2).toArray();
        double[] shifts = random.doubles(weights.length).map(x -> x - 0.5).toArray();
        double[] upper = factors(random, groups);
        double[] lower = factors(random, groups);

        double[] ofScale = new double[groups];
        double[] ofZeroPoint = new double[groups];
        double[] ofCode = new double[weights.length];
        double[] clampedTo = new double[weights.length];
        for (int group = 0; group < groups; group++) {
            double[] range = scalar.scaleAndZero(weights, group, upper[group], lower[group], ROUNDED);
            double[] unrounded = scalar.scaleAndZero(weights, group, upper[group], lower[group], 0);
            ofScale[group] = Math.abs(range[0]) - Math.abs(unrounded[0]);
            ofZeroPoint[group] = Math.rint(range[1]) - range[1];
        }
        int inside = 0;
        for (int i = 0; i < weights.length; i++) {
            int group = scalar.group(i);
            double[] range = scalar.scaleAndZero(weights, group, upper[group], lower[group], ROUNDED);
            double exact = weights[i] / range[0] + shifts[i];
            ofCode[i] = Math.rint(exact) - exact;
            double code = Math.rint(exact) + Math.rint(range[1]);
            clampedTo[i] = code <= scalar.lowest()
                    ? scalar.lowest()
                    : code >= scalar.highest() ? scalar.highest() : Double.NaN;
            inside += Double.isNaN(clampedTo[i]) ? 1 : 0;
        }
        assertThat(inside).as("values between the last codes").isGreaterThan(weights.length / 4);

        long[] shared = integers.groups(new Shape(ROWS, COLUMNS)).getShape();
        List<NDArray> arguments = List.of(
                wide(weights, ROWS, COLUMNS), wide(upper, shared), wide(lower, shared), wide(shifts, ROWS, COLUMNS));
        NDArray factor = wide(counts, ROWS, COLUMNS);
        arguments.forEach(argument -> argument.setRequiresGradient(true));
        try (GradientCollector collector = Engine.getEngine("PyTorch").newGradientCollector()) {
            NDArray loss = integers.round(arguments.get(0), arguments.get(1), arguments.get(2), arguments.get(3))
                    .mul(factor)
                    .sum();
            LearnedIntegersTest.disturb();
            collector.backward(loss);
        }

        ToDoubleFunction<List<double[]>> smooth = at -> {
            double sum = 0;
            for (int i = 0; i < weights.length; i++) {
                int group = scalar.group(i);
                double[] range =
                        scalar.scaleAndZero(at.get(0), group, at.get(1)[group], at.get(2)[group], ofScale[group]);
                double zeroPoint = range[1] + ofZeroPoint[group];
                double code = at.get(0)[i] / range[0] + at.get(3)[i] + ofCode[i];
                sum += counts[i] * range[0] * (Double.isNaN(clampedTo[i]) ? code : clampedTo[i] - zeroPoint);
            }
            return sum;
        };
        LearnedIntegersTest.assertGradients(arguments, List.of(weights, upper, lower, shifts), smooth);
    }

    /** A shift of half a step takes a value to either neighbour, and none beyond the codes. */
    @Test
    void aShiftDecidesBetweenNeighbours() {
        ShiftedIntegers integers = new ShiftedIntegers(format(3, Granularity.CHANNEL, 0, Mapping.ASYMMETRIC), true);
        // from -2 to 5: a step is 1, the zero point 2
        NDArray weight = tensor(new double[] {-2, 5, 0.3, 0.3, 0.3, 4.9, -2}, 1, 7);
        NDArray one = manager.ones(new Shape(1, 1));
        NDArray shift = tensor(new double[] {-0.5, 0.5, 0.1, 0.3, -0.5, 0.7, -0.7}, 1, 7);
        assertThat(integers.round(weight, one, one, shift).toFloatArray()).containsExactly(-2, 5, 0, 1, 0, 5, -2);
        NDArray half = manager.full(new Shape(1, 1), 0.5f, DataType.FLOAT32);
        // from -1 to 2.5: a step is a half
        assertThat(integers.round(weight, half, half, shift).toFloatArray())
                .containsExactly(-1, 2.5f, 0.5f, 0.5f, 0, 2.5f, -1);
    }

    @Test
    void refusesOtherShapesAndFormats() {
        ShiftedIntegers integers = new ShiftedIntegers(format(4, Granularity.GROUP, 5, Mapping.ASYMMETRIC), true);
        NDArray weight = manager.ones(new Shape(3, 12));
        NDArray right = manager.ones(new Shape(3, 3));
        NDArray wrong = manager.ones(new Shape(3, 1));
        assertThatThrownBy(() -> integers.round(weight, wrong, right, weight))
                .hasMessageContaining("upper factor of shape (3, 3)");
        assertThatThrownBy(() -> integers.round(weight, right, wrong, weight))
                .hasMessageContaining("lower factor of shape (3, 3)");
        assertThatThrownBy(() -> integers.round(weight, right, right, right))
                .hasMessageContaining("shift of shape (3, 12)");
        IntegerGridFormat other =
                new IntegerGridFormat(4, Granularity.CHANNEL, 0, IntegerGrid.GPTQ, Mapping.ASYMMETRIC, Range.MINMAX);
        assertThatThrownBy(() -> new ShiftedIntegers(other, true)).hasMessageContaining("FULL_RANGE");
        assertThat(ShiftedIntegers.fits(integers.format())).isTrue();
        for (NumberFormat format : List.of(other, new IntegerFormat(4, Granularity.CHANNEL, 0, true), new NoFormat())) {
            assertThat(ShiftedIntegers.fits(format)).isFalse();
        }
    }

    private NDArray tensor(double[] values, long... shape) {
        float[] floats = new float[values.length];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = (float) values[i];
        }
        return NativeFloats.of(manager, floats, shape);
    }

    private NDArray wide(double[] values, long... shape) {
        NDArray array = manager.create(new Shape(shape), DataType.FLOAT64);
        array.toByteBuffer(true).asDoubleBuffer().put(values);
        return array;
    }

    private static double[] doubles(NDArray array) {
        float[] floats = array.toFloatArray();
        return IntStream.range(0, floats.length)
                .mapToDouble(i -> floats[i] + 0.0)
                .toArray();
    }

    private static int[] bits(NDArray array) {
        float[] values = array.toFloatArray();
        return IntStream.range(0, values.length)
                .map(i -> Float.floatToIntBits(values[i]))
                .toArray();
    }

    private static double[] floats(SplittableRandom random, int mean, double size) {
        double[] values = new double[ROWS * COLUMNS];
        Arrays.setAll(values, i -> (float) (size * (4 * mean + random.nextDouble(-2, 2))));
        return values;
    }

    private static double[] factors(SplittableRandom random, int count) {
        double[] factors = new double[count];
        Arrays.setAll(factors, i -> (float) random.nextDouble(0.5, 1.0));
        return factors;
    }
}
