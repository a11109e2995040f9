package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** LQER's files of baselines become runs on checkpoints that the test packs, beside runs on the numbers in them. */
class ImportedBaselinesTest {
    private static final String BASELINE = """
            model_name = "example-org/tiny"
            enable_perplexity_evaluation = true
            enable_harness_downstream_evaluation = false
            [evaluate]
                evaluate_baseline = true
                hf_quant_method = "METHOD"
                device_map = ":ast:{'lm_head': 0}"
                [evaluate.perplexity]
                    dataset = "DIR/text.txt"
                    max_length = 24
                    batch_size = 2
            """;

    /** Outputs of AWQ's words, the lowest four bits first. */
    private static final int[] AWQ_ORDER = {0, 2, 4, 6, 1, 3, 5, 7};

    private static final int GROUP = 16;
    private static final int MIDDLE = 8;

    @TempDir
    private Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
    }

    @ParameterizedTest
    @CsvSource({"gptq, gptq", "autogptq, gptq", "awq, awq"})
    void packedCheckpointsAreMeasuredAsTheyAre(String method, String layout) throws IOException {
        pack(layout);
        double packed = loss(imported(method, "packed"), "packed");
        assertThat(tiny.metrics("packed").get("bits_per_weight")).isBetween(4.0, 8.0);
        double same = loss(imported("fp32", "float"), "float");
        assertThat(packed).isEqualTo(same).isNotEqualTo(loss(imported("fp16", "llama"), "before"));
    }

    @Test
    void llmInt8RoundsWeightsAsItsOwnCheckpointsDo() throws IOException {
        pack("bitsandbytes");
        String toml = imported("llm_int8", "llama");
        Outcome refused = tiny.run(imported("llm_int8", "packed"), "twice");
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err()).contains("quantization.weight", "is packed already", "model.requantize = true");

        String without =
                imported("llm_int8", "packed").replaceAll("(?m)^(\\[quantization]|weight =|activation =).*", "");
        // inputs are rounded by other rules, bitsandbytes takes them in half precision; so weights are compared alone
        String none = "activation = { format = \"none\" }";
        double weights = loss(toml.replaceAll("activation = .*", none), "weights");
        assertThat(weights)
                .isEqualTo(loss(without + "[quantization]\n" + none + "\n", "unpacked"))
                .isNotEqualTo(loss(imported("fp32", "llama"), "before"))
                .isNotEqualTo(loss(toml, "rounded"));
        assertThat(loss(without, "packed")).isNotEqualTo(weights);
    }

    @Test
    void llmInt4RunsWithAWarning() throws IOException {
        lqer("llm_int4");
        Outcome imported = tiny.execute("import-lqer", "DIR/lqer.toml", "--model", "DIR/llama");
        assertThat(imported.err())
                .startsWith("DIR/lqer.toml:6:5: evaluate.hf_quant_method = \"llm_int4\": ")
                .contains("FP4", "NF4");
        assertThat(loss(imported.out(), "four")).isPositive();
        assertThat(tiny.metrics("four").get("bits_per_weight")).isEqualTo(4.5);
    }

    private void lqer(String method) throws IOException {
        Files.writeString(
                folder.resolve("lqer.toml"), BASELINE.replace("METHOD", method).replace("DIR", folder.toString()));
    }

    private String imported(String method, String model) throws IOException {
        lqer(method);
        Outcome imported = tiny.execute("import-lqer", "DIR/lqer.toml", "--model", "DIR/" + model);
        assertThat(imported.err()).isEmpty();
        assertThat(imported.code()).isZero();
        return imported.out();
    }

    private double loss(String toml, String tag) throws IOException {
        Outcome outcome = tiny.run(toml, tag);
        assertThat(outcome.code()).as(outcome.err()).isZero();
        return Objects.requireNonNull(tiny.metrics(tag).get("perplexity/text/loss"));
    }

    /** Writes the model as a packed checkpoint, and as the numbers that it unpacks to. */
    private void pack(String layout) throws IOException {
        Map<String, RawTensor> packed = new LinkedHashMap<>();
        Map<String, RawTensor> plain = new LinkedHashMap<>();
        try (Safetensors model = Safetensors.open(folder.resolve("llama/model.safetensors"))) {
            for (Map.Entry<String, Safetensors.Entry> entry : model.entries().entrySet()) {
                String name = entry.getKey();
                long[] shape = entry.getValue().shape().stream()
                        .mapToLong(Long::longValue)
                        .toArray();
                float[] values = model.floats(name);
                if (!name.endsWith("_proj.weight")) {
                    packed.put(name, RawTensor.of(values, shape));
                } else if (layout.equals("bitsandbytes")) {
                    packRows(name, values, (int) shape[0], (int) shape[1], packed);
                } else {
                    String module = name.substring(0, name.length() - ".weight".length());
                    packGroups(module, layout, values, (int) shape[0], (int) shape[1], packed);
                }
                plain.put(name, RawTensor.of(values, shape));
            }
        }
        write("float", plain, "");
        String settings = layout.equals("bitsandbytes")
                ? "\"load_in_8bit\": true"
                : "\"bits\": 4, \"group_size\": " + GROUP
                        + (layout.equals("gptq")
                                ? ", \"desc_act\": false, \"sym\": true"
                                : ", \"zero_point\": true, \"version\": \"gemm\"");
        write("packed", packed, ", \"quantization_config\": {\"quant_method\": \"" + layout + "\", " + settings + "}}");
    }

    /** Four bits, a scale for each group of inputs; the values become those that it unpacks to. */
    private static void packGroups(
            String module, String layout, float[] values, int out, int in, Map<String, RawTensor> target) {
        boolean isGptq = layout.equals("gptq");
        int groups = in / GROUP;
        float[] scales = new float[groups * out];
        int[] codes = new int[out * in];
        int[] words = new int[out * in / 8];
        for (int row = 0; row < out; row++) {
            for (int group = 0; group < groups; group++) {
                float largest = 0;
                for (int column = group * GROUP; column < (group + 1) * GROUP; column++) {
                    largest = Math.max(largest, Math.abs(values[row * in + column]));
                }
                scales[group * out + row] = largest / 7;
            }
            for (int column = 0; column < in; column++) {
                float scale = scales[column / GROUP * out + row];
                int code = (int) Math.rint(values[row * in + column] / scale);
                codes[row * in + column] = code + MIDDLE;
                values[row * in + column] = code * scale;
            }
        }
        for (int row = 0; row < out; row++) {
            for (int column = 0; column < in; column++) {
                int code = codes[row * in + column];
                if (isGptq) {
                    words[column / 8 * out + row] |= code << (column % 8 * 4);
                } else {
                    words[column * (out / 8) + row / 8] |= code << (nibble(row % 8) * 4);
                }
            }
        }
        int[] zeros = new int[groups * out / 8];
        // GPTQ stores one less
        Arrays.fill(zeros, isGptq ? 0x77777777 : 0x88888888);
        target.put(module + ".qweight", isGptq ? RawTensor.of(words, in / 8, out) : RawTensor.of(words, in, out / 8));
        target.put(module + ".qzeros", RawTensor.of(zeros, groups, out / 8));
        target.put(module + ".scales", RawTensor.of(scales, groups, out));
    }

    private static int nibble(int output) {
        for (int i = 0; i < AWQ_ORDER.length; i++) {
            if (AWQ_ORDER[i] == output) {
                return i;
            }
        }
        throw new IllegalArgumentException("output " + output);
    }

    /** LLM.int8: bytes, and the largest magnitude of each row. */
    private static void packRows(String name, float[] values, int out, int in, Map<String, RawTensor> target) {
        byte[] codes = new byte[values.length];
        float[] largest = new float[out];
        for (int i = 0; i < values.length; i++) {
            largest[i / in] = Math.max(largest[i / in], Math.abs(values[i]));
        }
        for (int i = 0; i < values.length; i++) {
            codes[i] = (byte) Math.rint(values[i] * (127 / largest[i / in]));
        }
        target.put(name, new RawTensor(StoredType.I8, List.of((long) out, (long) in), ByteBuffer.wrap(codes)));
        target.put(name.replace(".weight", ".SCB"), RawTensor.of(largest, out));
    }

    private void write(String name, Map<String, RawTensor> tensors, String more) throws IOException {
        Path target = Files.createDirectories(folder.resolve(name));
        String config = Files.readString(folder.resolve("llama/config.json")).strip();
        Files.writeString(
                target.resolve("config.json"),
                more.isEmpty() ? config : config.substring(0, config.length() - 1) + more);
        Files.copy(folder.resolve("llama/tokenizer.json"), target.resolve("tokenizer.json"));
        SafetensorsWriter.write(target.resolve("model.safetensors"), Map.of(), tensors, Map.of());
    }
}
