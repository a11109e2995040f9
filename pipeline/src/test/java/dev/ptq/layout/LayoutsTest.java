package dev.ptq.layout;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.types.Shape;
import dev.ptq.format.Fp8Format;
import dev.ptq.format.GivenScaleFormat;
import dev.ptq.format.NormalFloatFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Nvfp4Format;
import dev.ptq.format.Operand;
import dev.ptq.format.SmallFloat;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.function.IntBinaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Layouts against their formulas, written out value by value, in sizes that fill neither words nor groups. */
class LayoutsTest {
    @TempDir
    private Path folder;

    private final SplittableRandom random = new SplittableRandom(7);

    private static int[][] matrix(int rows, int columns, IntBinaryOperator value) {
        int[][] matrix = new int[rows][columns];
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < columns; column++) {
                matrix[row][column] = value.applyAsInt(row, column);
            }
        }
        return matrix;
    }

    private int[][] codes(int rows, int columns, int bits) {
        return matrix(rows, columns, (row, column) -> random.nextInt(1 << bits));
    }

    private float[] scales(int count) {
        float[] scales = new float[count];
        for (int i = 0; i < count; i++) {
            // exact in every stored type
            scales[i] = (1 + random.nextInt(128) / 128f) * 0x1p-6f;
        }
        return scales;
    }

    /** The value of a byte of type E4M3, from its parts. */
    private static float e4m3(int code) {
        int exponent = (code >> 3) & 15;
        double mantissa = (code & 7) / 8.0;
        double magnitude = exponent == 0 ? mantissa / 64 : (1 + mantissa) * Math.pow(2, exponent - 7);
        return (float) (code >= 128 ? -magnitude : magnitude);
    }

    private int[][] e4m3Codes(int rows, int columns) {
        return matrix(rows, columns, (row, column) -> {
            int code = random.nextInt(256);
            return (code & 0x7f) == 0x7f ? 0 : code;
        });
    }

    private static int[] flat(int[][] matrix) {
        return Arrays.stream(matrix).flatMapToInt(Arrays::stream).toArray();
    }

    /** A value of a matrix by its place. */
    @FunctionalInterface
    private interface Value {
        float at(int row, int column);
    }

    private static float[] values(int rows, int columns, Value value) {
        float[] values = new float[rows * columns];
        for (int i = 0; i < values.length; i++) {
            values[i] = value.at(i / columns, i % columns);
        }
        return values;
    }

    private static String compressed(String format, String weights, String more) {
        return ("{'quant_method': 'compressed-tensors', 'quantization_status': 'compressed', 'format': '%s', 'ignore': [],"
                        + " 'config_groups': {'group_0': {'targets': ['Linear'], 'weights': {%s}%s}}%s}")
                .formatted(
                        format,
                        weights,
                        more.startsWith(",!") ? "" : more,
                        more.startsWith(",!") ? "," + more.substring(2) : "");
    }

    @ParameterizedTest
    @CsvSource({
        "2, true",
        "3, true",
        "4, true",
        "5, true",
        "6, true",
        "7, true",
        "8, true",
        "3, false",
        "5, false",
        "6, false",
        "7, false",
        "4, false"
    })
    void packedIntegersInBothPackings(int bits, boolean dense) throws IOException {
        int out = 21;
        int in = 77;
        int groups = 5;
        int[][] codes = codes(out, in, bits);
        int[][] zeros = codes(out, groups, bits);
        float[] scales = scales(out * groups);
        PackedFolder packed = new PackedFolder(folder)
                .config(compressed(
                        "pack-quantized",
                        "'num_bits': " + bits
                                + ", 'type': 'int', 'strategy': 'group', 'group_size': 16, 'symmetric': false",
                        ",!'version': '" + (dense ? "0.19.0" : "0.17.1") + "'"))
                .with(
                        "weight_packed",
                        PackedFolder.ints(dense ? PackedFolder.dense(codes, bits) : PackedFolder.whole(codes, bits)))
                .with(
                        "weight_zero_point",
                        PackedFolder.ints(PackedFolder.transposed(
                                dense
                                        ? PackedFolder.dense(PackedFolder.transposed(zeros), bits)
                                        : PackedFolder.whole(PackedFolder.transposed(zeros), bits))))
                .with("weight_scale", PackedFolder.bfloat16(scales, out, groups))
                .with("weight_shape", PackedFolder.longs(out, in));
        assertThat(packed.values())
                .isEqualTo(values(
                        out,
                        in,
                        (row, column) ->
                                (codes[row][column] - zeros[row][column / 16]) * scales[row * groups + column / 16]));
    }

    /** Eleven codes of three bits take two words in either packing: the release decides, or nobody does. */
    @ParameterizedTest
    @CsvSource({"0.19.0, true", "1.2.0, true", "0.17.0, false", "0.9.4, false"})
    void equallyManyWordsAreToldApartByTheRelease(String release, boolean dense) throws IOException {
        int[][] codes = codes(4, 11, 3);
        float[] scales = scales(4);
        PackedFolder packed = new PackedFolder(folder)
                .config(compressed(
                        "pack-quantized",
                        "'num_bits': 3, 'type': 'int', 'strategy': 'channel', 'symmetric': true",
                        ",!'version': '" + release + "'"))
                .with(
                        "weight_packed",
                        PackedFolder.ints(dense ? PackedFolder.dense(codes, 3) : PackedFolder.whole(codes, 3)))
                .with("weight_scale", RawTensor.of(scales, 4, 1))
                .with("weight_shape", PackedFolder.longs(4, 11));
        assertThat(packed.values()).isEqualTo(values(4, 11, (row, column) -> (codes[row][column] - 4) * scales[row]));
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void earlyReleasesHaveTheGroupOfEachColumn(boolean used) throws IOException {
        int[][] codes = codes(6, 32, 4);
        float[] scales = scales(6 * 4);
        List<Integer> columns = new ArrayList<>();
        for (int i = 0; i < 32; i++) {
            columns.add(i / 8);
        }
        Collections.shuffle(columns, new Random(3));
        int[] groups = new int[32];
        Arrays.setAll(groups, i -> used ? columns.get(i) : -1);
        PackedFolder packed = new PackedFolder(folder)
                .config(compressed(
                        "pack-quantized",
                        "'num_bits': 4, 'type': 'int', 'strategy': 'group', 'group_size': 8, 'actorder': 'group'",
                        ""))
                .with("weight_packed", PackedFolder.ints(PackedFolder.dense(codes, 4)))
                .with("weight_g_idx", RawTensor.of(groups, 32))
                .with("weight_scale", RawTensor.of(scales, 6, 4))
                .with("weight_shape", PackedFolder.longs(6, 32));
        assertThat(packed.values())
                .isEqualTo(values(
                        6,
                        32,
                        (row, column) ->
                                (codes[row][column] - 8) * scales[row * 4 + (used ? groups[column] : column / 8)]));
    }

    @Test
    void signedBytesWithZeroPoints() throws IOException {
        int[][] codes = matrix(5, 7, (row, column) -> random.nextInt(256) - 128);
        int[][] zeros = matrix(5, 1, (row, column) -> random.nextInt(256) - 128);
        float[] scales = scales(5);
        PackedFolder packed = new PackedFolder(folder)
                .config(compressed(
                        "int-quantized", "'num_bits': 8, 'type': 'int', 'strategy': 'channel', 'symmetric': false", ""))
                .with("weight", PackedFolder.bytes(StoredType.I8, flat(codes), 5, 7))
                .with("weight_zero_point", PackedFolder.bytes(StoredType.I8, flat(zeros), 5, 1))
                .with("weight_scale", RawTensor.of(scales, 5, 1));
        assertThat(packed.values())
                .isEqualTo(values(5, 7, (row, column) -> (codes[row][column] - zeros[row][0]) * scales[row]));
    }

    @ParameterizedTest
    @ValueSource(strings = {"compressed-tensors", "fp8"})
    void rectanglesOfFp8(String method) throws IOException {
        int[][] codes = e4m3Codes(7, 10);
        float[] scales = scales(4 * 3);
        boolean isFp8 = method.equals("fp8");
        PackedFolder packed = new PackedFolder(folder)
                .config(
                        isFp8
                                ? "{'quant_method': 'fp8', 'fmt': 'e4m3', 'activation_scheme': 'dynamic',"
                                        + " 'weight_block_size': [2, 4]}"
                                : compressed(
                                        "float-quantized",
                                        "'num_bits': 8, 'type': 'float', 'strategy': 'block', 'block_structure': [2, 4]",
                                        ", 'input_activations': {'num_bits': 8, 'type': 'float', 'strategy': 'group',"
                                                + " 'group_size': 4, 'dynamic': true}"))
                .with("weight", PackedFolder.bytes(StoredType.F8_E4M3, flat(codes), 7, 10))
                .with(isFp8 ? "weight_scale_inv" : "weight_scale", RawTensor.of(scales, 4, 3));
        assertThat(packed.values())
                .isEqualTo(values(7, 10, (row, column) -> e4m3(codes[row][column]) * scales[row / 2 * 3 + column / 4]));
        assertThat(input(packed))
                .contains(new Fp8Format(
                        SmallFloat.E4M3,
                        Fp8Format.Granularity.BLOCK,
                        List.of(1, 4),
                        Fp8Format.Rule.COMPRESSED_TENSORS));
    }

    @Test
    void mxfp8() throws IOException {
        int[][] codes = e4m3Codes(3, 64);
        int[][] powers = matrix(3, 2, (row, column) -> 100 + random.nextInt(40));
        PackedFolder packed = new PackedFolder(folder)
                .config(compressed(
                        "mxfp8-quantized", "'num_bits': 8, 'type': 'float', 'strategy': 'group', 'group_size': 32", ""))
                .with("weight", PackedFolder.bytes(StoredType.F8_E4M3, flat(codes), 3, 64))
                .with("weight_scale", PackedFolder.bytes(StoredType.U8, flat(powers), 3, 2));
        assertThat(packed.values()).isEqualTo(values(3, 64, (row, column) ->
                (float) (e4m3(codes[row][column]) * Math.pow(2, powers[row][column / 32] - 127))));
    }

    @Test
    void modelOptMultipliesByBothScales() throws IOException {
        float[] e2m1 = {0, .5f, 1, 1.5f, 2, 3, 4, 6, -0f, -.5f, -1, -1.5f, -2, -3, -4, -6};
        int[][] codes = codes(3, 32, 4);
        int[][] bytes = matrix(3, 16, (row, j) -> codes[row][2 * j] | (codes[row][2 * j + 1] << 4));
        int[][] scales = matrix(3, 2, (row, column) -> random.nextInt(127));
        PackedFolder packed = new PackedFolder(folder)
                .config("{'quant_method': 'modelopt', 'quant_algo': 'NVFP4', 'kv_cache_scheme': {'dynamic': false,"
                        + " 'num_bits': 8, 'type': 'float'}, 'ignore': ['lm_head', 'model.visual*']}")
                .with("weight", PackedFolder.bytes(StoredType.U8, flat(bytes), 3, 16))
                .with("weight_scale", PackedFolder.bytes(StoredType.F8_E4M3, flat(scales), 3, 2))
                .with("weight_scale_2", RawTensor.of(new float[] {0.0123f}))
                .with("input_scale", RawTensor.of(new float[] {0.5f}));
        packed.tensors.put("model.layers.0.self_attn.k_proj.k_scale", RawTensor.of(new float[] {0.25f}));
        packed.tensors.put("model.layers.0.self_attn.v_proj.v_scale", RawTensor.of(new float[] {2f}));
        assertThat(packed.values())
                .isEqualTo(values(
                        3, 32, (row, column) -> e2m1[codes[row][column]] * (e4m3(scales[row][column / 16]) * 0.0123f)));
        assertThat(input(packed)).contains(new GivenScaleFormat(new Nvfp4Format(), 2, 0));
        assertThat(packed.open().activations().caches())
                .containsOnlyKeys("model.layers.0.self_attn")
                .containsValue(new StoredActivations.Cache(Activations.fp8(0.25f), Activations.fp8(2)));
    }

    /** Version 1 takes 1 off whole words, so that a zero point of 0 borrows from its neighbour. */
    @ParameterizedTest
    @CsvSource({"2, gptq", "3, gptq", "4, gptq", "8, gptq", "2, gptq_v2", "3, gptq_v2", "4, gptq_v2", "8, gptq_v2"})
    void gptqWithZeroPointsInAnyOrder(int bits, String version) throws IOException {
        int out = 32;
        int in = 96;
        int[][] codes = codes(out, in, bits);
        int[][] zeros = codes(3, out, bits);
        zeros[1][4] = 0;
        float[] scales = scales(3 * out);
        int[] groups = new int[in];
        Arrays.setAll(groups, i -> i * 5 % 3);
        PackedFolder packed = gptq(bits, version, "'desc_act': true, 'sym': false", out, in, codes, zeros, scales)
                .with("g_idx", RawTensor.of(groups, in));
        assertThat(packed.values())
                .isEqualTo(values(
                        out,
                        in,
                        (row, column) -> (codes[row][column] - zeros[groups[column]][row])
                                * scales[groups[column] * out + row]));
    }

    private PackedFolder gptq(
            int bits, String version, String more, int out, int in, int[][] codes, int[][] zeros, float[] scales) {
        int[][] words = PackedFolder.dense(zeros, bits);
        if (version.equals("gptq") && bits == 3) {
            int[][] less = matrix(zeros.length, out, (group, row) -> (zeros[group][row] + 7) & 7);
            words = PackedFolder.dense(less, bits);
        } else if (version.equals("gptq")) {
            int one = switch (bits) {
                case 2 -> 0x55555555;
                case 4 -> 0x11111111;
                default -> 0x01010101;
            };
            for (int[] group : words) {
                for (int i = 0; i < group.length; i++) {
                    group[i] -= one;
                }
            }
        }
        return new PackedFolder(folder)
                .config("{'quant_method': 'gptq', 'bits': %d, 'group_size': %d, 'checkpoint_format': '%s', %s}"
                        .formatted(bits, in / zeros.length, version, more))
                .with("qweight", PackedFolder.ints(PackedFolder.transposed(PackedFolder.dense(codes, bits))))
                .with("qzeros", PackedFolder.ints(words))
                .with("scales", RawTensor.of(scales, zeros.length, out));
    }

    @Test
    void rulesChangeTheSettingsOfModules() throws IOException {
        int[][] codes = codes(8, 32, 8);
        int[][] zeros = matrix(1, 8, (group, row) -> 128);
        float[] scales = scales(8);
        PackedFolder packed = gptq(8, "gptq", "'sym': true", 8, 32, codes, zeros, scales)
                .config(
                        "{'quant_method': 'gptq', 'bits': 4, 'group_size': 16, 'desc_act': false, 'sym': true, 'dynamic':"
                                + " {'-:.*down_proj': {}, '+:model\\\\.layers\\\\.0\\\\..*up': {'bits': 8, 'group_size': -1}, '.*':"
                                + " {'bits': 2}}}");
        packed.tensors.put("model.layers.0.mlp.down_proj.weight", RawTensor.of(scales(4), 2, 2));
        assertThat(packed.values()).isEqualTo(values(8, 32, (row, column) -> (codes[row][column] - 128) * scales[row]));
        packed.open().weights().checkLinear("model.layers.0.mlp.down_proj.weight");
    }

    @Test
    void autoRoundIsPackedAsGptq() throws IOException {
        int[][] codes = codes(8, 32, 4);
        int[][] zeros = matrix(2, 8, (group, row) -> 8);
        float[] scales = scales(16);
        PackedFolder packed = gptq(4, "gptq", "'sym': true", 8, 32, codes, zeros, scales)
                .config(
                        "{'quant_method': 'auto-round', 'packing_format': 'auto_round:auto_gptq', 'bits': 3, 'group_size': 16,"
                                + " 'sym': true, 'extra_config': {'lm_head': {'bits': 16, 'data_type': 'float'},"
                                + " 'model.layers.0.mlp.up_proj': {'bits': 4}}}");
        assertThat(packed.values())
                .isEqualTo(values(8, 32, (row, column) -> (codes[row][column] - 8) * scales[column / 16 * 8 + row]));
    }

    @Test
    void olderToolsDescribeCheckpointsInTheirOwnFile() throws IOException {
        int[][] codes = codes(8, 32, 4);
        float[] scales = scales(16);
        PackedFolder packed = gptq(4, "gptq", "'sym': true", 8, 32, codes, matrix(2, 8, (group, row) -> 8), scales);
        packed.write();
        Files.writeString(folder.resolve("config.json"), "{}");
        Files.writeString(
                folder.resolve("quantize_config.json"), "{\"bits\": 4, \"group_size\": 16, \"desc_act\": false}");
        try (WeightSource weights = StoredCheckpoint.open(folder).weights()) {
            assertThat(weights.weight(PackedFolder.MODULE + ".weight")
                            .packing()
                            .orElseThrow()
                            .bits())
                    .isEqualTo(32.0 * (4 * 8 + 2) + 32.0 * 16);
        }
    }

    /** Blocks of the flattened weight run on over the ends of rows, and the last may be shorter. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void nf4InBlocksAcrossRows(boolean isDouble) throws IOException {
        int out = 5;
        int in = 45;
        int blocks = 4;
        float[] table = NormalFloatFormat.nf4();
        int[][] codes = codes(out, in, 4);
        int[] stream = flat(codes);
        int[] bytes = new int[(out * in + 1) / 2];
        for (int i = 0; i < stream.length; i++) {
            bytes[i / 2] |= stream[i] << (i % 2 == 0 ? 4 : 0);
        }
        float[] absMax = scales(blocks);
        PackedFolder packed = new PackedFolder(folder)
                .config("{'quant_method': 'bitsandbytes', 'load_in_4bit': true, 'bnb_4bit_quant_type': 'nf4',"
                        + " 'bnb_4bit_use_double_quant': " + isDouble + "}")
                .with("weight", PackedFolder.bytes(StoredType.U8, bytes, bytes.length, 1))
                .with("weight.quant_map", RawTensor.of(table, 16))
                .with(
                        "weight.quant_state.bitsandbytes__nf4",
                        PackedFolder.text("{'quant_type': 'nf4', 'blocksize': 64, 'dtype': 'float16', 'shape': [5, 45]"
                                + (isDouble ? ", 'nested_blocksize': 3, 'nested_offset': 0.3" : "") + "}"));
        float[] expected = absMax;
        if (isDouble) {
            int[] places = {3, 200, 17, 255};
            float[] nestedTable = new float[256];
            for (int i = 0; i < 256; i++) {
                nestedTable[i] = (i - 128) / 256f;
            }
            float[] nested = {0.7f, 0.1f};
            expected = new float[blocks];
            for (int i = 0; i < blocks; i++) {
                expected[i] = nestedTable[places[i]] * nested[i / 3] + 0.3f;
            }
            packed.with("weight.absmax", PackedFolder.bytes(StoredType.U8, places, blocks))
                    .with("weight.nested_quant_map", RawTensor.of(nestedTable, 256))
                    .with("weight.nested_absmax", RawTensor.of(nested, 2));
        } else {
            packed.with("weight.absmax", RawTensor.of(absMax, blocks));
        }
        float[] maxima = expected;
        assertThat(packed.values())
                .isEqualTo(values(
                        out, in, (row, column) -> table[codes[row][column]] * maxima[(row * in + column) / 64]));
    }

    @ParameterizedTest
    @CsvSource({"true, -7", "false, 0"})
    void staticInputsOfEightBits(boolean hasZero, int zero) throws IOException {
        PackedFolder packed = new PackedFolder(folder)
                .config(compressed(
                        "int-quantized",
                        "'num_bits': 8, 'type': 'int', 'strategy': 'tensor'",
                        ", 'input_activations': {'num_bits': 8, 'type': 'int', 'strategy': 'tensor', 'dynamic': false,"
                                + " 'symmetric': " + !hasZero + "}"))
                .with("weight", PackedFolder.bytes(StoredType.I8, new int[6], 2, 3))
                .with("weight_scale", RawTensor.of(new float[] {1}, 1))
                .with("input_scale", RawTensor.of(new float[] {0.1f}, 1));
        if (hasZero) {
            packed.with("input_zero_point", PackedFolder.bytes(StoredType.I8, new int[] {zero}, 1));
        }
        float[] inputs = {0.04999f, 0.05f, 0.15f, -0.25f, 100, -100, 12.65f, 0};
        float[] rounded = new float[inputs.length];
        for (int i = 0; i < inputs.length; i++) {
            float code = (float) Math.rint(Math.min(Math.max(inputs[i] / 0.1f + zero, -128), 127));
            rounded[i] = (code - zero) * 0.1f;
        }
        FloatBuffer values = FloatBuffer.wrap(inputs);
        input(packed).orElseThrow().round(values, new Shape(1, inputs.length), Operand.ACTIVATION);
        assertThat(inputs).isEqualTo(rounded);
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3, 4, 5, 6, 7, 8})
    void wordsArePackedAsTheyAreUnpacked(int bits) {
        for (boolean dense : new boolean[] {true, false}) {
            Words words = new Words(bits, dense);
            byte[] codes = new byte[13 * 29];
            for (int i = 0; i < codes.length; i++) {
                codes[i] = (byte) random.nextInt(1 << bits);
            }
            int count = words.count(29);
            Words.Lines rows = Words.Lines.rows(words, 13, 29);
            assertThat(words.unpack(words.pack(codes, rows, 13 * count), rows)).isEqualTo(codes);
            Words.Lines columns = Words.Lines.columns(0, 13, 13, 29);
            assertThat(words.unpack(words.pack(codes, columns, 13 * count), columns))
                    .isEqualTo(codes);
        }
    }

    @Test
    void otherCodesArePackedAsTheyAreUnpacked() {
        byte[] codes = new byte[24 * 6];
        for (int i = 0; i < codes.length; i++) {
            codes[i] = (byte) random.nextInt(16);
        }
        for (Nibbles nibbles : Nibbles.values()) {
            assertThat(nibbles.unpack(nibbles.pack(codes))).isEqualTo(codes);
        }
        assertThat(Awq.unpack(Awq.pack(codes, 6, 24), 6, 24, 0, 24)).isEqualTo(codes);
        for (int bits : new int[] {2, 3, 4, 8}) {
            byte[] zeros = new byte[5 * 32];
            for (int i = 0; i < zeros.length; i++) {
                zeros[i] = (byte) random.nextInt(1 << bits);
            }
            for (boolean shifted : new boolean[] {true, false}) {
                ByteBuffer packed = Gptq.packZeroPoints(bits, shifted, zeros, 5, 32);
                assertThat(Gptq.zeroPoints(bits, shifted, packed, 5, 32)).isEqualTo(zeros);
            }
        }
    }

    private static Optional<NumberFormat> input(PackedFolder packed) throws IOException {
        return Optional.ofNullable(packed.open().activations().inputs().get(PackedFolder.MODULE));
    }
}
