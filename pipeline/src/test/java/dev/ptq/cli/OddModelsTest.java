package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.model.SyntheticModel;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Checkpoints that are not quite what their config says: read right, or refused, and never without a word. */
class OddModelsTest {
    private static final String CONFIG = """
            [model]
            path = "DIR/odd"
            [evaluation]
            baselines = []
            [[evaluation.perplexity]]
            name = "tales"
            dataset = "DIR/text.txt"
            seq_len = 24
            max_samples = 2
            """;

    private static final String EMBEDDING = "model.embed_tokens.weight";
    private static final String HEAD = "lm_head.weight";

    @TempDir
    private Path folder;

    private TinyExperiment tiny;
    private Path odd;
    private double right;

    @BeforeEach
    void write() throws IOException {
        tiny = new TinyExperiment(folder);
        odd = SyntheticModel.llama()
                .vocabulary(259)
                .positions(64)
                .heads(4, 2)
                .tied(true)
                .tokenizer()
                .write(folder.resolve("odd"));
        right = loss("right");
    }

    private double loss(String tag) throws IOException {
        Outcome outcome = tiny.run(CONFIG, tag);
        assertThat(outcome.code()).as(outcome.err()).isZero();
        return Objects.requireNonNull(tiny.metrics(tag).get("perplexity/tales/loss"));
    }

    /** Changes the tensors of the model. */
    private void change(BiConsumer<NDManager, Map<String, NDArray>> change) throws IOException {
        Path file = odd.resolve("model.safetensors");
        Path changed = odd.resolve("changed.safetensors");
        try (NDManager manager = TensorEngine.newManager()) {
            Map<String, NDArray> tensors = new LinkedHashMap<>();
            try (Safetensors stored = Safetensors.open(file)) {
                for (String name : stored.entries().keySet()) {
                    tensors.put(name, stored.load(manager, name));
                }
            }
            change.accept(manager, tensors);
            SafetensorsWriter.write(changed, tensors, StoredType.F32, Map.of());
        }
        Files.delete(file);
        Files.move(changed, file);
    }

    private void config(String before, String after) throws IOException {
        Path file = odd.resolve("config.json");
        String text = Files.readString(file);
        assertThat(text).contains(before);
        Files.writeString(file, text.replace(before, after));
    }

    private Outcome validate() throws IOException {
        tiny.config(CONFIG);
        return tiny.execute("validate", "DIR/config.toml");
    }

    @Test
    void headOfTheFileCountsThoughTheConfigTiesIt() throws IOException {
        change((manager, tensors) ->
                tensors.put(HEAD, Objects.requireNonNull(tensors.get(EMBEDDING)).mul(0.5f)));
        assertThat(loss("differs")).isNotEqualTo(right);
        assertThat(validate().out()).contains("# warning: config.json has tie_word_embeddings", HEAD, EMBEDDING);
    }

    @Test
    void equalHeadNeedsNoWord() throws IOException {
        change((manager, tensors) ->
                tensors.put(HEAD, Objects.requireNonNull(tensors.get(EMBEDDING)).duplicate()));
        assertThat(loss("equal")).isEqualTo(right);
        assertThat(validate().out()).doesNotContain("warning");
    }

    @Test
    void tiedMatrixMayHaveTheNameOfTheHead() throws IOException {
        change((manager, tensors) -> tensors.put(HEAD, Objects.requireNonNull(tensors.remove(EMBEDDING))));
        assertThat(loss("head")).isEqualTo(right);
        assertThat(validate().out()).doesNotContain("warning");
    }

    @Test
    void namesMayLackThePrefix() throws IOException {
        change((manager, tensors) -> {
            Map<String, NDArray> bare = new LinkedHashMap<>();
            tensors.forEach((name, tensor) -> bare.put(name.replaceFirst("^model\\.", ""), tensor));
            tensors.clear();
            tensors.putAll(bare);
        });
        assertThat(loss("bare")).isEqualTo(right);
        assertThat(validate().out()).doesNotContain("warning");
    }

