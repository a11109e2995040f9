package dev.ptq.layout;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.format.NormalFloatFormat;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is wrong with a packed checkpoint is said before anything is computed; only codes wait until they are read. */
class DamagedCheckpointsTest {
    private static final String GPTQ =
            "{'quant_method': 'gptq', 'bits': 4, 'group_size': 16, 'desc_act': false, 'sym': true}";
    private static final String INTEGERS = "{'quant_method': 'compressed-tensors', 'quantization_status': 'compressed',"
            + " 'format': 'pack-quantized', 'version': '0.19.0', 'ignore': ['lm_head', 're:.*shared'], 'config_groups':"
            + " {'group_0': {'targets': ['Linear'], 'weights': {'num_bits': 4, 'type': 'int', 'strategy': 'group',"
            + " 'group_size': 16, 'symmetric': true}}}}";
    private static final String NF4 =
            "{'quant_method': 'bitsandbytes', 'load_in_4bit': true, 'bnb_4bit_quant_type': 'nf4',"
                    + " 'bnb_4bit_use_double_quant': false}";
    private static final String STATE = "weight.quant_state.bitsandbytes__nf4";

    @TempDir
    private Path folder;

    private static float[] ones(int count) {
        float[] ones = new float[count];
        Arrays.fill(ones, 1);
        return ones;
    }

    private static int[] filled(int count, int value) {
        int[] filled = new int[count];
        Arrays.fill(filled, value);
        return filled;
    }

    /** Eight rows of 32 columns in two groups. */
    private PackedFolder gptq() {
        int[] groups = new int[32];
        Arrays.setAll(groups, i -> i / 16);
        return new PackedFolder(folder)
                .config(GPTQ)
                .with("qweight", RawTensor.of(new int[4 * 8], 4, 8))
                .with("qzeros", RawTensor.of(filled(2, 0x77777777), 2, 1))
                .with("scales", RawTensor.of(ones(16), 2, 8))
                .with("g_idx", RawTensor.of(groups, 32));
    }

    private PackedFolder integers() {
        return new PackedFolder(folder)
                .config(INTEGERS)
                .with("weight_packed", RawTensor.of(new int[8 * 4], 8, 4))
                .with("weight_scale", RawTensor.of(ones(16), 8, 2))
                .with("weight_shape", PackedFolder.longs(8, 32));
    }

    private PackedFolder nf4() {
        return new PackedFolder(folder)
                .config(NF4)
                .with("weight", RawTensor.of(new byte[64], 64, 1))
                .with("weight.absmax", RawTensor.of(ones(2), 2))
                .with("weight.quant_map", RawTensor.of(NormalFloatFormat.nf4(), 16))
                .with(STATE, PackedFolder.text("{'quant_type': 'nf4', 'blocksize': 64, 'shape': [4, 32]}"));
    }

    private static void assertRefused(PackedFolder packed, String... parts) {
        assertThatThrownBy(() -> packed.open().weights().close())
                .isInstanceOf(IOException.class)
                .hasMessageContainingAll(parts);
    }

    @Test
    void theseAreReadUndamaged() throws IOException {
        gptq().values();
        integers().values();
        nf4().values();
    }

    @Test
    void groupsThatAreNotThere() {
        int[] groups = filled(32, 0);
        groups[5] = 2;
        assertRefused(gptq().with("g_idx", RawTensor.of(groups, 32)), "up_proj.g_idx", "from 0 to 1", "got 2 at 5");
        groups[5] = -1;
        assertRefused(gptq().with("g_idx", RawTensor.of(groups, 32)), "g_idx", "got -1 at 5");
        assertRefused(gptq().with("g_idx", RawTensor.of(filled(32, 0), 32)), "g_idx", "feature 16 in group 0");
        PackedFolder ordered = gptq().config(GPTQ.replace("false", "true"));
        assertRefused(
                ordered.with("g_idx", RawTensor.of(filled(32, 0), 32)), "has 32 features in group 0, expected 16");
        assertRefused(ordered.without("g_idx"), "g_idx", "desc_act = true");
        assertRefused(gptq().with("g_idx", RawTensor.of(filled(31, 0), 31)), "g_idx", "feature 16");
        assertRefused(gptq().with("g_idx", RawTensor.of(filled(64, 0), 64)), "g_idx", "expected I32 [32]");
    }

