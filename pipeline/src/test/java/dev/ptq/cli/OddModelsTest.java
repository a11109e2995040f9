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
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

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
        Outcome without = validate();
        assertThat(without.code()).isEqualTo(2);
        assertThat(without.err()).contains("model.layers.0.mlp.up_proj.qweight", "no quantization_config");
        config("\"model_type\"", "\"quantization_config\": {\"quant_method\": \"gptg\"}, \"model_type\"");
        Outcome outcome = validate();
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err())
                .contains(
                        "model.layers.0.mlp.up_proj.qweight: the weights are packed",
                        "[auto-round, awq, bitsandbytes, compressed-tensors, fp8, gptq, modelopt]",
                        "got \"gptg\"",
                        "did you mean \"gptq\"");
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

    /** A token that someone added, and no row of the embedding. */
    @Test
    void tokensBeyondTheEmbeddingAreFoundBeforeAnythingIsComputed() throws IOException {
        Path file = odd.resolve("tokenizer.json");
        String tokenizer = Files.readString(file);
        ObjectNode content = (ObjectNode) JsonMapper.shared().readTree(tokenizer);
        ArrayNode added = content.withArray("added_tokens");
        added.addObject()
                .put("id", 259)
                .put("content", "orchard")
                .put("single_word", false)
                .put("lstrip", false)
                .put("rstrip", false)
                .put("normalized", false)
                .put("special", false);
        Files.writeString(file, content.toString());
        for (String part : new String[] {"", CALIBRATED}) {
            Outcome outcome = tiny.run(part + CONFIG, "tag" + part.length());
            assertThat(outcome.code()).as(outcome.err()).isEqualTo(2);
            assertThat(outcome.err())
                    .contains("tokenizer.json: the token \"orchard\" has the id 259")
                    .contains("vocab_size, 259")
                    .contains("DIR/text.txt")
                    .contains(" orchard ")
                    .doesNotContain("quantize:", "at dev.ptq");
            assertThat(outcome.err().lines().filter(line -> line.contains("orchard")))
                    .as("once, though two sections read the text")
                    .hasSize(1);
        }
        tiny.config(CONFIG);
        Outcome sampled = tiny.execute("sample", "--model", "DIR/odd", "--prompt", "an orchard", "--tokens", "1");
        assertThat(sampled.code()).isEqualTo(2);
        assertThat(sampled.err()).contains("the token \"orchard\" has the id 259");
    }

    private static final String CALIBRATED = """
            [calibration]
            dataset = "DIR/text.txt"
            num_samples = 2
            seq_len = 24
            [[approximation]]
            method = "l2qer"
            rank = 2
            [quantization.weight]
            format = "int"
            bits = 4
            """;

    private double lossOf(String addBos, String tag) throws IOException {
        Outcome outcome = tiny.run(CONFIG.replace("[evaluation]", "add_bos = " + addBos + "\n[evaluation]"), tag);
        assertThat(outcome.code()).as(outcome.err()).isZero();
        return Objects.requireNonNull(tiny.metrics(tag).get("perplexity/tales/loss"));
    }

    private void tokenizerConfig(String json) throws IOException {
        Files.writeString(odd.resolve("tokenizer_config.json"), json);
    }

    private void template(boolean isThere) throws IOException {
        Path file = odd.resolve("tokenizer.json");
        ObjectNode content = (ObjectNode) JsonMapper.shared().readTree(Files.readString(file));
        if (isThere) {
            content.set("post_processor", JsonMapper.shared().readTree("""
                    {"type": "TemplateProcessing",
                     "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                     "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                     "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}
                    """));
        } else {
            content.putNull("post_processor");
        }
        Files.writeString(file, content.toString());
    }

    /** The template first, then the config; a key has the last word, and what contradicts is said. */
    @Test
    void whetherTextsBeginWithTheStartToken() throws IOException {
        template(true);
        tokenizerConfig("{\"bos_token\": \"<s>\"}");
        double with = loss("with");
        template(false);
        double without = loss("without");
        assertThat(with).isNotEqualTo(without);
        assertThat(validate().out()).doesNotContain("warning");

        tokenizerConfig("{\"bos_token\": \"<s>\", \"add_bos_token\": true}");
        assertThat(loss("no-template")).isEqualTo(with);
        assertThat(validate().out())
                .contains("# warning: tokenizer.json has no template for special tokens, and tokenizer_config.json says"
                        + " add_bos_token = true; the latter is followed");
        template(true);
        assertThat(validate().out()).doesNotContain("warning");
        tokenizerConfig("{\"bos_token\": \"<s>\", \"add_bos_token\": false}");
        assertThat(loss("bos-off")).isEqualTo(with);
        assertThat(validate().out())
                .contains("# warning: tokenizer.json puts a special token before a text, and tokenizer_config.json says"
                        + " add_bos_token = false; the former is followed");

        for (boolean isThere : new boolean[] {true, false}) {
            template(isThere);
            assertThat(lossOf("true", "true" + isThere)).isEqualTo(with);
            assertThat(lossOf("false", "false" + isThere)).isEqualTo(without);
        }
        Outcome decided = tiny.execute("validate", "DIR/config.toml");
        assertThat(decided.out()).contains("add_bos = false").doesNotContain("warning");
    }

    @Test
    void aStartTokenThatIsNotThereCannotBeAdded() throws IOException {
        template(false);
        tokenizerConfig("{\"bos_token\": \"<begin>\"}");
        Outcome outcome = tiny.run(CONFIG.replace("[evaluation]", "add_bos = true\n[evaluation]"), "tag");
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err()).contains("tokenizer_config.json: bos_token", "got '<begin>'", "model.add_bos");
    }

    @Test
    void sentencePieceAloneIsRefusedByName() throws IOException {
        Files.delete(odd.resolve("tokenizer.json"));
        Files.writeString(odd.resolve("tokenizer.model"), "x");
        assertThat(validate().err()).contains("tokenizer.json: no such file", "tokenizer.model", "SentencePiece");
    }

    /** Python writes what is no number as a word; of a key that nothing reads it does no harm. */
    @Test
    void configWithWordsForNumbers() throws IOException {
        config("{", "{\"router_aux_loss_coef\": NaN, \"other\": -Infinity,");
        assertThat(loss("words")).isEqualTo(right);
        config("\"rms_norm_eps\"", "\"rms_norm_eps\": NaN, \"old\"");
        assertThat(validate().err()).contains("config.json: rms_norm_eps: expected", "NaN");
    }

    @Test
    void configWithAComment() throws IOException {
        config("{", "{\n  // as trained\n");
        Outcome outcome = validate();
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err())
                .contains("config.json:2:", "not valid JSON: JSON has no comments")
                .doesNotContain("Feature", "enable");
    }

    @Test
    void configThatIsNoPlainFile() throws IOException {
        Files.delete(odd.resolve("config.json"));
        Files.createDirectory(odd.resolve("config.json"));
        assertThat(validate().err()).contains("config.json: expected a plain file");
    }
}
