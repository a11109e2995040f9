package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Runs on a model that was packed as 8-bit integers, beside runs on the numbers that it unpacks to. */
class PackedModelsTest {
    private static final String EVALUATION = """
            [evaluation]
            baselines = ["full_precision"]
            [[evaluation.perplexity]]
            name = "tales"
            dataset = "DIR/text.txt"
            seq_len = 24
            max_samples = 2
            """;

    private static final String PACKED = "[model]\npath = \"DIR/packed\"\n";
    private static final String FLOAT = "[model]\npath = \"DIR/float\"\n";

    /** What the checkpoint asks for, as an experiment would say it. */
    private static final String ACTIVATION = """
            [quantization.activation]
            format = "int"
            bits = 8
            grid = "compressed_tensors"
            granularity = "token"
            symmetric = true
            """;

    private static final String SCHEME =
            "{\"num_bits\": 8, \"type\": \"int\", \"strategy\": \"token\", \"dynamic\": true}";

    @TempDir
    private Path folder;

    private TinyExperiment tiny;
    private double bits;
    private double weights;

    @BeforeEach
    void pack() throws IOException {
        tiny = new TinyExperiment(folder);
        Map<String, RawTensor> packed = new LinkedHashMap<>();
        Map<String, RawTensor> plain = new LinkedHashMap<>();
        try (Safetensors model = Safetensors.open(folder.resolve("llama/model.safetensors"))) {
            for (Map.Entry<String, Safetensors.Entry> entry : model.entries().entrySet()) {
                String name = entry.getKey();
                long[] shape = entry.getValue().shape().stream()
                        .mapToLong(Long::longValue)
                        .toArray();
                float[] values = model.floats(name);
                if (name.endsWith("_proj.weight")) {
                    pack(name, values, (int) shape[0], (int) shape[1], packed);
                } else {
                    packed.put(name, RawTensor.of(values, shape));
                }
                plain.put(name, RawTensor.of(values, shape));
            }
        }
        write("float", plain, "");
        write("packed", packed, description(SCHEME, ""));
        for (int block = 0; packed.containsKey(attention(block)); block++) {
            packed.put(attention(block).replace("q_proj.weight", "k_scale"), RawTensor.of(new float[] {0.02f}, 1));
            packed.put(attention(block).replace("q_proj.weight", "v_scale"), RawTensor.of(new float[] {0.03f}, 1));
        }
        write(
                "cached",
                packed,
                description(
                        "null", ", \"kv_cache_scheme\": {\"num_bits\": 8, \"type\": \"float\", \"dynamic\": false}"));
    }

    private static String attention(int block) {
        return "model.layers." + block + ".self_attn.q_proj.weight";
    }

    /** Packs a weight by rows; its values become those that it unpacks to. */
    private void pack(String name, float[] values, int rows, int columns, Map<String, RawTensor> target) {
        ByteBuffer codes = ByteBuffer.allocate(values.length);
        float[] scales = new float[rows];
        for (int row = 0; row < rows; row++) {
            float largest = 0;
            for (int i = row * columns; i < (row + 1) * columns; i++) {
                largest = Math.max(largest, Math.abs(values[i]));
            }
            scales[row] = largest / 20; // coarse, so that the model is another one
            for (int i = row * columns; i < (row + 1) * columns; i++) {
                int code = (int) Math.rint(values[i] / scales[row]);
                codes.put((byte) code);
                values[i] = code * scales[row];
            }
        }
        target.put(name, new RawTensor(StoredType.I8, List.of((long) rows, (long) columns), codes.flip()));
        target.put(name + "_scale", RawTensor.of(scales, rows, 1));
        bits += 8.0 * values.length + 32.0 * rows;
        weights += values.length;
    }

    private static String description(String input, String more) {
        return ", \"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"format\": \"int-quantized\","
                + " \"quantization_status\": \"compressed\", \"ignore\": [\"lm_head\"], \"config_groups\": {\"group_0\":"
                + " {\"targets\": [\"Linear\"], \"weights\": {\"num_bits\": 8, \"type\": \"int\", \"strategy\":"
                + " \"channel\"}, \"input_activations\": " + input + "}}" + more + "}}";
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

    private Map<String, Double> metrics(String toml, String tag) throws IOException {
        Outcome outcome = tiny.run(toml, tag);
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        return tiny.metrics(tag);
    }

    @Test
    void activationsAreThoseOfTheCheckpointUnlessTheExperimentSays() throws IOException {
        Outcome outcome = tiny.run(PACKED + EVALUATION, "own");
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.out())
                .contains(
                        "* formats of the checkpoint: inputs of linears { format = 'int', bits = 8, granularity = 'token'");
        Map<String, Double> own = tiny.metrics("own");
        Map<String, Double> same = metrics(FLOAT + ACTIVATION + EVALUATION, "same");
        Map<String, Double> none =
                metrics(PACKED + "[quantization.activation]\nformat = \"none\"\n" + EVALUATION, "none");
        assertThat(own.get("perplexity/tales/loss")).isEqualTo(same.get("perplexity/tales/loss"));
        assertThat(own.get("full_precision/perplexity/tales/loss"))
                .isEqualTo(same.get("full_precision/perplexity/tales/loss"))
                .isEqualTo(none.get("perplexity/tales/loss"))
                .isNotEqualTo(own.get("perplexity/tales/loss"));
        assertThat(tiny.run(FLOAT + ACTIVATION + EVALUATION, "again").out())
                .doesNotContain("formats of the checkpoint");
    }

