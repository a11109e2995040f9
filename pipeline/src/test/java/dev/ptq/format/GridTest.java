package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.format.BlockFloatFormat.ExponentRounding;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.IntegerFormat.Range;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class GridTest {
    private static final Shape[] SHAPES = {
        new Shape(),
        new Shape(7),
        new Shape(1, 1),
        new Shape(3, 16),
        new Shape(5, 19),
        new Shape(17, 4),
        new Shape(2, 3, 20),
        new Shape(2, 1, 5, 8),
        new Shape(0, 4),
        new Shape(4, 0),
    };

    private final NDManager manager = TensorEngine.newManager();

    @TempDir
    private Path folder;

    @AfterEach
    void closeManager() {
        manager.close();
    }

    static Stream<NumberFormat> formats() {
        List<NumberFormat> formats = new ArrayList<>(NumberFormatTest.formats()
                .filter(format -> !format.isNone() && isWritable(format))
                .toList());
        for (boolean symmetric : new boolean[] {true, false}) {
            formats.add(new IntegerFormat(3, Granularity.GROUP, 6, symmetric, true, Range.MSE));
            formats.add(new IntegerFormat(4, Granularity.TENSOR, 0, symmetric, true, Range.MSE));
            IntegerFormat tensor = new IntegerFormat(5, Granularity.TENSOR, 0, symmetric);
            formats.add(new StaticFormat(tensor, Optional.empty()).withBounds(-1.5f, 2));
        }
        IntegerFormat plain = new IntegerFormat(4, Granularity.TENSOR, 0, false, false, Range.MINMAX);
        formats.add(new StaticFormat(plain, Optional.empty()).withBounds(0.5f, 2));
        for (ExponentRounding rounding : ExponentRounding.values()) {
            // all exponents are numbers; exponents cut off at either end; steps below the smallest number; all too low
            formats.add(new BlockFloatFormat(4, List.of(1, 4), 8, 128, rounding));
            formats.add(new BlockFloatFormat(5, List.of(2, 4), 2, 1, rounding));
            formats.add(new BlockFloatFormat(8, List.of(1, 16), 8, 0, rounding));
            formats.add(new BlockFloatFormat(23, List.of(1, 16), 8, 200, rounding));
            formats.add(new BlockFloatFormat(3, List.of(1, 16), 1, 255, rounding));
            BlockFloatFormat whole = new BlockFloatFormat(6, List.of(-1, -1), 8, 127, rounding);
            formats.add(new StaticFormat(whole, Optional.empty()).withBounds(-1.5f, 0.25f));
        }
        for (SmallFloat element : List.of(SmallFloat.E4M3, SmallFloat.E5M2)) {
            Fp8Format tensor = new Fp8Format(element, Fp8Format.Granularity.TENSOR);
            formats.add(new StaticFormat(tensor, Optional.empty()).withBounds(-1.5f, 2));
        }
        formats.add(new Nvfp4Format().withAmax(2));
        formats.add(new StaticFormat(new Nvfp4Format(), Optional.empty()).withBounds(-1.5f, 2));
        for (NumberFormat format : NumberFormatTest.integerGrids()) {
            if (format instanceof IntegerGridFormat integers
                    && integers.settingForOneRange().isEmpty()
                    && !integers.hasRangePerFeature()) {
                formats.add(new StaticFormat(integers, Optional.empty()).withBounds(-1.5f, 2));
                formats.add(new StaticFormat(integers, Optional.empty()).withBounds(0.5f, 2));
            }
        }
        formats.add(new MinifloatFormat(24, 8, 0));
        formats.add(new MinifloatFormat(12, 8, 127));
        formats.add(new MinifloatFormat(9, 8, 255));
        formats.add(new MinifloatFormat(3, 1, 200));
        formats.add(new FixedPointFormat(31, 8, true));
        formats.add(new FixedPointFormat(31, 0, false));
        formats.add(new FixedPointFormat(1, 64, true));
        return formats.stream();
    }

    /** A config gives a block a size. */
    private static boolean isWritable(NumberFormat format) {
        return !(format instanceof BlockFloatFormat blocks && blocks.blockSize().isEmpty());
    }

    /** Values of very different sizes; some with NaN, infinities, numbers that are not normal, or nothing but zeros. */
    private static float[] values(SplittableRandom random, int count) {
        float[] values = new float[count];
        int kind = random.nextInt(8);
        double size = kind == 0 ? Math.pow(2, random.nextInt(-149, 127)) : Math.pow(10, random.nextInt(-9, 5));
        for (int i = 0; i < count; i++) {
            values[i] = switch (random.nextInt(kind == 1 ? 16 : 12)) {
                case 0 -> 0;
                case 1 -> -0f;
                case 2 -> (float) Math.rint(4 * random.nextGaussian());
                case 3 -> (float) (1e-8 * random.nextGaussian());
                case 4 -> (float) (size * Math.pow(2, random.nextInt(-3, 3)));
                case 5 -> (float) (size * (random.nextInt(-8, 8) + 0.5));
                case 12 -> Float.NaN;
                case 13 -> random.nextBoolean() ? Float.POSITIVE_INFINITY : Float.NEGATIVE_INFINITY;
                case 14 -> Float.intBitsToFloat(random.nextInt());
                default -> (float) (size * random.nextGaussian());
            };
            if (kind == 2) {
                values[i] *= 0;
            }
        }
        return values;
    }

    private static Operand[] operands(Shape shape) {
        return shape.dimension() < 2 ? new Operand[] {Operand.BIAS, Operand.WEIGHT} : Operand.values();
    }

    private Grid fit(NumberFormat format, NDArray values, Operand operand) {
        return format.fit(values, operand).orElseThrow();
    }

    private NDArray tensor(Shape shape, float... values) {
        return NativeFloats.of(manager, values, shape.getShape());
    }

    @ParameterizedTest
    @MethodSource("formats")
    void valuesAreThoseOfRounding(NumberFormat format) throws IOException {
        SplittableRandom random = new SplittableRandom(format.toString().hashCode());
        for (int trial = 0; trial < 2; trial++) {
            for (Shape shape : SHAPES) {
                NDArray values = tensor(shape, values(random, (int) shape.size()));
                for (Operand operand : operands(shape)) {
                    Grid grid = fit(format, values, operand);
                    int[] expected = bits(format.fakeQuantize(values, operand));
                    String what = format + " " + operand + " " + shape;
                    assertThat(bits(grid.values(manager))).as(what).isEqualTo(expected);
                    // zeros of both signs are equal
                    assertThat(bits(grid.round(values).values(manager).add(0)))
                            .as(what + " again")
                            .isEqualTo(bits(grid.values(manager).add(0)));
                    Grid read = Grid.read(format, shape, operand, grid.parts());
                    assertThat(bits(read.values(manager))).as(what + " read").isEqualTo(expected);
                    assertThat(read.parts()).isEqualTo(grid.parts());
                    assertThat(grid.format()).isEqualTo(format);
                    assertThat(grid.shape()).isEqualTo(shape);
                    assertThat(grid.operand()).isEqualTo(operand);
                }
            }
            manager.getManagedArrays().forEach(NDArray::close);
        }
    }

    /** More than one tile, and rows that are made one. */
    @ParameterizedTest
    @MethodSource("formats")
    void largeTensorsHaveTheirBlocksInPlace(NumberFormat format) {
        SplittableRandom random = new SplittableRandom(3);
        for (Shape shape : List.of(new Shape(300, 80), new Shape(41, 1030))) {
            NDArray values = tensor(shape, values(random, (int) shape.size()));
            for (Operand operand : List.of(Operand.WEIGHT, Operand.FACTOR)) {
                assertThat(bits(fit(format, values, operand).values(manager)))
                        .isEqualTo(bits(format.fakeQuantize(values, operand)));
            }
        }
    }

    @Test
    void aWeightIsCodesAndScales() {
        NDArray weight = tensor(new Shape(2, 4), 1, -0.5f, 3, 0.2f, -6, 7, 14, 0);
        Grid symmetric = fit(new IntegerFormat(3, Granularity.GROUP, 2, true), weight, Operand.WEIGHT);
        assertThat(codes(symmetric)).containsExactly(3, -2, 3, 0, -3, 3, 3, 0);
        assertThat(symmetric.scales()).containsExactly(1 / 3f, 1, 7 / 3f, 14 / 3f);
        assertThat(symmetric.zeroPoints()).isEmpty();
        assertThat(symmetric.exponents()).isEmpty();

        // -6 to 14 in 15 steps of 4/3, zero point 4.5 to even
        Grid affine = fit(new IntegerFormat(4, Granularity.CHANNEL, 0, false), weight, Operand.WEIGHT);
        assertThat(affine.zeroPoints()).containsExactly(2, 4);
        assertThat(affine.scales()).containsExactly(3.5f / 15, 20f / 15);
        assertThat(codes(affine)).containsExactly(6, 0, 15, 3, 0, 9, 14, 4);

        // steps of 1/4 below 1, of 1 below 4, of 2 below 8, of 4 below 16
        Grid blocks =
                fit(new BlockFloatFormat(3, List.of(1, 2), 8, 127, ExponentRounding.FLOOR), weight, Operand.WEIGHT);
        assertThat(blocks.exponents()).containsExactly(0, 1, 2, 3);
        assertThat(codes(blocks)).containsExactly(2, -1, 3, 0, -3, 3, 3, 0);
        assertThat(blocks.scales()).isEmpty();

        // exponents of 1/2 to 4, four mantissas: sign, two bits, two bits
        Grid minifloat = fit(new MinifloatFormat(5, 2, 1), weight, Operand.WEIGHT);
        assertThat(codes(minifloat)).containsExactly(4, 16 + 2, 8 + 2, 1, 16 + 12 + 2, 12 + 3, 12 + 3, 0);

        // 14 and 3 have the exponents 3 and 1, the largest element has 2: steps of 2 and 1/2 below 4 of them
        Grid mx = fit(new MxFormat(SmallFloat.E2M1), weight, Operand.WEIGHT);
        assertThat(mx.scales()).containsExactly(0.5f, 2);
        assertThat(codes(mx)).containsExactly(4, 8 + 2, 7, 1, 8 + 5, 6, 7, 0);
        assertThat(mx.values(manager).toFloatArray()).containsExactly(1, -0.5f, 3, 0.25f, -6, 8, 12, 0);

        Grid fixed = fit(new FixedPointFormat(4, 1, true), weight, Operand.WEIGHT);
        assertThat(codes(fixed)).containsExactly(2, -1, 6, 0, -8, 7, 7, 0);
        assertThat(fixed.values(manager).toFloatArray()).containsExactly(1, -0.5f, 3, 0, -4, 3.5f, 3.5f, 0);
    }

    private static int[] codes(Grid grid) {
        int[] codes = new int[grid.codes().remaining()];
        grid.codes().get(codes);
        return codes;
    }

    @Test
    void theNegativeZeroOfABlockIsACode() {
        NDArray values = tensor(new Shape(1, 4), -0f, 0, 1, -1e-4f);
        Grid grid = fit(new BlockFloatFormat(4, List.of(1, 4), 8, 127), values, Operand.WEIGHT);
        assertThat(grid.exceptions()).isZero();
        assertThat(codes(grid)).containsExactly(-8, 0, 7, -8);
        assertThat(bits(grid.values(manager))).isEqualTo(bits(tensor(new Shape(4), -0f, 0, 0.875f, -0f)));
    }

    @Test
    void valuesLeftAloneAreExceptions() {
        NDArray values = tensor(new Shape(1, 4), 1e-9f, -3e-9f, 1, 1e-7f);
        for (NumberFormat format :
                List.of(new BlockFloatFormat(4, List.of(1, 4), 8, 127), new MinifloatFormat(8, 4, 7))) {
            Grid grid = fit(format, values, Operand.WEIGHT);
            assertThat(grid.exceptions()).isEqualTo(2);
            assertThat(grid.values(manager).toFloatArray()).startsWith(1e-9f, -3e-9f);
        }
        float[] fixed = {-0.1f, Float.NaN, 0.1f, -1};
        assertThat(fit(new FixedPointFormat(4, 1, true), tensor(new Shape(4), fixed), Operand.BIAS)
                        .exceptions())
                .isEqualTo(2);
    }

    /** The usual weights need none, whatever the format. */
    @ParameterizedTest
    @MethodSource("formats")
    void normalWeightsHaveNoExceptions(NumberFormat format) {
        SplittableRandom random = new SplittableRandom(8);
        float[] values = new float[16 * 30];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (0.02 * random.nextGaussian());
        }
        Grid grid = fit(format, tensor(new Shape(16, 30), values), Operand.WEIGHT);
        // two's complement has no negative zero
        if (!(format instanceof FixedPointFormat fixed && fixed.signed())) {
            assertThat(grid.exceptions()).isZero();
        }
    }

    @Test
    void anotherTensorIsPutOnTheSameScales() {
        NDArray weight = tensor(new Shape(2, 2), 3, -1, 0.3f, 0.6f);
        NDArray other = tensor(new Shape(2, 2), -9, 1.4f, Float.POSITIVE_INFINITY, 0.5f);
        Grid integers = fit(new IntegerFormat(3, Granularity.CHANNEL, 0, true), weight, Operand.WEIGHT)
                .round(other);
        assertThat(integers.scales()).containsExactly(1, 0.2f);
        assertThat(integers.values(manager).toFloatArray()).containsExactly(-4, 1, Float.NaN, 2 * 0.2f);
        for (ExponentRounding rounding : ExponentRounding.values()) {
            // the shared exponent leaves steps of 1 and of 1/4 or 1/8
            boolean ceil = rounding == ExponentRounding.CEIL;
            Grid blocks = fit(new BlockFloatFormat(3, List.of(1, 2), 8, 127, rounding), weight, Operand.WEIGHT)
                    .round(other);
            assertThat(blocks.exponents()).containsExactly(ceil ? new int[] {2, 0} : new int[] {1, -1});
            assertThat(blocks.values(manager).toFloatArray()).containsExactly(-3, 1, Float.NaN, 0.5f);
        }
        assertThat(fit(new FixedPointFormat(3, 0, true), weight, Operand.WEIGHT)
                        .round(other)
                        .values(manager)
                        .toFloatArray())
                .containsExactly(-4, 1, 3, 0);
        Grid grid = fit(new IntegerFormat(3, Granularity.CHANNEL, 0, true), weight, Operand.WEIGHT);
        assertThatThrownBy(() -> grid.round(weight.reshape(4)))
                .hasMessage("expected a tensor of shape (2, 2), got (4)");
    }

    @Test
    void float32HasNoGrid() {
        NDArray weight = tensor(new Shape(2), 1, 2);
        assertThat(new NoFormat().fit(weight, Operand.WEIGHT)).isEmpty();
        assertThatThrownBy(() -> Grid.read(new NoFormat(), weight.getShape(), Operand.WEIGHT, Map.of()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("expected a format with codes, got { format = 'none' }");
    }

    /** Bytes of codes, of scales or exponents, and of zero points. */
    @ParameterizedTest
    @CsvSource({"2, true", "3, true", "4, false", "8, false", "9, false", "16, true"})
    void aCodeTakesItsBits(int bits, boolean symmetric) {
        NDArray weight = tensor(new Shape(6, 21), values(new SplittableRandom(5), 6 * 21));
        Map<String, RawTensor> parts = fit(
                        new IntegerFormat(bits, Granularity.GROUP, 8, symmetric), weight, Operand.WEIGHT)
                .parts();
        assertThat(parts.keySet())
                .containsExactlyElementsOf(
                        symmetric ? List.of("codes", "scale") : List.of("codes", "scale", "zero_point"));
        assertThat(part(parts, "codes").shape()).containsExactly(6L, (21L * bits + 7) / 8);
        assertThat(part(parts, "codes").type()).isEqualTo(StoredType.U8);
        assertThat(part(parts, "scale").shape()).containsExactly(6L, 3L);
        assertThat(part(parts, "scale").type()).isEqualTo(StoredType.F32);
        if (!symmetric) {
            assertThat(part(parts, "zero_point").shape()).containsExactly(6L, 3L);
            assertThat(part(parts, "zero_point").type()).isEqualTo(bits <= 8 ? StoredType.U8 : StoredType.I32);
        }
        Map<String, RawTensor> blocks = fit(
                        new BlockFloatFormat(bits, List.of(2, 8), 8, 127), weight.add(1), Operand.WEIGHT)
                .parts();
        assertThat(blocks.keySet()).containsExactly("codes", "exponent");
        assertThat(part(blocks, "exponent").shape()).containsExactly(3L, 3L);
        assertThat(part(blocks, "exponent").type()).isEqualTo(StoredType.U8);
    }

    private static RawTensor part(Map<String, RawTensor> parts, String name) {
        return Objects.requireNonNull(parts.get(name), name);
    }

    @Test
    void codesArePackedFromTheLowestBit() {
        // 3 bits each: 001 110 011 | 101 and a row of its own
        byte[] packed = new PackedCodes(2, 4, 3).pack(new int[] {1, -2, 3, -3, 0, 1, 2, 3});
        assertThat(packed).containsExactly(0b11_110_001, 0b1010, 0b10_001_000, 0b110);
        assertThat(new PackedCodes(2, 4, 3).unpack(ByteBuffer.wrap(packed), true))
                .containsExactly(1, -2, 3, -3, 0, 1, 2, 3);
        assertThat(new PackedCodes(2, 4, 3).unpack(ByteBuffer.wrap(packed), false))
                .containsExactly(1, 6, 3, 5, 0, 1, 2, 3);
    }

    @Test
    void codesOfAllWidthsComeBack() {
        SplittableRandom random = new SplittableRandom(1);
        for (int bits = 1; bits < 32; bits++) {
            PackedCodes packed = new PackedCodes(3, 13, bits);
            int unused = 32 - bits;
            int[] signed = random.ints(39).map(code -> code << unused >> unused).toArray();
            int[] unsigned =
                    random.ints(39).map(code -> code << unused >>> unused).toArray();
            assertThat(packed.unpack(ByteBuffer.wrap(packed.pack(signed)), true))
                    .isEqualTo(signed);
            assertThat(packed.unpack(ByteBuffer.wrap(packed.pack(unsigned)), false))
                    .isEqualTo(unsigned);
        }
    }

    @ParameterizedTest
    @MethodSource("formats")
    void comesBackFromAFile(NumberFormat format) throws IOException {
        Shape shape = new Shape(9, 23);
        NDArray values = tensor(shape, values(new SplittableRandom(12), 9 * 23));
        Grid grid = fit(format, values, Operand.WEIGHT);
        Map<String, RawTensor> named = new LinkedHashMap<>();
        grid.parts().forEach((part, tensor) -> named.put("w." + part, tensor));
        Path file = folder.resolve("grid.safetensors");
        SafetensorsWriter.write(file, Map.of("w", values), named, Map.of("format", Formats.written(format)));

        try (Safetensors stored = Safetensors.open(file)) {
            Map<String, RawTensor> parts = new LinkedHashMap<>();
            for (String name : stored.entries().keySet()) {
                if (name.startsWith("w.")) {
                    parts.put(name.substring(2), stored.raw(name));
                }
            }
            NumberFormat read =
                    Formats.parse(Objects.requireNonNull(stored.metadata().get("format")), "grid");
            assertThat(read).isEqualTo(format);
            assertThat(bits(Grid.read(read, shape, Operand.WEIGHT, parts).values(manager)))
                    .isEqualTo(bits(format.fakeQuantize(values, Operand.WEIGHT)));
            assertThat(bits(stored.load(manager, "w"))).isEqualTo(bits(values));
        }
    }

    @Test
    void damagedPartsAreRefused() {
        Shape shape = new Shape(2, 6);
        NDArray values = tensor(shape, 1, 2, 3, 4, 5, -6, 7, 8, 9, 1e-9f, 2e-9f, 12);
        NumberFormat integers = new IntegerFormat(4, Granularity.GROUP, 3, false);
        refuses(
                integers,
                values,
                parts -> without(parts, "codes"),
                "codes: expected a tensor, got none among [scale, zero_point]");
        refuses(integers, values, parts -> without(parts, "scale"), "scale: expected a tensor");
        refuses(integers, values, parts -> without(parts, "zero_point"), "zero_point: expected a tensor");
        refuses(
                integers,
                values,
                parts -> with(parts, "codes", RawTensor.of(new byte[8], 2, 4)),
                "codes: expected U8 [2, 3], got U8 [2, 4]");
        refuses(
                integers,
                values,
                parts -> with(parts, "codes", RawTensor.of(new byte[6], 6)),
                "codes: expected U8 [2, 3], got U8 [6]");
        refuses(
                integers,
                values,
                parts -> with(parts, "scale", RawTensor.of(new int[4], 2, 2)),
                "scale: expected F32 [2, 2], got I32 [2, 2]");
        refuses(
                integers,
                values,
                parts -> with(parts, "scale", RawTensor.of(new float[] {1, -1, 1, 1}, 2, 2)),
                "scale: expected no negative number, got -1.0 at 1");
        refuses(
                integers,
                values,
                parts -> with(parts, "zero_point", RawTensor.of(new byte[] {0, 15, 16, 0}, 2, 2)),
                "zero_point: expected from 0 to 15, got 16 at 2");
        refuses(
                new IntegerFormat(4, Granularity.CHANNEL, 0, false, false, Range.MINMAX),
                values,
                parts -> with(parts, "zero_point", RawTensor.of(new int[] {0, 1 << 22}, 2, 1)),
                "zero_point: expected from -2097152 to 2097152, got 4194304 at 1");
        refuses(
                integers,
                values,
                parts -> with(parts, "exponent", RawTensor.of(new byte[4], 2, 2)),
                "exponent: expected no parts but [scale, zero_point, codes], got this one too");

        NumberFormat blocks = new BlockFloatFormat(4, List.of(1, 6), 4, 7);
        refuses(
                blocks,
                values,
                parts -> with(parts, "exponent", RawTensor.of(new byte[] {3, 16}, 2, 1)),
                "exponent: expected from 0 to 15, got 16 at 1");
        refuses(
                new BlockFloatFormat(4, List.of(1, 6), 8, 128),
                values,
                parts -> with(parts, "exponent", RawTensor.of(new int[] {256, 257}, 2, 1)),
                "exponent: expected from 0 to 255, got 257 at 1");
        refuses(
                blocks,
                values,
                parts -> with(parts, "exception_index", RawTensor.of(new long[] {10, 9}, 2)),
                "exception_index: expected ascending places below 12, got 9 at 1");
        refuses(
                blocks,
                values,
                parts -> with(parts, "exception_index", RawTensor.of(new long[] {9, 12}, 2)),
                "exception_index: expected ascending places below 12, got 12 at 1");
        refuses(
                blocks,
                values,
                parts -> with(parts, "exception_index", RawTensor.of(new long[] {-1, 3}, 2)),
                "exception_index: expected ascending places below 12, got -1 at 0");
        refuses(
                blocks,
                values,
                parts -> with(parts, "exception_index", RawTensor.of(new long[13], 13)),
                "exception_index: expected one dimension of at most 12, got [13]");
        refuses(
                blocks,
                values,
                parts -> with(parts, "exception_value", RawTensor.of(new float[1], 1)),
                "exception_value: expected F32 [2], got F32 [1]");

        NumberFormat mx = new MxFormat(SmallFloat.E2M1);
        refuses(mx, values, parts -> without(parts, "scale"), "scale: expected a tensor");
        refuses(
                mx,
                values,
                parts -> with(parts, "scale", RawTensor.of(new byte[2], 1, 2)),
                "scale: expected U8 [2, 1], got U8 [1, 2]");
        refuses(
                mx,
                values,
                parts -> with(parts, "tensor_scale", RawTensor.of(new float[1], 1)),
                "tensor_scale: expected no parts but [scale, codes], got this one too");
        refuses(
                new Fp8Format(SmallFloat.E4M3, Fp8Format.Granularity.CHANNEL),
                values,
                parts -> with(parts, "scale", RawTensor.of(new float[] {1, -1}, 2, 1)),
                "scale: expected no negative number, got -1.0 at 1");
        NumberFormat nvfp4 = new Nvfp4Format();
        refuses(
                nvfp4,
                values,
                parts -> with(parts, "scale", RawTensor.of(new byte[] {127, -128}, 2, 1)),
                "scale: expected from 0 to 127, got 128 at 1");
        refuses(
                nvfp4,
                values,
                parts -> with(parts, "tensor_scale", RawTensor.of(new float[] {-1}, 1)),
                "tensor_scale: expected no negative number, got -1.0 at 0");
        refuses(
                nvfp4,
                values,
                parts -> with(parts, "tensor_scale", RawTensor.of(new float[2], 2)),
                "tensor_scale: expected F32 [1], got F32 [2]");

        refuses(blocks, values, parts -> without(parts, "exception_index"), "exception_index: expected a tensor");
        refuses(blocks, values, parts -> without(parts, "exception_value"), "exception_value: expected a tensor");
    }

    private void refuses(
            NumberFormat format, NDArray values, UnaryOperator<Map<String, RawTensor>> damage, String message) {
        Map<String, RawTensor> parts = damage.apply(
                new LinkedHashMap<>(fit(format, values, Operand.WEIGHT).parts()));
        assertThatThrownBy(() -> Grid.read(format, values.getShape(), Operand.WEIGHT, parts))
                .isInstanceOf(IOException.class)
                .hasMessageStartingWith(message);
    }

    private static Map<String, RawTensor> without(Map<String, RawTensor> parts, String name) {
        assertThat(parts.remove(name)).as(name).isNotNull();
        return parts;
    }

    private static Map<String, RawTensor> with(Map<String, RawTensor> parts, String name, RawTensor tensor) {
        parts.put(name, tensor);
        return parts;
    }

    @Test
    void shapesBeyondMemoryAreRefused() {
        IntegerFormat format = new IntegerFormat(4, Granularity.CHANNEL, 0, true);
        for (Shape shape : List.of(
                new Shape(1L << 40, 1L << 40),
                new Shape(1L << 40, 0),
                new Shape(1 << 15, 1 << 14),
                new Shape(1L << 33))) {
            assertThatThrownBy(() -> Grid.read(format, shape, Operand.WEIGHT, Map.of()))
                    .isInstanceOf(IOException.class)
                    .hasMessage("expected a tensor of fewer than 2^29 values, got " + shape);
        }
        // as large as that goes, and nothing there
        assertThatThrownBy(() -> Grid.read(format, new Shape(1 << 14, 1 << 14), Operand.WEIGHT, Map.of()))
                .isInstanceOf(IOException.class)
                .hasMessageStartingWith("scale: expected a tensor");
    }

    /** NaN is NaN: which of them an operation gives, nobody says. */
    private static int[] bits(NDArray array) {
        float[] values = array.toFloatArray();
        int[] bits = new int[values.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = Float.floatToIntBits(values[i]);
        }
        return bits;
    }

    /** What lies more than half a step beyond the largest value of its block, for the rules by which it may. */
    @Test
    void blocksThatSaturateAreCounted() {
        float[] values = new float[4 * 32];
        Arrays.fill(values, 0.5f);
        values[0] = 6.9f; // within half a step of 6, whose scale is 1
        values[32] = 7.1f;
        values[33] = -7.9f;
        values[64] = Float.NaN;
        values[65] = Float.POSITIVE_INFINITY;
        values[96] = -7.1f;
        NDArray tensor = NativeFloats.of(manager, values, 1, 128);
        Grid floor = new MxFormat(SmallFloat.E2M1).fit(tensor, Operand.WEIGHT).orElseThrow();
        assertThat(floor.faults(tensor)).isEqualTo(new Grid.Faults(4, 2, 1));
    }

    /** Scales of integers that follow from the smallest and the largest value cut off neither. */
    @ParameterizedTest
    @MethodSource("formats")
    void finiteValuesAreFiniteAndIntegersDoNotSaturate(NumberFormat format) {
        NDArray tensor = manager.randomNormal(new Shape(16, 64));
        Grid grid = format.fit(tensor, Operand.WEIGHT).orElseThrow();
        Grid.Faults faults = grid.faults(tensor);
        assertThat(faults.notFinite()).isZero();
        assertThat(faults.saturated()).isBetween(0L, faults.blocks());
        if (format instanceof IntegerFormat integer && integer.range() == Range.MINMAX) {
            assertThat(faults.saturated()).isZero();
        }
    }
}
