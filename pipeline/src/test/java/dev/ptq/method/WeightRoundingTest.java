package dev.ptq.method;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import dev.ptq.format.Grid;
import dev.ptq.format.IntegerFormat;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.IntegerFormat.Range;
import dev.ptq.format.IntegerGrid;
import dev.ptq.format.IntegerGrid.Mapping;
import dev.ptq.format.IntegerGridFormat;
import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.ShiftedIntegers;
import dev.ptq.model.HookPoint;
import dev.ptq.model.LinearSpec;
import dev.ptq.tensor.TensorEngine;
import java.nio.DoubleBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What parameters of a rounding make of the scales, divisors and ranges that a format takes. Gradients in these are
 * compared with finite differences in {@code LearnedIntegersTest}; here the chain rule leads from them to parameters.
 */
class WeightRoundingTest {
    private static final int OUT = 5;
    private static final int IN = 14;
    private static final LinearSpec LINEAR =
            new LinearSpec(0, "model.layers.0.mlp.up_proj", "mlp.up_proj", HookPoint.MLP_IN, OUT, IN, false);

    private final NDManager manager = TensorEngine.newManager();
    private final SplittableRandom random = new SplittableRandom(4);

    @AfterEach
    void closeManager() {
        manager.close();
    }

    static Stream<IntegerFormat> formats() {
        return Stream.of(
                new IntegerFormat(4, Granularity.CHANNEL, 0, true),
                new IntegerFormat(3, Granularity.CHANNEL, 0, false),
                new IntegerFormat(4, Granularity.GROUP, 7, false),
                // three groups, the last of four columns
                new IntegerFormat(3, Granularity.GROUP, 5, true));
    }

    static Stream<Arguments> divisions() {
        return formats().flatMap(format -> Stream.of(0, 3).map(rank -> Arguments.of(format, rank)));
    }

    private NDArray normal(double size, long... shape) {
        NDArray values = manager.zeros(new Shape(shape), DataType.FLOAT64);
        scramble(values, size);
        return values;
    }

    private void scramble(NDArray values, double size) {
        DoubleBuffer window = values.toByteBuffer(true).asDoubleBuffer();
        for (int i = 0; i < window.capacity(); i++) {
            window.put(i, window.get(i) + size * random.nextGaussian());
        }
    }

    private List<double[]> gradients(List<NDArray> variables, NDArray weights, Function<NDManager, NDArray> rounded) {
        return GradientCheck.gradients(manager, variables, scratch -> {
            variables.forEach(variable -> variable.tempAttach(scratch));
            weights.tempAttach(scratch);
            return rounded.apply(scratch).mul(weights).sum();
        });
    }

    private static int group(IntegerFormat format, int index) {
        int size = format.groupSize() == 0 ? IN : format.groupSize();
        int perRow = (IN + size - 1) / size;
        return index / IN * perRow + index % IN / size;
    }

