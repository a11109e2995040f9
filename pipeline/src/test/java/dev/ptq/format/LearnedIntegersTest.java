package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.IntegerFormat.Range;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntToDoubleFunction;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What methods learn of integer weights: ranges, scales and divisors, against plain loops and finite differences. */
class LearnedIntegersTest {
    private static final int ROWS = 5;
    private static final int COLUMNS = 14;

    private final NDManager manager = TensorEngine.newManager();

    @AfterEach
    void closeManager() {
        manager.close();
    }

    static Stream<IntegerFormat> formats() {
        List<IntegerFormat> formats = new ArrayList<>();
        for (int bits : new int[] {2, 3, 4, 8}) {
            for (Granularity granularity : List.of(Granularity.TENSOR, Granularity.CHANNEL)) {
                formats.add(new IntegerFormat(bits, granularity, 0, true));
                formats.add(new IntegerFormat(bits, granularity, 0, false));
                formats.add(new IntegerFormat(bits, granularity, 0, false, false, Range.MINMAX));
            }
            // of 14 columns: two groups, three of which one is smaller, one
            for (int size : new int[] {7, 5, 20}) {
                formats.add(new IntegerFormat(bits, Granularity.GROUP, size, true));
                formats.add(new IntegerFormat(bits, Granularity.GROUP, size, false));
                formats.add(new IntegerFormat(bits, Granularity.GROUP, size, false, false, Range.MINMAX));
            }
        }
        return formats.stream();
    }

    /** Few bits, with which many values are clamped, and more; what other widths change is a constant. */
    static Stream<IntegerFormat> differentiated() {
        return formats().filter(format -> format.bits() == 2 || format.bits() == 4);
    }

    @ParameterizedTest
    @MethodSource("formats")
    void valuesAreThoseOfPlainLoops(IntegerFormat format) {
        SplittableRandom random = new SplittableRandom(7);
        ScalarIntegers scalar = new ScalarIntegers(format, ROWS, COLUMNS, true);
        for (int trial = 0; trial < 6; trial++) {
            // rows that straddle zero, and rows that do not
            double[] values = floats(random, ROWS * COLUMNS, trial % 3 - 1);
            NDArray weight = tensor(DataType.FLOAT32, values, ROWS, COLUMNS);
            double[] ones = new double[scalar.groups()];
            Arrays.fill(ones, 1);
            assertThat(doubles(format.fakeQuantize(weight, Operand.WEIGHT)))
                    .containsExactly(positive(scalar.clipped(values, ones, ones)));

            double[] upper = factors(random, scalar.groups());
            double[] lower = factors(random, scalar.groups());
            Shape groups = format.groups(weight.getShape());
            assertThat(groups.size()).isEqualTo(scalar.groups());
            NDArray clipped = format.clipped(
                    weight,
                    tensor(DataType.FLOAT32, upper, groups.getShape()),
                    tensor(DataType.FLOAT32, lower, groups.getShape()));
            assertThat(doubles(clipped)).containsExactly(positive(scalar.clipped(values, upper, lower)));

            IntegerFormat.Scales grid = format.scales(weight);
            double[] scales = doubles(grid.scale());
            double[] zeroPoints = doubles(grid.zeroPoint());
            for (int group = 0; group < scalar.groups(); group++) {
                double[] expected = scalar.scaleAndZero(values, group, 1, 1);
                assertThat(scales[group]).isEqualTo(expected[0]);
                assertThat(zeroPoints[group]).isEqualTo(scalar.zeroPoint(expected[1]) + 0.0);
            }
            double[] divisors = new double[values.length];
            double[] expected = new double[values.length];
            for (int i = 0; i < values.length; i++) {
                int group = scalar.group(i);
                divisors[i] = (float) (scales[group] * random.nextDouble(0.6, 1.7));
                expected[i] = scalar.rounded(values[i], divisors[i], scales[group], zeroPoints[group]);
            }
            NDArray divided = format.divided(
                    weight, grid.scale(), grid.zeroPoint(), tensor(DataType.FLOAT32, divisors, ROWS, COLUMNS));
            assertThat(doubles(divided)).containsExactly(positive(expected));
        }
    }