    @Test
    void bitsAreCountedFromTheTensors() throws IOException {
        assertThat(metrics(PACKED + EVALUATION, "bits").get("bits_per_weight")).isCloseTo(bits / weights, within(1e-9));
        assertThat(Files.readString(tiny.result("bits/quantize/layers.csv")))
                .contains("compressed-tensors int-quantized int8, channels");
    }

    @Test
    void theSizeOnDiskIsThatOfTheFilesAsLongAsTheyAreWhatRuns() throws IOException {
        Outcome outcome = tiny.run(PACKED + EVALUATION, "packed-size");
        assertThat(outcome.out()).contains("size on disk: ");
        assertThat(tiny.metrics("packed-size").get("checkpoint_bytes"))
                .isEqualTo((double) Files.size(folder.resolve("packed/model.safetensors")));
        tiny.execute("report", "DIR/results");
        assertThat(Files.readString(folder.resolve("results/report.html"))).contains("Perplexity and size on disk");
        assertThat(metrics(FLOAT + ACTIVATION + EVALUATION, "float-size")).doesNotContainKey("checkpoint_bytes");
        String again = PACKED.replace("[model]", "[model]\nrequantize = true")
                + "[quantization.weight]\nformat = \"int\"\nbits = 4\n";
        assertThat(metrics(again + EVALUATION, "again-size")).doesNotContainKey("checkpoint_bytes");
    }

    /** As floats, weights take 32 bits of storage and count 16 as operands; inputs have 8 bits in both. */
    @Test
    void aTokenCostsWhatIsPacked() throws IOException {
        Map<String, Double> packed = metrics(PACKED + EVALUATION, "packed-cost");
        Map<String, Double> floats = metrics(FLOAT + ACTIVATION + EVALUATION, "float-cost");
        assertThat(difference(floats, packed, "bytes_per_token")).isCloseTo((32.0 * weights - bits) / 8, within(1e-6));
        assertThat(difference(floats, packed, "bops_per_token")).isCloseTo((16.0 - 8) * 8 * weights, within(1e-6));
    }

    private static double difference(Map<String, Double> one, Map<String, Double> other, String metric) {
        return Objects.requireNonNull(one.get(metric)) - Objects.requireNonNull(other.get(metric));
    }

    @Test
    void packedWeightsAreRoundedAgainOnlyOnRequest() throws IOException {
        String format = "[quantization.weight]\nformat = \"int\"\nbits = 4\n";
        Outcome refused = tiny.run(PACKED + format + EVALUATION, "refused");
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err())
                .contains("quantization.weight", "q_proj.weight is packed already", "model.requantize = true");
        Outcome steps =
                tiny.run(PACKED + "[[approximation]]\nmethod = \"zeroquant_v2\"\nrank = 2\n" + EVALUATION, "steps");
        assertThat(steps.code()).isEqualTo(2);
        assertThat(steps.err()).contains("approximation", "are packed already", "model.requantize = true");

        String again = "[model]\nrequantize = true\npath = \"DIR/packed\"\n" + format + ACTIVATION + EVALUATION;
        assertThat(metrics(again, "again").get("perplexity/tales/loss"))
                .isEqualTo(metrics(FLOAT + format + ACTIVATION + EVALUATION, "float")
                        .get("perplexity/tales/loss"));
    }

    @Test
    void keysAndValuesAreRoundedWithStoredScales() throws IOException {
        String model = "[model]\npath = \"DIR/cached\"\n";
        Outcome outcome = tiny.run(model + EVALUATION, "cached");
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.out())
                .contains("* formats of the checkpoint: keys and values { format = 'fp8_e4m3'", "with stored scales");
        Map<String, Double> cached = tiny.metrics("cached");
        assertThat(cached.get("perplexity/tales/loss"))
                .isNotEqualTo(cached.get("full_precision/perplexity/tales/loss"));
        String other = "[quantization.kv]\nkey = { format = \"none\" }\nvalue = { format = \"none\" }\n";
        Map<String, Double> own = metrics(model + other + EVALUATION, "own");
        assertThat(own.get("perplexity/tales/loss")).isEqualTo(cached.get("full_precision/perplexity/tales/loss"));
    }
}