    @ParameterizedTest
    @MethodSource("divisions")
    void theDivisorIsTheScaleTimesTheExponentialOfTheSum(IntegerFormat format, int rank) {
        NDArray weight = normal(1, OUT, IN);
        NDArray counts = normal(1, OUT, IN);
        LearnedDivision division =
                new LearnedDivision(manager, LINEAR, weight.toType(DataType.FLOAT32, true), format, rank, 1e-3, 1);
        Map<String, NDArray> parameters = division.parameters().stream()
                .collect(Collectors.toMap(
                        parameter -> parameter.name().substring("mlp.up_proj.".length()), parameter -> {
                            parameter.convert(DataType.FLOAT64);
                            scramble(parameter.tensor(), 0.2);
                            return parameter.tensor();
                        }));
        assertThat(parameters.keySet())
                .containsExactlyInAnyOrderElementsOf(
                        rank == 0 ? List.of("step", "row", "full") : List.of("step", "row", "column", "left", "right"));

        // by plain loops: the logarithm of each divisor, then the divisors and scales
        double[] step = doubles(parameters, "step");
        double[] log = new double[OUT * IN];
        for (int i = 0; i < log.length; i++) {
            log[i] = doubles(parameters, "row")[i / IN];
            if (rank == 0) {
                log[i] += doubles(parameters, "full")[i];
            } else {
                log[i] += doubles(parameters, "column")[i % IN];
                for (int r = 0; r < rank; r++) {
                    log[i] += doubles(parameters, "left")[i / IN * rank + r]
                            * doubles(parameters, "right")[r * IN + i % IN];
                }
            }
        }
        IntegerFormat.Scales grid = format.scales(weight.toType(DataType.FLOAT32, true));
        float[] start = grid.scale().toFloatArray();
        NDArray scale = normal(0, grid.scale().getShape().getShape());
        NDArray divisor = normal(0, OUT, IN);
        DoubleBuffer scales = scale.toByteBuffer(true).asDoubleBuffer();
        DoubleBuffer divisors = divisor.toByteBuffer(true).asDoubleBuffer();
        for (int i = 0; i < start.length; i++) {
            scales.put(i, start[i] * Math.exp(step[i]));
        }
        for (int i = 0; i < log.length; i++) {
            divisors.put(i, scales.get(group(format, i)) * Math.exp(log[i]));
        }
        double[] expected =
                format.divided(weight, scale, grid.zeroPoint(), divisor).toDoubleArray();
        double[] found = division.round(weight).toDoubleArray();
        for (int i = 0; i < found.length; i++) {
            assertThat(found[i]).isCloseTo(expected[i], within(1e-12));
        }

        List<double[]> inner = gradients(
                List.of(scale, divisor), counts, scratch -> format.divided(weight, scale, grid.zeroPoint(), divisor));
        double[] byLog = new double[log.length];
        double[] byStep = new double[step.length];
        for (int i = 0; i < step.length; i++) {
            byStep[i] = inner.get(0)[i] * scales.get(i);
        }
        for (int i = 0; i < log.length; i++) {
            byLog[i] = inner.get(1)[i] * divisors.get(i);
            byStep[group(format, i)] += byLog[i];
        }
        List<NDArray> variables = List.copyOf(parameters.values());
        List<double[]> outer = gradients(variables, counts, scratch -> division.round(weight));
        int at = 0;
        for (String name : parameters.keySet()) {
            double[] gradient = outer.get(at++);
            double[] wanted = switch (name) {
                case "step" -> byStep;
                case "full" -> byLog;
                case "row" -> summed(byLog, OUT, i -> i / IN);
                case "column" -> summed(byLog, IN, i -> i % IN);
                default -> byFactor(parameters, name, byLog, rank);
            };
            assertClose(name, gradient, wanted);
        }
    }

    private static double[] summed(double[] values, int size, Function<Integer, Integer> to) {
        double[] sums = new double[size];
        IntStream.range(0, values.length).forEach(i -> sums[to.apply(i)] += values[i]);
        return sums;
    }

    private static double[] byFactor(Map<String, NDArray> parameters, String name, double[] byLog, int rank) {
        boolean isLeft = name.equals("left");
        double[] other = doubles(parameters, isLeft ? "right" : "left");
        double[] gradient = new double[rank * (isLeft ? OUT : IN)];
        for (int i = 0; i < byLog.length; i++) {
            for (int r = 0; r < rank; r++) {
                int left = i / IN * rank + r;
                int right = r * IN + i % IN;
                gradient[isLeft ? left : right] += byLog[i] * other[isLeft ? right : left];
            }
        }
        return gradient;
    }

