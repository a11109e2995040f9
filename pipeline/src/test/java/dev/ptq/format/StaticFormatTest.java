package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import dev.ptq.config.ConfigException;
import dev.ptq.format.BlockFloatFormat.ExponentRounding;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.IntegerFormat.Range;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class StaticFormatTest {
    private final NDManager manager = TensorEngine.newManager();

    @AfterEach
    void closeManager() {
        manager.close();
    }

    private static StaticFormat format(int bits, boolean symmetric, boolean includeZero) {
        IntegerFormat integers = new IntegerFormat(bits, Granularity.TENSOR, 0, symmetric, includeZero, Range.MINMAX);
        return new StaticFormat(integers, Optional.empty());
    }

    private static float[] rounded(NumberFormat format, float... values) {
        float[] rounded = values.clone();
        format.round(FloatBuffer.wrap(rounded), new Shape(1, values.length), Operand.ACTIVATION);
        return rounded;
    }

    @Test
    void roundsByHand() {
        // -1 to 2 in 3 steps; beyond the range are its ends
        assertThat(rounded(format(2, false, true).withBounds(-1, 2), -5, -0.6f, 0.4f, 0.5f, 1.6f, 9))
                .containsExactly(-1, -1, 0, 0, 2, 2);
        // 0 belongs to the range of 3 to 6, steps of 2
        assertThat(rounded(format(2, false, true).withBounds(3, 6), 0, 3.2f, 7)).containsExactly(0, 4, 6);
        // or does not: steps of 1 from 3
        assertThat(rounded(format(2, false, false).withBounds(3, 6), 0, 3.2f, 7))
                .containsExactly(3, 3, 6);
        assertThat(rounded(format(3, true, true).withBounds(-3, 1), -9, -1.2f, 2.6f, 8))
                .containsExactly(-4, -1, 3, 3);
        assertThat(rounded(format(4, false, true).withBounds(0, 0), 0, 0.4f)).containsExactly(0, 0);
    }

    /** On values that reach the ends of the range it is the format that takes its range from them. */
    @Test
    void isTheDynamicFormOnValuesOfTheRange() {
        SplittableRandom random = new SplittableRandom(4);
        for (int trial = 0; trial < 60; trial++) {
            StaticFormat format = format(2 + trial % 8, trial % 3 == 0, trial % 3 != 2);
            float[] values = new float[1 + random.nextInt(3000)];
            float low = Float.POSITIVE_INFINITY;
            float high = Float.NEGATIVE_INFINITY;
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) (random.nextGaussian() + trial % 5 - 2);
                low = Math.min(low, values[i]);
                high = Math.max(high, values[i]);
            }
            float[] expected = rounded(format.dynamic(), values);
            assertThat(rounded(format.withBounds(low, high), values)).isEqualTo(expected);
            NDArray array = NativeFloats.of(manager, values, 1, values.length);
            assertThat(format.withBounds(low, high)
                            .differentiable(array, Operand.ACTIVATION)
                            .toFloatArray())
                    .isEqualTo(expected);
        }
    }

    /** The whole less 0 to 79 hundredths, value by value. */
    @Test
    void theLeastErrorIsThatOfAScalarLoop() {
        SplittableRandom random = new SplittableRandom(7);
        for (int trial = 0; trial < 40; trial++) {
            StaticFormat format = format(2 + trial % 5, trial % 2 == 0, true);
            float[] values = new float[1 + random.nextInt(60)];
            double[] counts = new double[values.length];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) (random.nextGaussian() * (i % 9 == 0 ? 5 : 1));
                counts[i] = 1 + random.nextInt(4);
            }
            Arrays.sort(values);
            Bounds whole = new Bounds(values[0], values[values.length - 1]);
            Bounds found = format.leastError(whole, values, counts);
            double least = Double.POSITIVE_INFINITY;
            Bounds expected = whole;
            for (int i = 0; i < 80; i++) {
                float share = (float) (1 - i / 100.0);
                Bounds shrunk = new Bounds(share * whole.low(), share * whole.high());
                double error = error(format.withRanges(List.of(shrunk)), values, counts);
                if (error < least) {
                    least = error;
                    expected = shrunk;
                }
            }
            assertThat(found).isEqualTo(expected);
            assertThat(error(format.withRanges(List.of(found)), values, counts))
                    .isLessThanOrEqualTo(error(format.withRanges(List.of(whole)), values, counts));
        }
    }

    private static double error(StaticFormat format, float[] values, double[] counts) {
        double sum = 0;
        for (int i = 0; i < values.length; i++) {
            double error = rounded(format, values[i])[0] - values[i];
            sum += counts[i] * error * error;
        }
        return sum;
    }

    /** One outlier is not worth the steps of a hundred others; without one nothing is given up. */
    @Test
    void theLeastErrorGivesUpOutliersAlone() {
        StaticFormat format = format(2, true, true);
        float[] values = {-1, 0, 1, 1.5f};
        assertThat(format.leastError(new Bounds(-1, 1.5f), values, new double[] {100, 100, 100, 1}))
                .satisfies(range -> assertThat(range.high()).isCloseTo(1, within(0.02f)));
        assertThat(format.leastError(new Bounds(-1, 1), new float[] {-1, 0, 1}, new double[] {1, 9, 1}))
                .isEqualTo(new Bounds(-1, 1));
        assertThat(format.leastError(new Bounds(0, 0), new float[] {0}, new double[] {5}))
                .isEqualTo(new Bounds(0, 0));
    }

    /** Each feature as a tensor of its own. */
    @Test
    void featuresHaveTheirOwnRanges() {
        SplittableRandom random = new SplittableRandom(3);
        List<RangedFormat> formats = List.of(
                new IntegerFormat(4, Granularity.CHANNEL, 0, true),
                new IntegerFormat(4, Granularity.CHANNEL, 0, false),
                new IntegerGridFormat(
                        4, Granularity.CHANNEL, 0, IntegerGrid.GPTQ, IntegerGrid.Mapping.ASYMMETRIC, Range.MINMAX),
                new Fp8Format(SmallFloat.E4M3, Fp8Format.Granularity.CHANNEL));
        List<RangedFormat> alone = List.of(
                new IntegerFormat(4, Granularity.TENSOR, 0, true),
                new IntegerFormat(4, Granularity.TENSOR, 0, false),
                new IntegerGridFormat(
                        4, Granularity.TENSOR, 0, IntegerGrid.GPTQ, IntegerGrid.Mapping.ASYMMETRIC, Range.MINMAX),
                new Fp8Format(SmallFloat.E4M3, Fp8Format.Granularity.TENSOR));
        // the last feature is always zero
        List<Bounds> ranges = List.of(new Bounds(-1, 2), new Bounds(0.5f, 3), new Bounds(-70, -60), new Bounds(0, 0));
        for (int kind = 0; kind < formats.size(); kind++) {
            StaticFormat format = new StaticFormat(formats.get(kind), Optional.empty()).withRanges(ranges);
            float[] values = new float[2 * 3 * 4];
            for (int i = 0; i < values.length; i++) {
                values[i] = i % 4 == 3 ? 0 : (float) (80 * random.nextGaussian());
            }
            float[] found = values.clone();
            format.round(FloatBuffer.wrap(found), new Shape(2, 3, 4), Operand.ACTIVATION);
            for (int i = 0; i < values.length; i++) {
                StaticFormat own = new StaticFormat(alone.get(kind), Optional.of(ranges.get(i % 4)));
                assertThat(found[i]).isEqualTo(rounded(own, values[i])[0]);
            }
            assertThatThrownBy(() -> format.round(FloatBuffer.wrap(new float[6]), new Shape(2, 3), Operand.ACTIVATION))
                    .hasMessage("ranges of 4 features, for a tensor of shape (2, 3)");
        }
        // 24 codes of 4 bits, and for each feature a scale and zero point
        StaticFormat integers = new StaticFormat(formats.get(1), Optional.empty());
        assertThat(integers.storageBits(new Shape(2, 3, 4), Operand.ACTIVATION)).isEqualTo(24 * 4 + 4 * (16 + 4));
    }

    @Test
    void featuresHaveGradientsOfTheirOwn() {
        StaticFormat format = new StaticFormat(new IntegerFormat(4, Granularity.CHANNEL, 0, false), Optional.empty())
                .withRanges(List.of(new Bounds(-1, 2), new Bounds(0, 30)));
        NDArray values = NativeFloats.of(manager, new float[] {0.3f, 12.3f, 5, 31, -0.9f, -4}, 3, 2);
        assertThat(format.differentiable(values, Operand.ACTIVATION).toFloatArray())
                .isEqualTo(format.fakeQuantize(values, Operand.ACTIVATION).toFloatArray());
    }

    @Test
    void configsNameTheRule() {
        assertThat(parsed("{ format = 'int', bits = 8, dynamic = false }"))
                .isEqualTo(new StaticFormat(new IntegerFormat(8, Granularity.TENSOR, 0, false), Optional.empty()));
        for (String table : List.of(
                "{ format = 'int', bits = 8, range = 'percentile', percentile = 99.9, dynamic = false }",
                "{ format = 'int', bits = 8, grid = 'gptq', range = 'mse', dynamic = false }",
                "{ format = 'int', bits = 8, granularity = 'channel', range = 'moving_average', dynamic = false }",
                "{ format = 'fp8_e4m3', range = 'mse', dynamic = false }",
                "{ format = 'fp8_e4m3', granularity = 'channel', dynamic = false }",
                "{ format = 'mxint', bits = 8, block_size = [-1, -1], range = 'percentile', dynamic = false }",
                "{ format = 'nvfp4', range = 'percentile', dynamic = false }",
                "{ format = 'nvfp4', range = 'moving_average', dynamic = false }")) {
            NumberFormat format = parsed(table);
            assertThat(format).as(table).isInstanceOf(StaticFormat.class);
            assertThat(format.needs()).isNotEmpty();
            assertThat(Formats.parse(Formats.written(format), "test")).isEqualTo(format);
        }
        StaticFormat percentile = (StaticFormat) parsed("{ format = 'nvfp4', range = 'percentile', dynamic = false }");
        assertThat(percentile.percentile()).isEqualTo(99.99);
        assertThat(Formats.parse(Formats.written(percentile.withBounds(-1, 2)), "test"))
                .isEqualTo(percentile.withBounds(-1, 2));
    }

    private static NumberFormat parsed(String table) {
        return Formats.parse(table, "test", Formats.Use.INPUT);
    }

    @Test
    void configsNameWhatIsWrongWithARule() {
        assertProblem("{ format = 'int', bits = 8, range = 'percentile' }", "format.range: \"percentile\" is found in");
        assertProblem("{ format = 'int', bits = 8, range = 'moving_average' }", "set dynamic = false");
        assertProblem(
                "{ format = 'int', bits = 8, percentile = 99.0 }", "format.percentile: only range = \"percentile\"");
        assertProblem(
                "{ format = 'int', bits = 8, dynamic = false, range = 'mse', percentile = 99.0 }",
                "format.percentile: only range = \"percentile\"");
        assertProblem(
                "{ format = 'int', bits = 8, dynamic = false, range = 'percentile', percentile = 20.0 }",
                "format.percentile: expected a number from 50 to 100");
        assertProblem(
                "{ format = 'int', bits = 8, dynamic = false, range = 'gptq_mse', grid = 'gptq' }",
                "format.range: expected one of [minmax, percentile, moving_average, mse] for a range from calibration, got"
                        + " \"gptq_mse\"");
        for (String rule : List.of("percentile", "mse")) {
            assertProblem(
                    "{ format = 'int', bits = 8, dynamic = false, granularity = 'channel', range = '" + rule + "' }",
                    "goes by a histogram, which calibration takes of all values of an input");
        }
        assertProblem(
                "{ format = 'nvfp4', dynamic = false, range = 'mse' }",
                "format.range: the error of a value depends on its neighbours");
        assertProblem("{ format = 'nvfp4', range = 'percentile' }", "format.range: \"percentile\" is found in");
        assertProblem("{ format = 'fp8_e5m2', range = 'mse' }", "format.range: only a range of dynamic = false");
        for (String format : List.of("mxfp8_e4m3", "mxfp4", "mxint8")) {
            assertProblem(
                    "{ format = '" + format + "', dynamic = false }",
                    "format.dynamic: " + format + " has no range that could come from calibration; leave it out");
        }
    }

    private static void assertProblem(String table, String expected) {
        assertThatThrownBy(() -> parsed(table))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(expected);
    }

    private static StaticFormat blocks(int bits, ExponentRounding rounding) {
        return new StaticFormat(new BlockFloatFormat(bits, List.of(-1, -1), 8, 127, rounding), Optional.empty());
    }

    @Test
    void theLargestMagnitudeGivesTheSharedExponent() {
        // -3 to 1: exponent 1, steps of 1 up to 3, and rounded up 2, steps of 1 up to 3
        for (ExponentRounding rounding : ExponentRounding.values()) {
            assertThat(rounded(blocks(3, rounding).withBounds(-3, 1), -9, -1.2f, 0.4f, 1.6f, 8))
                    .containsExactly(-3, -1, 0, 2, 3);
        }
        // of a power of two, rounded up, the largest is lost
        assertThat(rounded(blocks(3, ExponentRounding.FLOOR).withBounds(-2, 1), -2, 1.6f))
                .containsExactly(-2, 2);
        assertThat(rounded(blocks(3, ExponentRounding.CEIL).withBounds(-2, 1), -2, 1.6f))
                .containsExactly(-1.5f, 1.5f);
    }

    @Test
    void blocksAreTheDynamicFormOnValuesOfTheRange() {
        SplittableRandom random = new SplittableRandom(5);
        for (int trial = 0; trial < 60; trial++) {
            StaticFormat format =
                    blocks(2 + trial % 8, trial % 2 == 0 ? ExponentRounding.CEIL : ExponentRounding.FLOOR);
            float[] values = new float[1 + random.nextInt(6000)];
            float low = Float.POSITIVE_INFINITY;
            float high = Float.NEGATIVE_INFINITY;
            double size = Math.pow(2, random.nextInt(-30, 30));
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) (size * (random.nextGaussian() + trial % 5 - 2));
                low = Math.min(low, values[i]);
                high = Math.max(high, values[i]);
            }
            float[] expected = rounded(format.dynamic(), values);
            StaticFormat found = format.withBounds(low, high);
            assertThat(rounded(found, values)).isEqualTo(expected);
            NDArray array = NativeFloats.of(manager, values, 1, values.length);
            assertThat(found.differentiable(array, Operand.ACTIVATION).add(0).toFloatArray())
                    .isEqualTo(
                            found.fakeQuantize(array, Operand.ACTIVATION).add(0).toFloatArray());
        }
    }

    /** A batch has one scale too, whatever its shape. */
    @Test
    void oneScaleServesABatch() {
        float[] values = {1, 2, 3, -4, 0.3f, -0.2f, 7, 0.1f};
        for (StaticFormat format : List.of(format(4, true, true), blocks(4, ExponentRounding.CEIL))) {
            StaticFormat found = format.withBounds(-4, 7);
            float[] expected = rounded(found, values);
            for (long[] shape : new long[][] {{8}, {2, 4}, {2, 2, 2}, {2, 1, 4, 1}}) {
                for (Operand operand : new Operand[] {Operand.ACTIVATION, Operand.KEY, Operand.FACTOR}) {
                    NDArray array = NativeFloats.of(manager, values, shape);
                    assertThat(found.fakeQuantize(array, operand).toFloatArray())
                            .isEqualTo(expected);
                }
            }
            Grid grid = found.fit(NativeFloats.of(manager, values, 2, 2, 2), Operand.ACTIVATION)
                    .orElseThrow();
            assertThat(grid.scales().length + grid.exponents().length).isEqualTo(1);
        }
        assertThat(blocks(4, ExponentRounding.CEIL).storageBits(new Shape(3, 10, 20), Operand.ACTIVATION))
                .isEqualTo(600 * 4 + 8);
    }

    @Test
    void gradientsOfBlocksPassEverywhere() {
        StaticFormat format = blocks(4, ExponentRounding.FLOOR).withBounds(-1, 2);
        NDArray values = NativeFloats.of(manager, new float[] {-9, -0.97f, 0.3f, 1.9f, 8}, 5);
        values.setRequiresGradient(true);
        try (GradientCollector collector = Engine.getEngine("PyTorch").newGradientCollector()) {
            collector.backward(format.differentiable(values, Operand.ACTIVATION).sum());
        }
        assertThat(values.getGradient().toFloatArray()).containsExactly(1, 1, 1, 1, 1);
    }

    @Test
    void whatIsNotFiniteIsNotANumberInBlocksEither() {
        for (ExponentRounding rounding : ExponentRounding.values()) {
            for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
                assertThat(rounded(blocks(8, rounding).withBounds(-1, 1.5f), bad, 0.5f))
                        .containsExactly(Float.NaN, 0.5f);
                // steps below the normal numbers
                assertThat(rounded(blocks(8, rounding).withBounds(0, Float.MIN_NORMAL), bad, 0))
                        .containsExactly(Float.NaN, 0);
            }
        }
    }

    @Test
    void gradientsPassInsideTheRange() {
        StaticFormat format = format(4, false, true).withBounds(-1, 2);
        NDArray values = NativeFloats.of(manager, new float[] {-3, -0.97f, 0.3f, 1.9f, 2.5f}, 5);
        values.setRequiresGradient(true);
        try (GradientCollector collector = Engine.getEngine("PyTorch").newGradientCollector()) {
            NDArray loss = format.differentiable(values, Operand.ACTIVATION).sum();
            LearnedIntegersTest.disturb();
            collector.backward(loss);
        }
        assertThat(values.getGradient().toFloatArray()).containsExactly(0, 1, 1, 1, 0);
    }

    /** Saturation would hide it. */
    @Test
    void whatIsNotFiniteIsNotANumber() {
        StaticFormat format = format(8, false, true).withBounds(-1, 1);
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            assertThat(rounded(format, bad, 0.5f)).containsExactly(Float.NaN, 64 * (2 / 255f));
            NDArray array = NativeFloats.of(manager, new float[] {bad, 0.5f}, 2);
            assertThat(format.differentiable(array, Operand.ACTIVATION).toFloatArray())
                    .containsExactly(Float.NaN, 64 * (2 / 255f));
        }
        // 255 steps of 2/255; 1 / step is a little less than 127.5, so the zero point is 127
        assertThat(rounded(format, Float.MAX_VALUE, -1e30f)).containsExactly(128 * (2 / 255f), -127 * (2 / 255f));
    }

    @Test
    void refusesWhatIsNoRange() {
        assertThatThrownBy(() -> rounded(format(8, false, true), 1)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> format(8, false, true).withBounds(2, 1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> format(8, false, true).withBounds(Float.NaN, 1))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> format(8, false, true).withBounds(0, Float.POSITIVE_INFINITY))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new StaticFormat(new IntegerFormat(8, Granularity.TOKEN, 0, false), Optional.empty()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("expected granularity = \"tensor\"");
        assertThatThrownBy(() -> new StaticFormat(new BlockFloatFormat(8, List.of(1, 16), 8, 127), Optional.empty()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("expected block_size = [-1, -1]");
    }
}
