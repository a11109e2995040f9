package dev.ptq.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.ptq.config.ConfigException;
import dev.ptq.method.Methods;
import dev.ptq.stage.Experiment;
import dev.ptq.tensor.Shared;
import dev.ptq.weights.ModelFolder;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The published numbers in {@code configs/reproductions}. */
class ReproductionTest {
    private static final Path FOLDER = Shared.root().resolve("configs").resolve(Reproduction.FOLDER);
    private static final Pattern MODEL = Pattern.compile("(?m)^path = \"(.*)\"$");
    private static final String OVERRIDE = "model.path=";

    /** A model with one block. */
    private record Stub(boolean opt, int hidden, int intermediate, int heads) {
        String config() {
            return opt ? """
                            {"model_type": "opt", "hidden_size": %d, "ffn_dim": %d, "num_hidden_layers": 1,
                             "num_attention_heads": %d, "vocab_size": 50272, "max_position_embeddings": 2048,
                             "activation_function": "relu", "do_layer_norm_before": true, "tie_word_embeddings": true}
                            """.formatted(hidden, intermediate, heads) : """
                            {"model_type": "llama", "hidden_size": %d, "intermediate_size": %d, "num_hidden_layers": 1,
                             "num_attention_heads": %d, "num_key_value_heads": %3$d, "vocab_size": 32000,
                             "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "hidden_act": "silu"}
                            """.formatted(hidden, intermediate, heads);
        }

        /** The shapes of its tensors. */
        Map<String, List<Integer>> tensors() {
            Map<String, List<Integer>> tensors = new LinkedHashMap<>();
            List<Integer> square = List.of(hidden, hidden);
            List<Integer> line = List.of(hidden);
            if (opt) {
                tensors.put("model.decoder.embed_tokens.weight", List.of(50272, hidden));
                tensors.put("model.decoder.embed_positions.weight", List.of(2050, hidden));
                for (String linear : List.of("q_proj", "k_proj", "v_proj", "out_proj")) {
                    tensors.put("model.decoder.layers.0.self_attn." + linear + ".weight", square);
                    tensors.put("model.decoder.layers.0.self_attn." + linear + ".bias", line);
                }
                tensors.put("model.decoder.layers.0.fc1.weight", List.of(intermediate, hidden));
                tensors.put("model.decoder.layers.0.fc1.bias", List.of(intermediate));
                tensors.put("model.decoder.layers.0.fc2.weight", List.of(hidden, intermediate));
                tensors.put("model.decoder.layers.0.fc2.bias", line);
                for (String norm :
                        List.of("layers.0.self_attn_layer_norm", "layers.0.final_layer_norm", "final_layer_norm")) {
                    tensors.put("model.decoder." + norm + ".weight", line);
                    tensors.put("model.decoder." + norm + ".bias", line);
                }
            } else {
                tensors.put("model.embed_tokens.weight", List.of(32000, hidden));
                tensors.put("lm_head.weight", List.of(32000, hidden));
                tensors.put("model.norm.weight", line);
                for (String linear : List.of("q_proj", "k_proj", "v_proj", "o_proj")) {
                    tensors.put("model.layers.0.self_attn." + linear + ".weight", square);
                }
                tensors.put("model.layers.0.mlp.gate_proj.weight", List.of(intermediate, hidden));
                tensors.put("model.layers.0.mlp.up_proj.weight", List.of(intermediate, hidden));
                tensors.put("model.layers.0.mlp.down_proj.weight", List.of(hidden, intermediate));
                tensors.put("model.layers.0.input_layernorm.weight", line);
                tensors.put("model.layers.0.post_attention_layernorm.weight", line);
            }
            return tensors;
        }

        /** Writes a folder whose weights take no room: they are a hole in the file. */
        void write(Path folder) throws IOException {
            Files.writeString(folder.resolve("config.json"), config());
            StringBuilder header = new StringBuilder("{");
            long at = 0;
            for (Map.Entry<String, List<Integer>> tensor : tensors().entrySet()) {
                long end = at + 2L * tensor.getValue().stream().reduce(1, Math::multiplyExact);
                header.append(header.length() == 1 ? "" : ", ")
                        .append("\"%s\": {\"dtype\": \"BF16\", \"shape\": %s, \"data_offsets\": [%d, %d]}"
                                .formatted(tensor.getKey(), tensor.getValue(), at, end));
                at = end;
            }
            byte[] bytes = header.append('}').toString().getBytes(StandardCharsets.UTF_8);
            try (RandomAccessFile weights =
                    new RandomAccessFile(folder.resolve("model.safetensors").toFile(), "rw")) {
                ByteBuffer length = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
                weights.write(length.putLong(bytes.length).array());
                weights.write(bytes);
                weights.setLength(Long.BYTES + bytes.length + at);
            }
            Path shipped = Shared.root().resolve("pipeline/src/main/resources/dev/ptq/weights/reference");
            for (String file : List.of("tokenizer.json", "tokenizer_config.json")) {
                Files.copy(shipped.resolve(file), folder.resolve(file));
            }
        }
    }

