package dev.ptq.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.ptq.config.ConfigException;
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
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
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

    /** The config.json of each model, with a block only. */
    private static final Map<String, String> SHAPES = Map.of(
            "meta-llama/Llama-2-7b-hf", llama(4096, 11008, 32),
            "meta-llama/Llama-2-13b-hf", llama(5120, 13824, 40),
            "huggyllama/llama-7b", llama(4096, 11008, 32),
            "models/opt-125m", opt(768, 3072, 12),
            "models/opt-1.3b", opt(2048, 8192, 32));

    @TempDir
    Path folder;

    private static String llama(int hidden, int intermediate, int heads) {
        return """
                {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": %d, "intermediate_size": %d,
                 "num_hidden_layers": 1, "num_attention_heads": %d, "num_key_value_heads": %d, "vocab_size": 32000,
                 "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "hidden_act": "silu", "rope_theta": 10000.0,
                 "tie_word_embeddings": false, "bos_token_id": 1, "eos_token_id": 2}
                """.formatted(hidden, intermediate, heads, heads);
    }

    private static String opt(int hidden, int intermediate, int heads) {
        return """
                {"model_type": "opt", "architectures": ["OPTForCausalLM"], "hidden_size": %d, "ffn_dim": %d,
                 "num_hidden_layers": 1, "num_attention_heads": %d, "vocab_size": 50272, "word_embed_proj_dim": %d,
                 "max_position_embeddings": 2048, "activation_function": "relu", "do_layer_norm_before": true,
                 "tie_word_embeddings": true, "bos_token_id": 2, "eos_token_id": 2}
                """.formatted(hidden, intermediate, heads, hidden);
    }

    static Collection<Reproduction> rows() throws IOException {
        return Reproduction.readAll(FOLDER).values();
    }

    /** On a model of that shape that has no weights, and on another text. */
    @ParameterizedTest
    @MethodSource("rows")
    void itsConfigIsValid(Reproduction row) throws IOException {
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
        Files.writeString(stub.resolve("config.json"), Objects.requireNonNull(SHAPES.get(model), model));
        Path shipped = Shared.root().resolve("pipeline/src/main/resources/dev/ptq/weights/reference");
        for (String file : List.of("tokenizer.json", "tokenizer_config.json")) {
            Files.copy(shipped.resolve(file), stub.resolve(file));
        }
        byte[] header = "{\"x\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]}}"
                .getBytes(StandardCharsets.UTF_8);
        try (RandomAccessFile weights = new RandomAccessFile(stub.resolve("model.safetensors").toFile(), "rw")) {
            ByteBuffer length = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
            weights.write(length.putLong(header.length).array());
            weights.write(header);
            weights.write(new byte[4]);
        }
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
        assertThat(rows()).hasSizeGreaterThan(60);
        assertThat(rows()).extracting(Reproduction::protocol).anyMatch(text -> text.startsWith("lqer:"));
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