    @Test
    void tensorsThatAreMissingOrOfAWrongShape() {
        assertRefused(gptq().without("scales"), "up_proj.scales", "no such tensor");
        assertRefused(gptq().without("qzeros"), "up_proj.qzeros", "no such tensor");
        assertRefused(gptq().without("qweight"), "up_proj.qweight", "no such tensor");
        assertRefused(gptq().with("scales", RawTensor.of(ones(8), 1, 8)), "scales", "2 groups of 16", "got 1");
        assertRefused(gptq().with("scales", RawTensor.of(ones(32), 2, 16)), "scales", "[2, 8]", "[2, 16]");
        assertRefused(gptq().with("qzeros", RawTensor.of(new int[4], 4, 1)), "qzeros", "I32 [2, 1]", "[4, 1]");
        assertRefused(gptq().with("qweight", RawTensor.of(new int[3 * 8], 3, 8)), "g_idx", "expected I32 [24]");
        assertRefused(gptq().with("qweight", RawTensor.of(ones(32), 4, 8)), "qweight", "expected I32", "F32");
        assertRefused(integers().without("weight_scale"), "weight_scale", "no such tensor");
        assertRefused(integers().without("weight_shape"), "weight_shape", "no such tensor");
        assertRefused(integers().with("weight_shape", PackedFolder.longs(8, 33)), "weight_packed", "expected 5 words");
        assertRefused(integers().with("weight_shape", PackedFolder.longs(32, 8)), "weight_shape", "(8, columns)");
        assertRefused(integers().with("weight_scale", RawTensor.of(ones(8), 8, 1)), "weight_scale", "[8, 2]", "[8, 1]");
        assertRefused(
                integers().with("weight_zero_point", RawTensor.of(new int[2], 1, 2)),
                "weight_zero_point",
                "no place for such a tensor");
        assertRefused(integers().config(INTEGERS.replace("true", "false")), "weight_zero_point", "no such tensor");
        assertRefused(nf4().with("weight", RawTensor.of(new byte[63], 63, 1)), "weight", "U8 [64, 1]", "[63, 1]");
        assertRefused(nf4().with("weight.absmax", RawTensor.of(ones(3), 3)), "absmax", "[2]", "[3]");
        assertRefused(nf4().without("weight.absmax"), "absmax", "no such tensor");
        assertRefused(nf4().without(STATE), STATE, "no such tensor");
    }

    @Test
    void valuesThatCannotBe() {
        float[] scales = ones(16);
        scales[9] = Float.NaN;
        assertRefused(gptq().with("scales", RawTensor.of(scales, 2, 8)), "scales", "NaN at 9", "damaged");
        scales[9] = -1;
        assertRefused(integers().with("weight_scale", RawTensor.of(scales, 8, 2)), "weight_scale", "-1.0 at 9");
        assertRefused(
                gptq().with("qzeros", RawTensor.of(new int[] {0x77777777, 0x77777877}, 2, 1)),
                "qzeros",
                "zero point 9",
                "sym = true",
                "checkpoint_format");
        float[] table = NormalFloatFormat.nf4();
        table[3] = Math.nextUp(table[3]);
        assertRefused(nf4().with("weight.quant_map", RawTensor.of(table, 16)), "quant_map", "NF4");
        assertRefused(nf4().with(STATE, PackedFolder.text("{'quant_type': 'nf4',")), STATE, "not valid JSON");
        assertRefused(
                nf4().with(STATE, PackedFolder.text("{'quant_type': 'nf4', 'blocksize': 0, 'shape': [4, 32]}")),
                "blocksize");
        assertRefused(
                nf4().with(
                                STATE,
                                PackedFolder.text("{'quant_type': 'nf4', 'blocksize': 64, 'shape': [4, 1000000000]}")),
                "shape",
                "2^31");
    }