    /** Of odd values too, bit for bit: zeros, equal values, tiny and huge ones. */
    @ParameterizedTest
    @MethodSource("formats")
    void untrainedTheyAreFakeQuantization(IntegerFormat format) {
        SplittableRandom random = new SplittableRandom(8);
        for (int trial = 0; trial < 12; trial++) {
            int rows = 1 + random.nextInt(6);
            int columns = 1 + random.nextInt(40);
            double[] values = floats(random, rows * columns, random.nextInt(3) - 1);
            double size = Math.pow(10, random.nextInt(-30, 30));
            int kind = trial % 4;
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) (kind == 0 ? 0 : kind == 1 ? size * (1 + 1e-7 * (i % 2)) : values[i] * size);
            }
            NDArray weight = tensor(DataType.FLOAT32, values, rows, columns);
            float[] expected = format.fakeQuantize(weight, Operand.WEIGHT).toFloatArray();
            for (int i = 0; i < expected.length; i++) {
                assertThat(expected[i]).isFinite();
                if (kind == 1 && !format.includeZero()) {
                    // equal values stay, whatever the bits
                    assertThat(expected[i]).isCloseTo((float) values[i], within((float) (size * 1e-6)));
                }
            }
            NDArray one = manager.ones(format.groups(weight.getShape()));
            int before = manager.getManagedArrays().size();
            assertThat(format.clipped(weight, one, one).toFloatArray()).isEqualTo(expected);
            assertThat(manager.getManagedArrays()).as("only the result is left").hasSize(before + 1);
            assertThat(format.differentiable(weight, Operand.WEIGHT).toFloatArray())
                    .isEqualTo(expected);
            IntegerFormat.Scales grid = format.scales(weight);
            before = manager.getManagedArrays().size();
            assertThat(format.divided(weight, grid.scale(), grid.zeroPoint(), grid.scale())
                            .toFloatArray())
                    .isEqualTo(expected);
            assertThat(manager.getManagedArrays()).as("only the result is left").hasSize(before + 1);
        }
    }

    /** With what rounding left and which values are clamped held fixed, both are smooth functions. */
    @ParameterizedTest
    @MethodSource("differentiated")
    void gradientsOfRangesAreFiniteDifferences(IntegerFormat format) {
        SplittableRandom random = new SplittableRandom(9);
        ScalarIntegers scalar = new ScalarIntegers(format, ROWS, COLUMNS, false);
        int groups = scalar.groups();
        double[] weights = doubles(random, ROWS * COLUMNS);
        double[] upper = factors(random, groups);
        double[] lower = factors(random, groups);
        double[] counts = doubles(random, weights.length);
        double[] zeroPoints = new double[groups];
        double[] scales = new double[groups];
        for (int group = 0; group < groups; group++) {
            double[] range = scalar.scaleAndZero(weights, group, upper[group], lower[group]);
            scales[group] = range[0];
            zeroPoints[group] = scalar.zeroPoint(range[1]);
        }
        Frozen frozen = new Frozen(scalar, weights, zeroPoints, index -> scales[scalar.group(index)]);
        Shape shared = format.groups(new Shape(ROWS, COLUMNS));
        NDArray w = tensor(DataType.FLOAT64, weights, ROWS, COLUMNS);
        NDArray u = tensor(DataType.FLOAT64, upper, shared.getShape());
        NDArray l = tensor(DataType.FLOAT64, lower, shared.getShape());
        List<NDArray> arguments = List.of(w, u, l);

        backward(arguments, counts, () -> format.clipped(w, u, l));

        ToDoubleFunction<List<double[]>> smooth = at -> {
            double[] ranges = new double[groups];
            for (int group = 0; group < groups; group++) {
                ranges[group] = scalar.scaleAndZero(at.get(0), group, at.get(1)[group], at.get(2)[group])[0];
            }
            double sum = 0;
            for (int i = 0; i < weights.length; i++) {
                double scale = ranges[scalar.group(i)];
                sum += counts[i] * scale * frozen.code(i, at.get(0)[i] / scale);
            }
            return sum;
        };
        assertGradients(arguments, List.of(weights, upper, lower), smooth);
    }

    @ParameterizedTest
    @MethodSource("differentiated")
    void gradientsOfDivisionAreFiniteDifferences(IntegerFormat format) {
        SplittableRandom random = new SplittableRandom(10);
        ScalarIntegers scalar = new ScalarIntegers(format, ROWS, COLUMNS, false);
        int groups = scalar.groups();
        double[] weights = doubles(random, ROWS * COLUMNS);
        double[] counts = doubles(random, weights.length);
        double[] scales = new double[groups];
        double[] zeroPoints = new double[groups];
        for (int group = 0; group < groups; group++) {
            double[] range = scalar.scaleAndZero(weights, group, 1, 1);
            scales[group] = range[0];
            zeroPoints[group] = scalar.zeroPoint(range[1]);
        }
        double[] divisors = new double[weights.length];
        for (int i = 0; i < divisors.length; i++) {
            divisors[i] = scales[scalar.group(i)] * random.nextDouble(0.6, 1.7);
        }
        Frozen frozen = new Frozen(scalar, weights, zeroPoints, index -> divisors[index]);
        Shape shared = format.groups(new Shape(ROWS, COLUMNS));
        NDArray w = tensor(DataType.FLOAT64, weights, ROWS, COLUMNS);
        NDArray s = tensor(DataType.FLOAT64, scales, shared.getShape());
        NDArray d = tensor(DataType.FLOAT64, divisors, ROWS, COLUMNS);
        NDArray z = tensor(DataType.FLOAT64, zeroPoints, shared.getShape());
        List<NDArray> arguments = List.of(w, s, d);

        backward(arguments, counts, () -> format.divided(w, s, z, d));

        ToDoubleFunction<List<double[]>> smooth = at -> {
            double sum = 0;
            for (int i = 0; i < weights.length; i++) {
                sum += counts[i] * at.get(1)[scalar.group(i)] * frozen.code(i, at.get(0)[i] / at.get(2)[i]);
            }
            return sum;
        };
        assertGradients(arguments, List.of(weights, scales, divisors), smooth);
    }

    /** One column or one row of divisors is as good as all of them written out. */
    @Test
    void aDivisorIsBroadcast() {
        NDArray weight = tensor(DataType.FLOAT32, floats(new SplittableRandom(1), 15 * 8, 0), 8, 15);
        for (IntegerFormat format : List.of(
                new IntegerFormat(4, Granularity.CHANNEL, 0, false),
                new IntegerFormat(4, Granularity.TENSOR, 0, true),
                new IntegerFormat(4, Granularity.GROUP, 5, false),
                new IntegerFormat(4, Granularity.GROUP, 4, true))) {
            IntegerFormat.Scales grid = format.scales(weight);
            for (long[] shape : new long[][] {{8, 1}, {1, 15}, {1, 1}, {15}, {}}) {
                NDArray divisor = manager.full(new Shape(shape), 0.3f, DataType.FLOAT32);
                NDArray written = manager.full(new Shape(8, 15), 0.3f, DataType.FLOAT32);
                assertThat(format.divided(weight, grid.scale(), grid.zeroPoint(), divisor)
                                .toFloatArray())
                        .as("%s %s", format, Arrays.toString(shape))
                        .isEqualTo(format.divided(weight, grid.scale(), grid.zeroPoint(), written)
                                .toFloatArray());
            }
        }
    }

    /** Its values are those of the search, its gradient that of the code alone. */
    @Test
    void aSearchedRangeIsHeldFixed() {
        for (boolean symmetric : new boolean[] {true, false}) {
            IntegerFormat format = new IntegerFormat(3, Granularity.GROUP, 6, symmetric, true, Range.MSE);
            NDArray weight = tensor(DataType.FLOAT32, floats(new SplittableRandom(3), 4 * 16, 0), 4, 16);
            float[] expected = format.fakeQuantize(weight, Operand.WEIGHT).toFloatArray();
            IntegerFormat.Scales grid = format.scales(weight);
            assertThat(format.divided(weight, grid.scale(), grid.zeroPoint(), grid.scale())
                            .toFloatArray())
                    .isEqualTo(expected);
            double[] ones = new double[4 * 16];
            Arrays.fill(ones, 1);
            backward(List.of(weight), ones, () -> {
                NDArray rounded = format.differentiable(weight, Operand.WEIGHT);
                assertThat(rounded.toFloatArray()).isEqualTo(expected);
                return rounded;
            });
            // a clamped value is off by more than half a step and has none
            for (int i = 0; i < expected.length; i++) {
                double step = grid.scale().toFloatArray()[i / 16 * 3 + i % 16 / 6];
                double error = Math.abs(weight.toFloatArray()[i] - expected[i]);
                assertThat(weight.getGradient().toFloatArray()[i]).isEqualTo(error > step * 0.5001 ? 0f : 1f);
            }
            NDArray one = manager.ones(format.groups(weight.getShape()));
            assertThatThrownBy(() -> format.clipped(weight, one, one)).isInstanceOf(IllegalStateException.class);
            assertThatThrownBy(() -> format.differentiable(weight, Operand.FACTOR))
                    .isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void refusesFactorsOfAnotherShape() {
        IntegerFormat format = new IntegerFormat(4, Granularity.GROUP, 5, false);
        NDArray weight = manager.ones(new Shape(3, 12));
        NDArray right = manager.ones(new Shape(3, 3));
        NDArray wrong = manager.ones(new Shape(3, 1));
        assertThatThrownBy(() -> format.clipped(weight, right, wrong))
                .hasMessageContaining("lower factor of shape (3, 3)");
        assertThatThrownBy(() -> format.divided(weight, wrong, right, weight))
                .hasMessageContaining("scale of shape (3, 3)");
        assertThatThrownBy(() -> format.scales(manager.ones(new Shape(3)))).hasMessageContaining("[out, in]");
        assertThat(format.groups(new Shape(7, 11))).isEqualTo(new Shape(7, 3));
    }

    /** What rounding and clamping did to each value, held fixed. */
    private static final class Frozen {
        private final double[] remainder;
        private final double[] clamped;

        Frozen(ScalarIntegers scalar, double[] weights, double[] zeroPoints, IntToDoubleFunction divisor) {
            remainder = new double[weights.length];
            clamped = new double[weights.length];
            int inside = 0;
            for (int i = 0; i < weights.length; i++) {
                double exact = weights[i] / divisor.applyAsDouble(i);
                double zeroPoint = zeroPoints[scalar.group(i)];
                double code = Math.rint(exact) + zeroPoint;
                remainder[i] = Math.rint(exact) - exact;
                clamped[i] = code < scalar.lowest()
                        ? scalar.lowest() - zeroPoint
                        : code > scalar.highest() ? scalar.highest() - zeroPoint : Double.NaN;
                inside += Double.isNaN(clamped[i]) ? 1 : 0;
            }
            assertThat(inside).as("values that are not clamped").isGreaterThan(weights.length / 3);
        }

        double code(int index, double exact) {
            return Double.isNaN(clamped[index]) ? exact + remainder[index] : clamped[index];
        }
    }

    private void backward(List<NDArray> arguments, double[] counts, Supplier<NDArray> function) {
        arguments.forEach(argument -> argument.setRequiresGradient(true));
        NDArray factor = tensor(
                arguments.get(0).getDataType(),
                counts,
                arguments.get(0).getShape().getShape());
        try (GradientCollector collector = Engine.getEngine("PyTorch").newGradientCollector()) {
            NDArray loss = function.get().mul(factor).sum();
            disturb();
            collector.backward(loss);
        }
    }

    /** Lets go of whatever memory of the Java side nobody holds, and writes over it. */
    static void disturb() {
        for (int round = 0; round < 1; round++) {
            System.gc();
            for (int i = 0; i < 500; i++) {
                ByteBuffer buffer = ByteBuffer.allocateDirect(8 + i % 64 * 8);
                while (buffer.remaining() >= 8) {
                    buffer.putDouble(-777);
                }
            }
        }
    }

    static void assertGradients(
            List<NDArray> arguments, List<double[]> points, ToDoubleFunction<List<double[]>> smooth) {
        for (int argument = 0; argument < arguments.size(); argument++) {
            double[] gradient = arguments.get(argument).getGradient().toDoubleArray();
            for (int i = 0; i < gradient.length; i++) {
                double h = 1e-6 * Math.abs(points.get(argument)[i]);
                double difference = (smooth.applyAsDouble(moved(points, argument, i, h))
                                - smooth.applyAsDouble(moved(points, argument, i, -h)))
                        / (2 * h);
                // differences of sums of about 100 with 16 digits, over steps of 1e-6
                assertThat(gradient[i])
                        .as("argument %s at %s", argument, i)
                        .isCloseTo(difference, within(1e-6 * (1 + Math.abs(difference))));
            }
        }
    }

    private static List<double[]> moved(List<double[]> points, int argument, int index, double by) {
        List<double[]> moved = new ArrayList<>(points);
        double[] values = points.get(argument).clone();
        values[index] += by;
        moved.set(argument, values);
        return moved;
    }

    private NDArray tensor(DataType type, double[] values, long... shape) {
        if (type == DataType.FLOAT32) {
            float[] floats = new float[values.length];
            for (int i = 0; i < floats.length; i++) {
                floats[i] = (float) values[i];
            }
            return NativeFloats.of(manager, floats, shape);
        }
        NDArray array = manager.create(new Shape(shape), type);
        array.toByteBuffer(true).asDoubleBuffer().put(values);
        return array;
    }

    private static double[] doubles(NDArray array) {
        float[] floats = array.toFloatArray();
        double[] values = new double[floats.length];
        for (int i = 0; i < floats.length; i++) {
            values[i] = floats[i] + 0.0;
        }
        return values;
    }

    /** The values with one zero only. */
    private static double[] positive(double[] values) {
        for (int i = 0; i < values.length; i++) {
            values[i] += 0.0;
        }
        return values;
    }

    private static double[] floats(SplittableRandom random, int count, double mean) {
        double[] values = doubles(random, count);
        for (int i = 0; i < count; i++) {
            values[i] = (float) (4 * mean + values[i]);
        }
        return values;
    }

    private static double[] doubles(SplittableRandom random, int count) {
        return random.doubles(count).map(x -> 4 * x - 2).toArray();
    }

    private static double[] factors(SplittableRandom random, int count) {
        double[] factors = new double[count];
        for (int i = 0; i < count; i++) {
            factors[i] = (float) random.nextDouble(0.5, 1.0);
        }
        return factors;
    }
}
