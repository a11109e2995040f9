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
import dev.ptq.format.IntegerGrid.Mapping;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What holds for all formats. */
class NumberFormatTest {
    private final NDManager manager = TensorEngine.newManager();

    /** What a result says a format was can be put into a config. */
    @Test
    void readsWhatItWrites() {
        List<NumberFormat> formats = new ArrayList<>(formats().toList());
        formats.removeIf(format ->
                format instanceof BlockFloatFormat blocks && blocks.blockSize().isEmpty());
        formats.add(new IntegerFormat(4, Granularity.CHANNEL, 0, false, false, Range.MINMAX));
        formats.add(new IntegerFormat(3, Granularity.GROUP, 32, false, true, Range.MSE));
        IntegerFormat tensor = new IntegerFormat(8, Granularity.TENSOR, 0, false, true, Range.MINMAX);
        formats.add(new StaticFormat(tensor, Optional.empty()));
        formats.add(new StaticFormat(blockFloat(8, -1, -1), Optional.empty()));
        for (NumberFormat format : formats) {
            boolean weight = !Formats.written(format).contains("'token'") && !(format instanceof StaticFormat);
            NumberFormat read =
                    Formats.parse(Formats.written(format), "test", weight ? Formats.Use.WEIGHT : Formats.Use.INPUT);
            assertThat(read).isEqualTo(format);
            assertThat(Formats.parse(Formats.written(format), "test")).isEqualTo(format);
        }
    }

    @Test
    void writesEveryKeyInOneOrder() {
        assertThat(Formats.written(new NoFormat())).isEqualTo("{ format = 'none' }");
        assertThat(Formats.written(new IntegerFormat(3, Granularity.GROUP, 32, false, true, Range.MSE)))
                .isEqualTo("{ format = 'int', bits = 3, granularity = 'group', group_size = 32, grid = 'narrow',"
                        + " symmetric = false, range = 'mse', include_zero = true }");
        assertThat(Formats.written(grid(3, Granularity.GROUP, IntegerGrid.GPTQ, Mapping.SYMMETRIC, Range.GPTQ_MSE)))
                .isEqualTo("{ format = 'int', bits = 3, granularity = 'group', group_size = 5, grid = 'gptq',"
                        + " symmetric = true, range = 'gptq_mse' }");
        assertThat(Formats.written(
                        grid(4, Granularity.TOKEN, IntegerGrid.TORCHAO, Mapping.ASYMMETRIC_FLOAT, Range.MINMAX)))
                .isEqualTo("{ format = 'int', bits = 4, granularity = 'token', grid = 'torchao',"
                        + " mapping = 'asymmetric_float', range = 'minmax' }");
        assertThat(Formats.written(new NormalFloatFormat(4, 64)))
                .isEqualTo("{ format = 'nf4', block_size = 64, double_quantization = false, rule = 'bitsandbytes' }");
        assertThat(Formats.written(new NormalFloatFormat(3, 64, 256, NormalFloatFormat.Rule.PEFT)))
                .isEqualTo("{ format = 'nf3', block_size = 64, double_quantization = true, double_block_size = 256 }");
        assertThat(Formats.written(new NormalFloatFormat(4, 32, 16, NormalFloatFormat.Rule.TORCHAO)))
                .isEqualTo("{ format = 'nf4', block_size = 32, double_block_size = 16, rule = 'torchao' }");
        assertThat(Formats.written(new TernaryFormat(Granularity.TENSOR, 0, TernaryFormat.Scale.ABSMEAN)))
                .isEqualTo("{ format = 'ternary', granularity = 'tensor', scale = 'absmean' }");
        StaticFormat fixedRange = new StaticFormat(new IntegerFormat(8, Granularity.TENSOR, 0, true), Optional.empty());
        String written = "{ format = 'int', bits = 8, granularity = 'tensor', grid = 'narrow', symmetric = true,"
                + " range = 'minmax', include_zero = true, dynamic = false";
        assertThat(Formats.written(fixedRange)).isEqualTo(written + " }");
        assertThat(Formats.written(fixedRange.withBounds(-1.5f, 0.1f)))
                .isEqualTo(written + ", low = -1.5, high = 0.10000000149011612 }");
        assertThat(Formats.written(blockFloat(4, 1, 16)))
                .isEqualTo("{ format = 'mxint', bits = 4, block_size = [1, 16], exponent_bits = 8, exponent_bias = 127,"
                        + " exponent_rounding = 'ceil' }");
        assertThat(Formats.written(new MinifloatFormat(8, 4, 7)))
                .isEqualTo("{ format = 'minifloat', bits = 8, exponent_bits = 4, exponent_bias = 7 }");
        assertThat(Formats.written(new FixedPointFormat(8, 4, true)))
                .isEqualTo("{ format = 'fixed', bits = 8, fraction_bits = 4, signed = true }");
    }