    @ParameterizedTest
    @MethodSource("formats")
    void theRangeIsTheSigmoidsShare(IntegerFormat format) {
        NDArray weight = normal(1, OUT, IN);
        NDArray counts = normal(1, OUT, IN);
        LearnedClipping clipping = new LearnedClipping(manager, LINEAR, format, 1, 1e-3);
        List<NDArray> ends = clipping.parameters().stream()
                .map(parameter -> {
                    parameter.convert(DataType.FLOAT64);
                    scramble(parameter.tensor(), 0.5);
                    return parameter.tensor();
                })
                .toList();
        assertThat(clipping.parameters())
                .extracting(Parameter::name)
                .containsExactly("mlp.up_proj.upper", "mlp.up_proj.lower");
        List<NDArray> shares = ends.stream()
                .map(end -> {
                    NDArray share = end.duplicate();
                    DoubleBuffer window = share.toByteBuffer(true).asDoubleBuffer();
                    for (int i = 0; i < window.capacity(); i++) {
                        window.put(i, 1 / (1 + Math.exp(-window.get(i))));
                    }
                    return share;
                })
                .toList();
        double[] expected = format.clipped(weight, shares.get(0), shares.get(1)).toDoubleArray();
        assertClose("values", clipping.round(weight).toDoubleArray(), expected);

        List<double[]> inner =
                gradients(shares, counts, scratch -> format.clipped(weight, shares.get(0), shares.get(1)));
        List<double[]> outer = gradients(ends, counts, scratch -> clipping.round(weight));
        for (int end = 0; end < 2; end++) {
            double[] share = shares.get(end).toDoubleArray();
            double[] wanted = inner.get(end);
            for (int i = 0; i < wanted.length; i++) {
                wanted[i] *= share[i] * (1 - share[i]);
            }
            assertClose(end == 0 ? "upper" : "lower", outer.get(end), wanted);
        }
    }

    /** The parameters are what the integers take, and after a step they are back where they may be. */
    @ParameterizedTest
    @MethodSource("fullRanges")
    void shiftsAndRangesAreHandedOn(IntegerGridFormat format) {
        NDArray weight = normal(1, OUT, IN);
        NDArray counts = normal(1, OUT, IN);
        ShiftedIntegers integers = new ShiftedIntegers(format, false);
        LearnedShift shift = new LearnedShift(manager, LINEAR, integers, 1e-2, 1e-3);
        assertThat(shift.parameters())
                .extracting(Parameter::name)
                .containsExactly("mlp.up_proj.upper", "mlp.up_proj.lower", "mlp.up_proj.shift");
        assertThat(shift.parameters()).extracting(Parameter::rate).containsExactly(1e-2, 1e-2, 1e-3);
        List<float[]> moved = new ArrayList<>();
        for (Parameter parameter : shift.parameters()) {
            float[] values = parameter.values();
            for (int i = 0; i < values.length; i++) {
                values[i] += (float) (0.6 * random.nextGaussian());
            }
            parameter.set(values);
            moved.add(values);
        }
        shift.project();
        for (int which = 0; which < 3; which++) {
            float least = which < 2 ? 0 : -0.5f;
            float most = which < 2 ? 1 : 0.5f;
            float[] values = shift.parameters().get(which).values();
            for (int i = 0; i < values.length; i++) {
                assertThat(values[i]).isEqualTo(Math.min(Math.max(moved.get(which)[i], least), most));
            }
        }
        List<NDArray> tensors = shift.parameters().stream()
                .map(parameter -> {
                    parameter.convert(DataType.FLOAT64);
                    return parameter.tensor();
                })
                .toList();
        List<NDArray> copies = tensors.stream().map(NDArray::duplicate).toList();
        Function<NDManager, NDArray> direct =
                scratch -> integers.round(weight, copies.get(0), copies.get(1), copies.get(2));
        assertClose(
                "values",
                shift.round(weight).toDoubleArray(),
                direct.apply(manager).toDoubleArray());
        List<double[]> expected = gradients(copies, counts, direct);
        List<double[]> found = gradients(tensors, counts, scratch -> shift.round(weight));
        for (int which = 0; which < 3; which++) {
            assertClose(shift.parameters().get(which).name(), found.get(which), expected.get(which));
        }
    }

    static Stream<IntegerGridFormat> fullRanges() {
        return Stream.of(Mapping.SYMMETRIC, Mapping.ASYMMETRIC)
                .flatMap(mapping -> Stream.of(
                        new IntegerGridFormat(3, Granularity.CHANNEL, 0, IntegerGrid.FULL_RANGE, mapping, Range.MINMAX),
                        new IntegerGridFormat(3, Granularity.GROUP, 5, IntegerGrid.FULL_RANGE, mapping, Range.MINMAX)));
    }