    private static final Map<String, Stub> STUBS = Map.of(
            "meta-llama/Llama-2-7b-hf", new Stub(false, 4096, 11008, 32),
            "meta-llama/Llama-2-13b-hf", new Stub(false, 5120, 13824, 40),
            "huggyllama/llama-7b", new Stub(false, 4096, 11008, 32),
            "models/opt-125m", new Stub(true, 768, 3072, 12),
            "models/opt-1.3b", new Stub(true, 2048, 8192, 32));

    @TempDir
    Path folder;

    static Collection<Reproduction> rows() throws IOException {
        return Reproduction.readAll(FOLDER).values();
    }

    static Set<String> names() throws IOException {
        return Reproduction.readAll(FOLDER).keySet();
    }

    /** On a model of that shape, and on another text. */
    @ParameterizedTest
    @MethodSource("names")
    void itsConfigIsValid(String name) throws IOException {
        Reproduction row = Objects.requireNonNull(Reproduction.readAll(FOLDER).get(name));
        String toml = Files.readString(row.config());
        Matcher path = MODEL.matcher(toml);
        assertThat(path.find()).isTrue();
        String model = row.overrides().stream()
                .filter(override -> override.startsWith(OVERRIDE))
                .map(override -> override.substring(OVERRIDE.length()).replace("\"", ""))
                .findFirst()
                .orElse(path.group(1));
        String offline = toml.replaceAll("(?m)^dataset = \"[^\"]*/[^\"]*\"$", "dataset = \"wordnet\"")
                .replaceAll("(?m)^config = .*\\R", "");
        List<String> overrides = new ArrayList<>(row.overrides());
        if (!ModelFolder.shipped().containsKey(model)) {
            overrides.removeIf(override -> override.startsWith(OVERRIDE));
            overrides.add(OVERRIDE + '"' + stub(model) + '"');
        }
        Path config = Files.writeString(folder.resolve("config.toml"), offline);

        Experiment experiment = Experiment.read(config, overrides);
        assertThat(experiment.evaluation().perplexities())
                .anySatisfy(text -> assertThat("perplexity/" + text.name()).isEqualTo(row.metric()));
        assertThat(row.tolerance()).isPositive().isLessThan(row.expected() / 4);
        assertThat(row.here().map(row::reachedBy)).isNotEqualTo(Optional.of(false));
    }

    private Path stub(String model) throws IOException {
        Path stub = Files.createDirectories(folder.resolve("model"));
        Objects.requireNonNull(STUBS.get(model), model).write(stub);
        return stub;
    }

    @Test
    void numbersOfThisProgramAreThoseOfItsTables() throws IOException {
        int own = 0;
        for (Reproduction row : rows()) {
            if (row.paper().equals("ptq")) {
                List<String> table = Files.readAllLines(Shared.root().resolve(row.table()));
                int column = List.of(table.get(0).split(",", -1)).indexOf(row.metric());
                String cells = table.stream()
                        .filter(line -> line.startsWith(row.row() + ","))
                        .findFirst()
                        .orElseThrow();
                // cells in quotes have commas
                assertThat(cells.replaceAll("\"[^\"]*\"", "").split(",", -1)[column])
                        .isEqualTo(String.valueOf(row.expected()));
                own++;
            }
        }
        assertThat(own).isGreaterThan(15);
    }

    @Test
    void methodsAndProtocolsAreThere() throws IOException {
        StringBuilder all = new StringBuilder();
        for (Reproduction row : rows()) {
            all.append(Files.readString(row.config())).append(row.overrides());
            assertThat(row.protocol()).matches("(gptq|lqer|omniquant): .*");
            assertThat(Files.readString(row.config()))
                    .contains("protocol = \"" + row.protocol().split(":", -1)[0] + "\"");
        }
        Set<String> methods = new TreeSet<>(Methods.descriptions().keySet());
        methods.removeIf(method ->
                Pattern.compile("method ?= ?\"" + method + "\"").matcher(all).find());
        assertThat(methods)
                .as("methods without a published perplexity whose settings are known")
                .containsExactly("autoround", "eora", "qera_approx", "srr", "svdquant");
    }

    @Test
    void problemsHaveAPlace() throws IOException {
        Path file = Files.writeString(folder.resolve("a.toml"), """
                paper = "p"
                table = "t"
                config = "c.toml"
                protocol = "gptq"
                metric = "perplexity/x"
                modle = "m"

                [rows.one]
                row = "r"
                expected = 5
                tolerance = -1.0
                """);
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> Reproduction.read(file))
                .satisfies(problems -> assertThat(problems.problems())
                        .hasSize(3)
                        .anyMatch(line -> line.contains("a.toml:6:1: modle: unknown key; did you mean \"model\"?"))
                        .anyMatch(line -> line.contains("a.toml:11:1: rows.one.tolerance: expected")));
    }
}