    @Test
    void tensorsOfALargerModelAreNamed() throws IOException {
        change((manager, tensors) -> {
            Map<String, NDArray> part = new LinkedHashMap<>();
            tensors.forEach((name, tensor) -> part.put("language_model." + name, tensor));
            tensors.clear();
            tensors.putAll(part);
            tensors.put("vision_tower.weight", manager.ones(new Shape(2, 2)));
        });
        assertThat(loss("part")).isEqualTo(right);
        assertThat(validate().out()).contains("# warning: 1 tensor is in no place", "vision_tower.weight");
    }

    @Test
    void whatTheConfigDoesNotReachIsNamedAndStrictRefusesIt() throws IOException {
        change((manager, tensors) -> {
            for (String linear : new String[] {"q_proj", "k_proj", "v_proj", "o_proj"}) {
                tensors.put("model.layers.0.self_attn." + linear + ".bias", manager.ones(new Shape(64)));
            }
            tensors.put("model.layers.0.self_attn.rotary_emb.inv_freq", manager.ones(new Shape(4)));
        });
        assertThat(loss("biases")).isEqualTo(right);
        Outcome outcome = tiny.run("strict = true\n" + CONFIG, "strict");
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err())
                .contains("4 tensors are in no place", "model.layers.0.self_attn.k_proj.bias", "and so on")
                .doesNotContain("inv_freq");
    }

    @Test
    void packedWeightsAreCalledByTheirName() throws IOException {
        change((manager, tensors) -> tensors.put(
                "model.layers.0.mlp.up_proj.qweight",
                Objects.requireNonNull(tensors.remove("model.layers.0.mlp.up_proj.weight"))));
        config("\"model_type\"", "\"quantization_config\": {\"quant_method\": \"gptq\"}, \"model_type\"");
        Outcome outcome = validate();
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err())
                .contains("model.layers.0.mlp.up_proj.qweight: the weights are packed (gptq)", "float32");
    }

    @Test
    void quantizationBesideFloatWeightsIsNamed() throws IOException {
        config("\"model_type\"", "\"quantization_config\": {\"quant_method\": \"awq\"}, \"model_type\"");
        assertThat(validate().out()).contains("# warning: config.json has quantization_config: awq");
    }

    @Test
    void overflowIsThatOfTheModel() throws IOException {
        change((manager, tensors) -> {
            tensors.computeIfPresent("model.layers.1.mlp.up_proj.weight", (name, weight) -> weight.mul(1e25f));
            tensors.computeIfPresent("model.layers.1.mlp.down_proj.weight", (name, weight) -> weight.mul(1e25f));
        });
        Outcome outcome = tiny.run(CONFIG, "overflow");
        assertThat(outcome.code()).isEqualTo(1);
        assertThat(outcome.err())
                .contains("ptq: block 1: the output of model.layers.1.mlp.down_proj", "full precision", "DIR/odd");
    }

    @Test
    void dropoutOfTheTokenizerIsOff() throws IOException {
        Path file = odd.resolve("tokenizer.json");
        String text = Files.readString(file);
        Files.writeString(file, text.replaceFirst("\"dropout\"\\s*:\\s*null", "\"dropout\": 0.9"));
        assertThat(Files.readString(file)).contains("0.9");
        assertThat(loss("dropout")).isEqualTo(right);
        assertThat(validate().out()).contains("# warning: tokenizer.json has model.dropout");
    }

    @Test
    void tablesThatAreNoMatricesAreRefused() throws IOException {
        change((manager, tensors) -> {
            tensors.put(EMBEDDING, manager.ones(new Shape(259)));
            tensors.put(HEAD, manager.ones(new Shape(259)));
        });
        Outcome outcome = validate();
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err()).contains(EMBEDDING, "config.json implies shape [259, 64], found [259]");
    }

    @Test
    void unknownFamilyNamesTheNearest() throws IOException {
        config("\"llama\"", "\"qwen22\"");
        Outcome outcome = validate();
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err()).contains("model_type", "mixtral", "nothing was computed; did you mean \"qwen2\"?");
        config("\"qwen22\"", "\"deepseek_v3\"");
        assertThat(validate().err()).contains("latent attention");
    }
}