    @ParameterizedTest
    @MethodSource("fullRanges")
    void theGridHasTheShiftedValues(IntegerGridFormat format) {
        NDArray weight = normal(1, OUT, IN).toType(DataType.FLOAT32, true);
        for (boolean half : new boolean[] {true, false}) {
            theGridHasTheValues(
                    format, new LearnedShift(manager, LINEAR, new ShiftedIntegers(format, half), 0.1, 0.1), weight);
        }
    }

    private void theGridHasTheValues(NumberFormat format, WeightRounding rounding, NDArray weight) {
        for (Parameter parameter : rounding.parameters()) {
            float[] values = parameter.values();
            for (int i = 0; i < values.length; i++) {
                values[i] += (float) (0.2 * random.nextGaussian());
            }
            parameter.set(values);
        }
        rounding.project();
        int before = manager.getManagedArrays().size();
        Grid grid = rounding.grid(weight).orElseThrow();
        assertThat(manager.getManagedArrays()).as("nothing is left").hasSize(before);
        assertThat(grid.exceptions()).isZero();
        assertThat(grid.format()).isEqualTo(format);
        assertThat(bits(grid.values(manager))).isEqualTo(bits(rounding.round(weight)));
    }

    /** After the parameters moved, so that zero points and scales are no longer those of the weight. */
    @ParameterizedTest
    @MethodSource("gridFormats")
    void theGridHasTheRoundedValues(IntegerFormat format) {
        NDArray weight = normal(1, OUT, IN).toType(DataType.FLOAT32, true);
        List<WeightRounding> roundings = List.of(
                WeightRounding.nearest(format),
                new LearnedClipping(manager, LINEAR, format, 1, 1e-3),
                new LearnedDivision(manager, LINEAR, weight, format, 0, 1e-3, 1),
                new LearnedDivision(manager, LINEAR, weight, format, 3, 1e-3, 1));
        for (WeightRounding rounding : roundings) {
            theGridHasTheValues(format, rounding, weight);
            assertThat(rounding.grid(weight).orElseThrow().scales())
                    .hasSize((int) format.groups(weight.getShape()).size());
        }
        assertThat(roundings.get(1).grid(weight).orElseThrow().scales())
                .isNotEqualTo(roundings.get(0).grid(weight).orElseThrow().scales());
    }

    static Stream<IntegerFormat> gridFormats() {
        return Stream.concat(
                formats(),
                Stream.of(
                        new IntegerFormat(4, Granularity.TENSOR, 0, false),
                        new IntegerFormat(4, Granularity.TENSOR, 0, true),
                        new IntegerFormat(3, Granularity.CHANNEL, 0, false, false, Range.MINMAX),
                        new IntegerFormat(4, Granularity.GROUP, 5, false, false, Range.MINMAX)));
    }

    @Test
    void aWeightInFloat32HasNoGrid() {
        NDArray weight = manager.ones(new Shape(OUT, IN));
        assertThat(WeightRounding.nearest(new NoFormat()).grid(weight)).isEmpty();
    }

    private static int[] bits(NDArray array) {
        float[] values = array.toFloatArray();
        return IntStream.range(0, values.length)
                .map(i -> Float.floatToIntBits(values[i]))
                .toArray();
    }

    private static double[] doubles(Map<String, NDArray> parameters, String name) {
        return Objects.requireNonNull(parameters.get(name), name).toDoubleArray();
    }

    private static void assertClose(String name, double[] found, double[] expected) {
        assertThat(found).as(name).hasSameSizeAs(expected);
        double largest = 0;
        for (double value : expected) {
            largest = Math.max(largest, Math.abs(value));
        }
        assertThat(largest).as(name + " matters").isPositive();
        for (int i = 0; i < found.length; i++) {
            assertThat(found[i]).as("%s %d", name, i).isCloseTo(expected[i], within(1e-9 * largest));
        }
    }
}