    /** The range that was found is written too, to the last bit. */
    @Test
    void readsRangesThatWereFound() {
        for (RangedFormat ranged : List.of(
                new IntegerFormat(8, Granularity.TENSOR, 0, false),
                blockFloat(8, -1, -1),
                new BlockFloatFormat(6, List.of(-1), 4, 7, ExponentRounding.FLOOR))) {
            for (float[] range :
                    new float[][] {{-1.1f, 3e-38f}, {0, 0}, {-Float.MAX_VALUE, Float.MAX_VALUE}, {Float.MIN_VALUE, 0.1f}
                    }) {
                NumberFormat format = new StaticFormat(ranged, Optional.empty()).withBounds(range[0], range[1]);
                assertThat(Formats.parse(Formats.written(format), "test")).isEqualTo(format);
            }
        }
    }

    @Test
    void namesWhatIsWrongWithAWrittenFormat() {
        assertThatThrownBy(() -> Formats.parse("{ format = 'mxitn' }", "grid.format"))
                .isInstanceOf(ConfigException.class)
                .hasMessageStartingWith("grid.format:1:")
                .hasMessageContaining("did you mean \"mxint\"");
        assertThatThrownBy(() -> Formats.parse("{ format = 'none' } x = 1", "grid.format"))
                .isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> Formats.parse(
                        "{ format = 'int', bits = 8, granularity = 'tensor', dynamic = false, low = 2, high = 1 }",
                        "grid.format"))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("format.high: expected at least low, 2.0, got 1.0");
    }

    @Test
    void saysWhichFormatsHaveARange() {
        for (String table : List.of(
                "{ format = 'none', dynamic = false }",
                "{ format = 'minifloat', bits = 8, exponent_bits = 4, dynamic = false }",
                "{ format = 'fixed', bits = 8, fraction_bits = 4, dynamic = false }")) {
            assertProblem(table, Formats.Use.INPUT, "has no range that could come from calibration; leave it out");
        }
        assertProblem(
                "{ format = 'mxint', bits = 8, dynamic = false }",
                Formats.Use.INPUT,
                "format.dynamic: a range from calibration is that of all values: set block_size = [-1, -1]");
        assertProblem(
                "{ format = 'mxint', bits = 8, block_size = [-1, -1], dynamic = false }",
                Formats.Use.ACTIVATION,
                "format.dynamic: only inputs of linears and the cache of keys and values have a range from calibration;"
                        + " leave it out");
        assertProblem("{ format = 'mxint', bits = 8, dynamic = false }", Formats.Use.WEIGHT, "dynamic: unknown key");
        // a range is not for a config to give
        assertProblem(
                "{ format = 'int', bits = 8, granularity = 'tensor', dynamic = false, low = -1.0, high = 1.0 }",
                Formats.Use.INPUT,
                "low: unknown key");
    }

    @Test
    void saysWhichKeysAGridHas() {
        assertProblem(
                "{ format = 'int', bits = 4, mapping = 'symmetric' }",
                Formats.Use.WEIGHT,
                "format.mapping: only grid = \"torchao\" has mappings; leave it out");
        assertProblem(
                "{ format = 'int', bits = 4, grid = 'gptq', mapping = 'symmetric' }",
                Formats.Use.WEIGHT,
                "format.mapping: only grid = \"torchao\" has mappings; set symmetric instead");
        assertProblem(
                "{ format = 'int', bits = 4, grid = 'torchao', symmetric = true }",
                Formats.Use.WEIGHT,
                "format.symmetric: with grid = \"torchao\" set mapping instead");
        assertProblem(
                "{ format = 'int', bits = 4, grid = 'gptq', include_zero = false }",
                Formats.Use.WEIGHT,
                "format.include_zero: only grid = \"narrow\" has this choice; leave it out");
        assertProblem(
                "{ format = 'int', bits = 4, grid = 'full_range', range = 'mse' }",
                Formats.Use.WEIGHT,
                "format.range: \"mse\" is for grid = \"narrow\"; take \"gptq_mse\" or");
        assertProblem(
                "{ format = 'int', bits = 4, range = 'gptq_mse' }",
                Formats.Use.WEIGHT,
                "format.range: \"gptq_mse\" is not for grid = \"narrow\"; set another grid");
        for (Formats.Use use : List.of(Formats.Use.FACTOR, Formats.Use.BIAS, Formats.Use.INPUT)) {
            assertProblem(
                    "{ format = 'int', bits = 4, grid = 'gptq', range = 'gptq_mse' }",
                    use,
                    "format.range: \"gptq_mse\" is for weights: it takes dozens of passes over the values");
        }
        // outside configs too
        assertThatThrownBy(() -> Formats.parse("{ format = 'int', bits = 4, range = 'gptq_mse' }", "grid"))
                .isInstanceOf(ConfigException.class);
    }

    @Test
    void weightsAndActivationsHaveTheirOwnMapping() {
        String table = "{ format = 'int', bits = 4, grid = 'torchao' }";
        assertThat(Formats.parse(table, "test", Formats.Use.WEIGHT))
                .isEqualTo(grid(4, Granularity.CHANNEL, IntegerGrid.TORCHAO, Mapping.SYMMETRIC, Range.MINMAX));
        assertThat(Formats.parse(table, "test", Formats.Use.INPUT))
                .isEqualTo(grid(4, Granularity.TOKEN, IntegerGrid.TORCHAO, Mapping.ASYMMETRIC, Range.MINMAX));
        NumberFormat fixed = Formats.parse(
                "{ format = 'int', bits = 8, grid = 'gptq', granularity = 'tensor', dynamic = false }",
                "test",
                Formats.Use.INPUT);
        assertThat(fixed)
                .isEqualTo(new StaticFormat(
                        grid(8, Granularity.TENSOR, IntegerGrid.GPTQ, Mapping.ASYMMETRIC, Range.MINMAX),
                        Optional.empty()));
    }

    @Test
    void saysWhichNormalFloatsAreDoublyQuantized() {
        assertThat(Formats.parse("{ format = 'nf4', double_quantization = true }", "test", Formats.Use.WEIGHT))
                .isEqualTo(new NormalFloatFormat(4, 64, 256, NormalFloatFormat.Rule.BITSANDBYTES));
        assertThat(Formats.parse("{ format = 'nf4', rule = 'torchao' }", "test", Formats.Use.WEIGHT))
                .isEqualTo(new NormalFloatFormat(4, 64, 256, NormalFloatFormat.Rule.TORCHAO));
        assertThat(Formats.parse("{ format = 'nf3', block_size = 32 }", "test", Formats.Use.INPUT))
                .isEqualTo(new NormalFloatFormat(3, 32));
        assertProblem(
                "{ format = 'nf4', rule = 'torchao', double_quantization = false }",
                Formats.Use.WEIGHT,
                "format.double_quantization: rule = \"torchao\" is always doubly quantized; leave it out");
        assertProblem(
                "{ format = 'nf4', rule = 'torchao' }",
                Formats.Use.INPUT,
                "format.rule: double quantization takes the mean over a whole weight; activations change with every"
                        + " token: take rule = \"bitsandbytes\"");
        assertProblem(
                "{ format = 'nf2', double_quantization = true }",
                Formats.Use.ACTIVATION,
                "format.double_quantization: double quantization takes the mean over a whole weight; activations change"
                        + " with every token: leave it out");
        assertProblem("{ format = 'nf3', rule = 'torchao' }", Formats.Use.WEIGHT, "format.rule: unknown key");
        assertProblem(
                "{ format = 'nf4', double_block_size = 8 }", Formats.Use.WEIGHT, "double_block_size: unknown key");
        assertProblem("{ format = 'nf4', block_size = 0 }", Formats.Use.WEIGHT, "format.block_size: expected");
        assertProblem("{ format = 'ternary', bits = 2 }", Formats.Use.WEIGHT, "format.bits: unknown key");
        for (String name : List.of("nf4", "ternary")) {
            assertProblem(
                    "{ format = '" + name + "', dynamic = false }",
                    Formats.Use.INPUT,
                    name + " has no range that could come from calibration; leave it out");
        }
    }

    private static void assertProblem(String table, Formats.Use use, String expected) {
        assertThatThrownBy(() -> Formats.parse(table, "test", use))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(expected);
    }

    @AfterEach
    void closeManager() {
        manager.close();
    }

    static Stream<NumberFormat> formats() {
        List<NumberFormat> formats = new ArrayList<>(List.of(
                new NoFormat(),
                blockFloat(4, 1, 16),
                blockFloat(8, 16, 1),
                blockFloat(3, 2, 3),
                blockFloat(6, -1, 5),
                blockFloat(2, -1, -1),
                new BlockFloatFormat(5, List.of(7), 8, 127),
                new BlockFloatFormat(8, List.of(), 4, 7),
                new BlockFloatFormat(4, List.of(1, 16), 8, 127, ExponentRounding.FLOOR),
                new BlockFloatFormat(8, List.of(16, 1), 8, 127, ExponentRounding.FLOOR),
                new BlockFloatFormat(6, List.of(2, 3), 4, 7, ExponentRounding.FLOOR),
                new MinifloatFormat(4, 2, 1),
                new MinifloatFormat(8, 4, 7),
                new FixedPointFormat(8, 4, true),
                new FixedPointFormat(4, 1, false),
                new FixedPointFormat(6, -1, true)));
        for (boolean symmetric : new boolean[] {true, false}) {
            for (int bits : new int[] {2, 4, 8}) {
                formats.add(new IntegerFormat(bits, Granularity.TENSOR, 0, symmetric));
                formats.add(new IntegerFormat(bits, Granularity.CHANNEL, 0, symmetric));
                formats.add(new IntegerFormat(bits, Granularity.TOKEN, 0, symmetric));
                formats.add(new IntegerFormat(bits, Granularity.GROUP, 5, symmetric));
            }
        }
        for (int bits : new int[] {2, 4, 8, 16}) {
            formats.add(plain(bits, Granularity.TENSOR, 0));
            formats.add(plain(bits, Granularity.TOKEN, 0));
            formats.add(plain(bits, Granularity.GROUP, 5));
        }
        formats.addAll(smallFloats());
        formats.addAll(normalFloats());
        formats.addAll(ternaries());
        formats.addAll(hqq());
        formats.addAll(integerGrids());
        return formats.stream();
    }

    private static List<NumberFormat> smallFloats() {
        List<NumberFormat> formats = new ArrayList<>();
        for (SmallFloat element : SmallFloat.values()) {
            formats.add(new MxFormat(element));
        }
        for (MxFormat.ScaleRule rule : MxFormat.ScaleRule.values()) {
            formats.add(new MxFormat(SmallFloat.E4M3, 7, rule, SmallFloat.Ties.AWAY, false));
            formats.add(new MxFormat(SmallFloat.INT8, 16, rule, SmallFloat.Ties.TRUNC, true));
        }
        for (SmallFloat element : List.of(SmallFloat.E4M3, SmallFloat.E5M2)) {
            for (Fp8Format.Granularity granularity : Fp8Format.Granularity.values()) {
                if (granularity != Fp8Format.Granularity.BLOCK) {
                    formats.add(new Fp8Format(element, granularity));
                }
            }
            for (Fp8Format.Rule rule : Fp8Format.Rule.values()) {
                formats.add(new Fp8Format(element, Fp8Format.Granularity.BLOCK, List.of(3, 5), rule));
                formats.add(new Fp8Format(element, Fp8Format.Granularity.BLOCK, List.of(1, -1), rule));
            }
        }
        for (boolean fourOverSix : new boolean[] {false, true}) {
            for (Nvfp4Format.Rule rule : Nvfp4Format.Rule.values()) {
                formats.add(new Nvfp4Format(rule, true, fourOverSix, Nvfp4Format.Range.MINMAX, Optional.empty()));
            }
            formats.add(new Nvfp4Format(
                    Nvfp4Format.Rule.TORCHAO, false, fourOverSix, Nvfp4Format.Range.MINMAX, Optional.empty()));
        }
        formats.add(searched(Nvfp4Format.Range.MSE));
        formats.add(searched(Nvfp4Format.Range.EXPANDED_MSE));
        return formats;
    }

    private static Nvfp4Format searched(Nvfp4Format.Range range) {
        return new Nvfp4Format(Nvfp4Format.Rule.COMPRESSED_TENSORS, true, false, range, Optional.empty());
    }

    /** Whether zeros alone become NaN, as the toolkit's do. */
    private static boolean losesZeros(NumberFormat format) {
        boolean ofFp8 = format instanceof Fp8Format fp8 && fp8.rule() == Fp8Format.Rule.TORCHAO;
        boolean ofNvfp4 =
                format instanceof Nvfp4Format nvfp4 && nvfp4.rule() == Nvfp4Format.Rule.TORCHAO && nvfp4.tensorScale();
        return ofFp8 || ofNvfp4;
    }

    private static List<NumberFormat> normalFloats() {
        List<NumberFormat> formats = new ArrayList<>();
        for (int bits = 2; bits <= 4; bits++) {
            NormalFloatFormat format = new NormalFloatFormat(bits, 7);
            formats.add(format);
            formats.add(new NormalFloatFormat(bits, NormalFloatFormat.BLOCK_SIZE));
            formats.add(new NormalFloatFormat(bits, 5, 3, format.rule()));
        }
        formats.add(new NormalFloatFormat(4, 64, 4, NormalFloatFormat.Rule.TORCHAO));
        formats.add(new NormalFloatFormat(4, 3, 256, NormalFloatFormat.Rule.TORCHAO));
        return formats;
    }

    private static List<NumberFormat> ternaries() {
        List<NumberFormat> formats = new ArrayList<>();
        for (TernaryFormat.Scale scale : TernaryFormat.Scale.values()) {
            formats.add(new TernaryFormat(Granularity.TENSOR, 0, scale));
            formats.add(new TernaryFormat(Granularity.CHANNEL, 0, scale));
            formats.add(new TernaryFormat(Granularity.GROUP, 5, scale));
        }
        return formats;
    }

    /** With granularities that any tensor can have. */
    private static List<NumberFormat> hqq() {
        List<NumberFormat> formats = new ArrayList<>();
        for (HqqSolver.Stop stop : HqqSolver.Stop.values()) {
            for (int axis = 0; axis < 2; axis++) {
                HqqSolver solver = new HqqSolver(4, stop, 0.7, 10, 1.01);
                formats.add(new HqqFormat(3, Granularity.CHANNEL, 0, axis, axis == 0, solver));
                formats.add(new HqqFormat(8, Granularity.GROUP, 1, axis, axis == 1, solver));
            }
        }
        return formats;
    }

    /** Every grid and mapping, with many widths and granularities. */
    static List<NumberFormat> integerGrids() {
        List<NumberFormat> formats = new ArrayList<>();
        for (IntegerGrid grid : IntegerGrid.values()) {
            for (Mapping mapping : Mapping.values()) {
                boolean isTorchao = grid == IntegerGrid.TORCHAO;
                if (grid != IntegerGrid.NARROW && (isTorchao || !mapping.isOfTorchao())) {
                    formats.add(grid(2, Granularity.GROUP, grid, mapping, Range.MINMAX));
                    formats.add(grid(4, Granularity.CHANNEL, grid, mapping, Range.MINMAX));
                    formats.add(grid(8, Granularity.TENSOR, grid, mapping, Range.MINMAX));
                }
            }
        }
        formats.add(grid(16, Granularity.TOKEN, IntegerGrid.FULL_RANGE, Mapping.ASYMMETRIC, Range.MINMAX));
        formats.add(grid(16, Granularity.TOKEN, IntegerGrid.TORCHAO, Mapping.ASYMMETRIC_FLOAT, Range.MINMAX));
        formats.add(grid(3, Granularity.GROUP, IntegerGrid.GPTQ, Mapping.SYMMETRIC, Range.GPTQ_MSE));
        formats.add(grid(2, Granularity.CHANNEL, IntegerGrid.GPTQ, Mapping.ASYMMETRIC, Range.GPTQMODEL_MSE));
        IntegerGrid early = IntegerGrid.COMPRESSED_TENSORS;
        formats.add(grid(4, Granularity.TENSOR, early, Mapping.ASYMMETRIC, Range.COMPRESSED_TENSORS_MSE));
        formats.add(
                grid(2, Granularity.GROUP, IntegerGrid.FULL_RANGE, Mapping.SYMMETRIC, Range.COMPRESSED_TENSORS_MSE));
        return formats;
    }

    private static IntegerGridFormat grid(
            int bits, Granularity granularity, IntegerGrid grid, Mapping mapping, Range range) {
        return new IntegerGridFormat(bits, granularity, granularity == Granularity.GROUP ? 5 : 0, grid, mapping, range);
    }

    private static IntegerFormat plain(int bits, Granularity granularity, int groupSize) {
        return new IntegerFormat(bits, granularity, groupSize, false, false, IntegerFormat.Range.MINMAX);
    }

    private static BlockFloatFormat blockFloat(int bits, int rows, int columns) {
        return new BlockFloatFormat(bits, List.of(rows, columns), 8, 127);
    }

    @ParameterizedTest
    @MethodSource("formats")
    void kernelAndDifferentiableFormAreEqual(NumberFormat format) {
        SplittableRandom random = new SplittableRandom(format.toString().length());
        for (int trial = 0; trial < 15; trial++) {
            Shape shape = shape(random);
            float[] values = values(random, (int) shape.size());
            for (Operand operand : Operand.values()) {
                if (operand == Operand.BIAS && shape.dimension() != 1) {
                    continue;
                }
                float[] expected = values.clone();
                format.round(FloatBuffer.wrap(expected), shape, operand);
                String what = "trial " + trial + " " + operand + " " + shape;
                NDArray array = NativeFloats.of(manager, values, shape.getShape());
                assertEqual(what, format.fakeQuantize(array, operand), expected);
                assertEqual(what, format.differentiable(array, operand), expected);
                assertEqual(what + " argument", array, values);
                assertEqual(what, format.fakeQuantizeInPlace(array, operand), expected);
                assertEqual(what, array, expected);
            }
        }
    }

    /** A tensor that is a view, as keys and values are, has the values of its copy. */
    @ParameterizedTest
    @MethodSource("formats")
    void viewsAreRoundedAsTheirCopies(NumberFormat format) {
        float[] values = values(new SplittableRandom(3), 2 * 6 * 4 * 5);
        NDArray view = NativeFloats.of(manager, values, 2, 6, 4, 5).transpose(0, 2, 1, 3);
        NDArray copy = NativeFloats.of(manager, view.toFloatArray(), 2, 4, 6, 5);
        for (Operand operand : List.of(Operand.ACTIVATION, Operand.KEY, Operand.VALUE)) {
            float[] expected = format.fakeQuantize(copy, operand).toFloatArray();
            assertEqual("view", format.fakeQuantize(view, operand), expected);
            assertEqual("view", format.differentiable(view, operand), expected);
            if (!format.isNone()) {
                assertThatThrownBy(() -> format.fakeQuantizeInPlace(view, operand))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("not contiguous");
            }
        }
        assertThat(view.toFloatArray()).isEqualTo(copy.toFloatArray());
    }

    /** Keys are held as the transpose of what the product takes, and a block size means the latter. */
    @ParameterizedTest
    @MethodSource("formats")
    void blocksOfKeysAreThoseOfTheirTranspose(NumberFormat format) {
        if (!(format instanceof BlockFloatFormat
                || format instanceof MinifloatFormat
                || format instanceof FixedPointFormat
                || format.isNone())) {
            // tokens are rows of what is held
            return;
        }
        for (int tokens : new int[] {1, 6, 17}) {
            NDArray keys = NativeFloats.of(manager, values(new SplittableRandom(tokens), 2 * tokens * 8), 2, tokens, 8);
            NDArray entering = keys.transpose(0, 2, 1);
            NDArray expected = format.fakeQuantize(entering, Operand.VALUE).transpose(0, 2, 1);
            assertEqual("keys", format.fakeQuantize(keys, Operand.KEY), expected.toFloatArray());
            assertThat(format.storageBits(keys.getShape(), Operand.KEY))
                    .isEqualTo(format.storageBits(entering.getShape(), Operand.VALUE));
        }
    }

    @ParameterizedTest
    @MethodSource("formats")
    void zerosStayZerosAndEmptyTensorsEmpty(NumberFormat format) {
        float[] expected = new float[21];
        if (losesZeros(format)) {
            Arrays.fill(expected, Float.NaN);
        }
        assertEqual("zeros", format.fakeQuantize(manager.zeros(new Shape(3, 7)), Operand.WEIGHT), expected);
        format.round(FloatBuffer.allocate(0), new Shape(0, 4), Operand.WEIGHT);
        format.round(FloatBuffer.allocate(0), new Shape(4, 0), Operand.WEIGHT);
    }

    @ParameterizedTest
    @MethodSource("formats")
    void isDeterministicOnManyTiles(NumberFormat format) {
        float[] values = values(new SplittableRandom(9), 300 * 211);
        float[] first = values.clone();
        format.round(FloatBuffer.wrap(first), new Shape(300, 211), Operand.WEIGHT);
        float[] second = values.clone();
        format.round(FloatBuffer.wrap(second), new Shape(300, 211), Operand.WEIGHT);
        assertThat(second).isEqualTo(first);
    }

    /** Formats without a scale from the data let every derivative pass. */
    @ParameterizedTest
    @MethodSource("formats")
    void roundingAndClampingHaveDerivativeOne(NumberFormat format) {
        if (format instanceof IntegerFormat) {
            return;
        }
        float[] weights = values(new SplittableRandom(5), 4 * 9);
        NDArray values = NativeFloats.of(manager, values(new SplittableRandom(4), 4 * 9), 4, 9);
        float[] gradient = gradient(format, values, weights);
        assertThat(gradient).containsExactly(weights);
    }

    @Test
    void anIntegerScalesDerivativePassesToTheLargestMagnitude() {
        // scale 1, codes 7 2 -3 0: ŵ = s (w/s + (code - w/s) held fixed)
        float[] w = {7, 2.3f, -3.4f, 0.2f};
        float[] c = {1, 10, 100, 1000};
        float[] gradient =
                gradient(new IntegerFormat(4, Granularity.CHANNEL, 0, true), NativeFloats.of(manager, w, 1, 4), c);
        // dŵᵢ/ds = codeᵢ - wᵢ/s, and ds/dw₀ = 1/7
        double throughScale = (10 * (2 - 2.3) + 100 * (-3 + 3.4) + 1000 * (0 - 0.2)) / 7;
        assertThat(gradient[0]).isCloseTo((float) (1 + throughScale), within(1e-3f));
        assertThat(gradient[1]).isCloseTo(10, within(1e-3f));
        assertThat(gradient[2]).isCloseTo(100, within(1e-3f));
        assertThat(gradient[3]).isCloseTo(1000, within(1e-2f));
    }

    @Test
    void anAsymmetricScalesDerivativePassesToBothEnds() {
        // range -1 to 14, scale 1, zero point 1
        float[] w = {-1, 14, 5.3f, 8.6f};
        float[] c = {1, 1, 10, 100};
        float[] gradient =
                gradient(new IntegerFormat(4, Granularity.CHANNEL, 0, false), NativeFloats.of(manager, w, 1, 4), c);
        // the zero point cancels for values that are not clamped
        double throughScale = (10 * (5 - 5.3) + 100 * (9 - 8.6)) / 15;
        assertThat(gradient[0]).isCloseTo((float) (1 - throughScale), within(1e-3f));
        assertThat(gradient[1]).isCloseTo((float) (1 + throughScale), within(1e-3f));
        assertThat(gradient[2]).isCloseTo(10, within(1e-3f));
        assertThat(gradient[3]).isCloseTo(100, within(1e-3f));
    }

    /** A value that is not finite spoils what shares a scale or an exponent with it, in both forms alike. */
    @ParameterizedTest
    @MethodSource("formats")
    void bothFormsTreatValuesThatAreNotFiniteAlike(NumberFormat format) {
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.MAX_VALUE}) {
            float[] values = values(new SplittableRandom(2), 6 * 11);
            values[27] = bad;
            float[] expected = values.clone();
            format.round(FloatBuffer.wrap(expected), new Shape(6, 11), Operand.WEIGHT);
            NDArray array = NativeFloats.of(manager, values, 6, 11);
            assertEqual(format + " with " + bad, format.fakeQuantize(array, Operand.WEIGHT), expected);
            assertEqual(format + " with " + bad, format.differentiable(array, Operand.WEIGHT), expected);
            if (Float.isNaN(bad)) {
                assertThat(expected[27]).isNaN();
            }
        }
    }

    /**
     * With the remainders that rounding leaves held fixed the function is smooth, and its finite differences are the
     * derivative.
     */
    @ParameterizedTest
    @MethodSource("formats")
    void integerDerivativesAreFiniteDifferencesOfTheSmoothFunction(NumberFormat format) {
        if (!(format instanceof IntegerFormat integer)
                || !integer.symmetric()
                || integer.bits() == 2
                || integer.granularity() != Granularity.GROUP) {
            return;
        }
        SplittableRandom random = new SplittableRandom(11);
        int rows = 3;
        int columns = 12;
        float[] w = new float[rows * columns];
        float[] c = new float[rows * columns];
        for (int i = 0; i < w.length; i++) {
            // the largest of each group is clear
            w[i] = i % columns % integer.groupSize() == 1 ? -4 : (float) random.nextDouble(-3, 3);
            c[i] = (float) random.nextGaussian();
        }
        float[] gradient = gradient(format, NativeFloats.of(manager, w, rows, columns), c);
        double[] remainders = new double[w.length];
        for (int i = 0; i < w.length; i++) {
            double scale = scale(w, i, columns, integer);
            remainders[i] = Math.rint(w[i] / scale) - w[i] / scale;
        }
        for (int i = 0; i < w.length; i++) {
            float[] up = w.clone();
            float[] down = w.clone();
            up[i] += 1e-2f;
            down[i] -= 1e-2f;
            double difference =
                    (smooth(up, c, remainders, columns, integer) - smooth(down, c, remainders, columns, integer))
                            / ((double) up[i] - down[i]);
            assertThat((double) gradient[i]).as("value %s", i).isCloseTo(difference, within(1e-3));
        }
    }

    private static double smooth(float[] w, float[] c, double[] remainders, int columns, IntegerFormat format) {
        double sum = 0;
        for (int i = 0; i < w.length; i++) {
            double scale = scale(w, i, columns, format);
            sum += c[i] * scale * (w[i] / scale + remainders[i]);
        }
        return sum;
    }

    private static double scale(float[] w, int index, int columns, IntegerFormat format) {
        int row = index / columns;
        int first = index % columns / format.groupSize() * format.groupSize();
        double largest = 0;
        for (int i = first; i < Math.min(columns, first + format.groupSize()); i++) {
            largest = Math.max(largest, Math.abs(w[row * columns + i]));
        }
        return largest / ((1 << (format.bits() - 1)) - 1);
    }

    @Test
    void aClampedIntegerPassesOnlyThroughTheScale() {
        // range -3 to 3 in 3 steps of 2, zero point round(1.5) = 2: 3 has code 4, which is clamped to 3
        NDArray values = NativeFloats.of(manager, new float[] {-3, 3, 0.4f}, 1, 3);
        IntegerFormat format = new IntegerFormat(2, Granularity.CHANNEL, 0, false);
        assertThat(format.differentiable(values, Operand.WEIGHT).toFloatArray()).containsExactly(-4, 2, 0);
        float[] gradient = gradient(format, values, new float[] {0, 1, 0});
        // of s (3 - z) with s = (high - low) / 3 and z = 2
        assertThat(gradient[0]).isCloseTo(-1 / 3f, within(1e-5f));
        assertThat(gradient[1]).isCloseTo(1 / 3f, within(1e-5f));
        assertThat(gradient[2]).isZero();
    }

    @Test
    void storageCountsWhatIsShared() {
        Shape shape = new Shape(10, 20);
        assertThat(new NoFormat().storageBits(shape, Operand.WEIGHT)).isEqualTo(200 * 32);
        assertThat(new MinifloatFormat(8, 4, 7).storageBits(shape, Operand.WEIGHT))
                .isEqualTo(200 * 8);
        assertThat(new FixedPointFormat(5, 2, true).storageBits(shape, Operand.WEIGHT))
                .isEqualTo(200 * 5);
        // 16 + 4 columns: two blocks a row
        assertThat(blockFloat(4, 1, 16).storageBits(shape, Operand.WEIGHT)).isEqualTo(200 * 4 + 20 * 8);
        // 4 + 4 + 2 rows by 8 + 8 + 4 columns
        assertThat(blockFloat(4, 4, 8).storageBits(shape, Operand.WEIGHT)).isEqualTo(200 * 4 + 9 * 8);
        assertThat(blockFloat(4, -1, -1).storageBits(shape, Operand.WEIGHT)).isEqualTo(200 * 4 + 8);
        // every matrix of a batch has its own blocks
        assertThat(blockFloat(4, 4, 8).storageBits(new Shape(3, 10, 20), Operand.ACTIVATION))
                .isEqualTo(3 * (200 * 4 + 9 * 8));
        // of the transpose, 20 by 10: 20 rows of one block
        assertThat(blockFloat(4, 1, 16).storageBits(shape, Operand.KEY)).isEqualTo(200 * 4 + 20 * 8);
        assertThat(blockFloat(4, 1, 16).storageBits(new Shape(17, 3), Operand.KEY))
                .isEqualTo(51 * 4 + 3 * 2 * 8);
        // a scale of 16 bits, and a zero point of as many as a code
        assertThat(integer(Granularity.CHANNEL, 0, true).storageBits(shape, Operand.WEIGHT))
                .isEqualTo(200 * 4 + 10 * 16);
        assertThat(integer(Granularity.CHANNEL, 0, false).storageBits(shape, Operand.WEIGHT))
                .isEqualTo(200 * 4 + 10 * 20);
        // one that may lie beyond the codes has 16
        assertThat(plain(4, Granularity.CHANNEL, 0).storageBits(shape, Operand.WEIGHT))
                .isEqualTo(200 * 4 + 10 * 32);
        assertThat(integer(Granularity.CHANNEL, 0, true).storageBits(shape, Operand.FACTOR))
                .isEqualTo(200 * 4 + 20 * 16);
        assertThat(integer(Granularity.GROUP, 8, true).storageBits(shape, Operand.WEIGHT))
                .isEqualTo(200 * 4 + 30 * 16);
        assertThat(integer(Granularity.GROUP, 8, false).storageBits(shape, Operand.FACTOR))
                .isEqualTo(200 * 4 + 40 * 20);
        // other grids count the same; torchao's zero point of floating point has 16 bits
        assertThat(grid(4, Granularity.CHANNEL, IntegerGrid.GPTQ, Mapping.SYMMETRIC, Range.MINMAX)
                        .storageBits(shape, Operand.WEIGHT))
                .isEqualTo(200 * 4 + 10 * 16);
        assertThat(grid(4, Granularity.GROUP, IntegerGrid.TORCHAO, Mapping.ASYMMETRIC, Range.MINMAX)
                        .storageBits(shape, Operand.WEIGHT))
                .isEqualTo(200 * 4 + 40 * 20);
        assertThat(grid(4, Granularity.CHANNEL, IntegerGrid.TORCHAO, Mapping.ASYMMETRIC_FLOAT, Range.MINMAX)
                        .storageBits(shape, Operand.WEIGHT))
                .isEqualTo(200 * 4 + 10 * 32);
        assertThat(new TernaryFormat(Granularity.CHANNEL, 0, TernaryFormat.Scale.ABSMEAN)
                        .storageBits(shape, Operand.WEIGHT))
                .isEqualTo(200 * 2 + 10 * 16);
        // 4 blocks of a flat weight, of which the last is short; one in each of ten tokens
        assertThat(new NormalFloatFormat(4, 64).storageBits(shape, Operand.WEIGHT))
                .isEqualTo(200 * 4 + 4 * 32);
        assertThat(new NormalFloatFormat(4, 64).storageBits(shape, Operand.ACTIVATION))
                .isEqualTo(200 * 4 + 10 * 32);
        // 0.127 bits a weight beyond the codes, and one mean
        NormalFloatFormat twice = new NormalFloatFormat(4, 64, 256, NormalFloatFormat.Rule.BITSANDBYTES);
        assertThat(twice.storageBits(new Shape(4096, 4096), Operand.WEIGHT))
                .isEqualTo(4096 * 4096 * (4 + 8 / 64.0 + 32 / (64 * 256.0)) + 32);
        assertThat(integer(Granularity.TENSOR, 0, true).storageBits(shape, Operand.WEIGHT))
                .isEqualTo(200 * 4 + 16);
        assertThat(integer(Granularity.TENSOR, 0, true).storageBits(new Shape(20), Operand.BIAS))
                .isEqualTo(20 * 4 + 16);
        // 70 billion weights
        assertThat(integer(Granularity.GROUP, 128, true).storageBits(new Shape(1 << 18, 1 << 18), Operand.WEIGHT))
                .isEqualTo(Math.pow(2, 36) * (4 + 16.0 / 128));
    }

    private static IntegerFormat integer(Granularity granularity, int groupSize, boolean symmetric) {
        return new IntegerFormat(4, granularity, groupSize, symmetric);
    }

    /** The derivative of {@code Σ weights · rounded(values)}. */
    private float[] gradient(NumberFormat format, NDArray values, float[] weights) {
        NDArray factor = NativeFloats.of(manager, weights, values.getShape().getShape());
        values.setRequiresGradient(true);
        try (GradientCollector collector = Engine.getEngine("PyTorch").newGradientCollector()) {
            collector.backward(
                    format.differentiable(values, Operand.WEIGHT).mul(factor).sum());
        }
        return values.getGradient().toFloatArray();
    }

    private static Shape shape(SplittableRandom random) {
        long[] dimensions = new long[1 + random.nextInt(4)];
        for (int i = 0; i < dimensions.length; i++) {
            dimensions[i] = 1L + random.nextInt(i < dimensions.length - 2 ? 3 : 20);
        }
        return new Shape(dimensions);
    }

    /** Normal values of very different sizes, with zeros, equal ones and tiny ones. */
    private static float[] values(SplittableRandom random, int count) {
        float[] values = new float[count];
        double size = Math.pow(10, random.nextInt(-3, 4));
        for (int i = 0; i < count; i++) {
            values[i] = switch (random.nextInt(12)) {
                case 0 -> 0;
                case 1 -> -0f;
                case 2 -> (float) Math.rint(4 * random.nextGaussian());
                case 3 -> (float) (1e-6 * size * random.nextGaussian());
                default -> (float) (size * random.nextGaussian());
            };
        }
        return values;
    }

    private static void assertEqual(String what, NDArray actual, float[] expected) {
        float[] values = actual.toFloatArray();
        assertThat(values).as(what).hasSameSizeAs(expected);
        for (int i = 0; i < values.length; i++) {
            // zeros of both signs are equal
            if (values[i] != expected[i] && !(Float.isNaN(values[i]) && Float.isNaN(expected[i]))) {
                throw new AssertionError(what + " at " + i + ": " + values[i] + ", expected " + expected[i]);
            }
        }
    }
}