    @Test
    void codesWithoutAValueAreFoundWhenTheyAreRead() {
        int[] codes = filled(8, 0x38);
        codes[6] = 0xff;
        PackedFolder fp8 = new PackedFolder(folder)
                .config("{'quant_method': 'fp8', 'weight_block_size': [128, 128]}")
                .with("weight", PackedFolder.bytes(StoredType.F8_E4M3, codes, 2, 4))
                .with("weight_scale_inv", RawTensor.of(ones(1), 1, 1));
        assertThatThrownBy(fp8::values)
                .isInstanceOf(IOException.class)
                .hasMessageContainingAll("up_proj.weight", "FP8 E4M3, blocks of 128 x 128", "code 255");
        PackedFolder int8 = new PackedFolder(folder)
                .config("{'quant_method': 'bitsandbytes', 'load_in_8bit': true}")
                .with("weight", PackedFolder.bytes(StoredType.I8, filled(8, -128), 2, 4))
                .with("SCB", RawTensor.of(ones(2), 2));
        fp8.tensors.clear();
        assertThatThrownBy(int8::values).isInstanceOf(IOException.class).hasMessageContaining("code 128");
        assertRefused(int8.with("weight_format", RawTensor.of(new byte[] {1})), "weight_format", "expected 0", "got 1");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "'bits': 4 | 'bits': 5 | bits: expected one of [2, 3, 4, 8], got 5",
                "'bits': 4 | 'bits': '4' | bits: expected a whole number",
                "'bits': 4 | 'bits': 8 | g_idx: expected I32 [16]",
                "'group_size': 16 | 'group_size': 32 | 1 groups of 32",
                "'group_size': 16 | 'group_size': 0 | group_size: expected -1",
                "'sym': true | 'checkpoint_format': 'marlin' | checkpoint_format: expected one of [gptq, gptq_v2]",
                "'sym': true | 'checkpoint_format': 'gptq_v2' | zero point 7, but the config has sym = true",
                "'sym': true | 'pack_dtype': 'int16' | pack_dtype: expected one of [int32], got \"int16\"",
                "'sym': true | 'dynamic': {'+:.*(': {}} | expected a regular expression",
                "'sym': true | 'dynamic': {'-:.*up_proj': {}} | leaves this module out",
            })
    void settingsThatAreNotRead(String from, String to, String message) {
        assertThat(GPTQ).contains(from);
        assertRefused(gptq().config(GPTQ.replace(from, to)), message);
    }

    @Test
    void descriptionsThatDisagreeWithTheirTensors() throws IOException {
        assertRefused(integers().config(INTEGERS.replace("lm_head", PackedFolder.MODULE)), "leaves this module out");
        assertRefused(
                integers().config(INTEGERS.replace("'num_bits': 4", "'num_bits': 8")), "weight_packed", "8 words");
        assertRefused(
                integers().config(INTEGERS.replace("pack-quantized", "pack")), "format: expected one of", "\"pack\"");
        assertRefused(integers().config(INTEGERS.replace("'compressed',", "'frozen',")), "quantization_status");
        assertRefused(
                integers().config(INTEGERS.replace("'ignore'", "'transform_config': {'R1': 1}, 'ignore'")),
                "transform_config",
                "not read");
        assertRefused(
                integers().config(INTEGERS.replace("'symmetric'", "'actorder': 'group', 'symmetric'")),
                "weight_g_idx",
                "actorder");
        PackedFolder half = integers();
        half.tensors.put("model.layers.0.mlp.gate_proj.weight", RawTensor.of(ones(4), 2, 2));
        half.tensors.put("model.layers.0.mlp.shared.weight", RawTensor.of(ones(4), 2, 2));
        try (WeightSource weights = half.open().weights()) {
            weights.checkLinear("model.layers.0.mlp.shared.weight");
            assertThatThrownBy(() -> weights.checkLinear("model.layers.0.mlp.gate_proj.weight"))
                    .hasMessageContainingAll("gate_proj.weight", "has this linear packed", "F32");
        }
        gptq().write();
        Files.writeString(folder.resolve("quantize_config.json"), "{\"bits\": 8, \"group_size\": 16}");
        assertThatThrownBy(() -> StoredCheckpoint.open(folder))
                .hasMessageContainingAll("config.json", "bits: is 4, but 8 in", "quantize_config.json");
    }

    @Test
    void filesThatEndTooEarly() throws IOException {
        for (PackedFolder packed : List.of(gptq(), integers(), nf4())) {
            packed.write();
            Path file = folder.resolve("model.safetensors");
            byte[] all = Files.readAllBytes(file);
            for (int size : new int[] {0, 7, 100, all.length - 1}) {
                Files.write(file, Arrays.copyOf(all, size));
                assertThatThrownBy(() -> StoredCheckpoint.open(folder))
                        .isInstanceOf(IOException.class)
                        .hasMessageContaining("truncated");
            }
        }
    }
}
