package dev.ptq.family;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.family.ModelConfig.Positions;
import dev.ptq.family.ModelConfig.Vocabulary;
import dev.ptq.model.HookPoint;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearSpec;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

class ModelConfigTest {
    private static final String LLAMA = """
            {"model_type": "llama", "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 5,
             "num_attention_heads": 8, "vocab_size": 512}
            """;
    private static final String OPT = """
            {"model_type": "opt", "hidden_size": 64, "ffn_dim": 256, "num_hidden_layers": 3,
             "num_attention_heads": 4, "vocab_size": 100}
            """;

    @TempDir
    private Path folder;

    @Test
    void fillsInWhatLlamaLeavesOut() throws IOException {
        ModelConfig config = read(LLAMA);
        assertThat(config.vocabulary()).isEqualTo(new Vocabulary(512, 64, false));
        assertThat(config.positions()).isEqualTo(new Positions(2048, Optional.empty()));
        assertThat(config.blocks()).isEqualTo(5);
        AttentionShape attention = config.block(4).attention();
        assertThat(List.of(attention.heads(), attention.kvHeads(), attention.headDim()))
                .containsExactly(8, 8, 8);
        assertThat(attention.rope()).contains(new Rope(10000, 8, false, new Rope.Unscaled()));
        assertThat(attention.inputs()).noneMatch(Projection::hasBias);
        assertThat(attention.output().hasBias()).isFalse();
        assertThat(config.block(0).mlp().activeWidth()).isEqualTo(172);
        assertThat(config.block(0).attentionNorms())
                .isEqualTo(BranchNorms.before(Norm.rms(1e-6).at("input_layernorm")));
        assertThat(config.output().norm()).contains(Norm.rms(1e-6).at("model.norm"));
    }

    @Test
    void fillsInWhatOptLeavesOut() throws IOException {
        ModelConfig config = read(OPT);
        assertThat(config.vocabulary()).isEqualTo(new Vocabulary(100, 64, true));
        assertThat(config.positions().count()).isEqualTo(2048);
        assertThat(config.positions().learned())
                .contains(new ModelConfig.PositionTable("model.decoder.embed_positions.weight", 2));
        AttentionShape attention = config.block(2).attention();
        assertThat(List.of(attention.heads(), attention.kvHeads(), attention.headDim()))
                .containsExactly(4, 4, 16);
        assertThat(attention.rope()).isEmpty();
        assertThat(attention.inputs()).allMatch(Projection::hasBias);
        assertThat(config.block(0).mlp().activeWidth()).isEqualTo(256);
        assertThat(config.block(0).mlpNorms())
                .isEqualTo(BranchNorms.before(Norm.layer(1e-5).at("final_layer_norm")));
        assertThat(config.output().norm()).isPresent();
    }

    @Test
    void readsOptWithNormsAfterwards() throws IOException {
        ModelConfig config = read(with(OPT, "do_layer_norm_before", "false", "word_embed_proj_dim", "32"));
        assertThat(config.block(0).attentionNorms().afterSum()).isPresent();
        assertThat(config.output().norm()).isEmpty();
        assertThat(config.vocabulary().width()).isEqualTo(32);
        assertThat(read(with(OPT, "_remove_final_layer_norm", "true")).output().norm())
                .isEmpty();
    }

    @Test
    void takesNullForLeftOut() throws IOException {
        ModelConfig config = read(with(
                LLAMA,
                "num_key_value_heads",
                "null",
                "head_dim",
                "null",
                "rope_scaling",
                "null",
                "rope_parameters",
                "null",
                "rms_norm_eps",
                "null",
                "hidden_act",
                "null",
                "attention_bias",
                "null"));
        assertThat(config).isEqualTo(read(LLAMA));
    }

    @Test
    void readsTheWaysToScaleRotations() throws IOException {
        assertThat(rope("rope_theta", "500000")).isEqualTo(new Rope(500000, 8, false, new Rope.Unscaled()));
        assertThat(rope("rope_scaling", "{\"type\":\"linear\",\"factor\":2}"))
                .isEqualTo(new Rope(10000, 8, false, new Rope.Linear(2)));
        String llama3 = "{\"rope_type\":\"llama3\",\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
                + "\"original_max_position_embeddings\":8192}";
        assertThat(rope("rope_scaling", llama3)).isEqualTo(new Rope(10000, 8, false, new Rope.Llama3(8, 1, 4, 8192)));
        assertThat(rope("rope_parameters", "{\"rope_theta\":7,\"rope_type\":\"default\"}"))
                .isEqualTo(new Rope(7, 8, false, new Rope.Unscaled()));
    }

    private Rope rope(String key, String json) throws IOException {
        return read(with(LLAMA, key, json)).block(0).attention().rope().orElseThrow();
    }

    /** As Gemma 3 above one billion parameters is: its text part, and what it leaves out. */
    @Test
    void readsTheTextPartOfALargerModel() throws IOException {
        ModelConfig config = read("""
                {"model_type": "gemma3", "tie_word_embeddings": false, "vision_config": {"hidden_size": 1152},
                 "text_config": {"model_type": "gemma3_text", "hidden_size": 64, "intermediate_size": 112,
                   "num_hidden_layers": 6, "sliding_window": 16, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}}}
                """);
        assertThat(config.family()).isEqualTo("gemma3_text");
        assertThat(config.vocabulary()).isEqualTo(new Vocabulary(262208, 64, false));
        assertThat(config.block(0).attention().heads()).isEqualTo(8);
        assertThat(config.block(0).attention().window()).hasValue(16);
        assertThat(config.block(0).attention().rope()).contains(new Rope(1e4, 256, false, new Rope.Unscaled()));
        assertThat(config.block(5).attention().window()).isEmpty();
        assertThat(config.block(5).attention().rope()).contains(new Rope(1e6, 256, false, new Rope.Linear(8)));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "llama | num_hidden_layers | 2000000000",
                "mixtral | num_local_experts | 2000000000",
                "mixtral | num_experts_per_tok | 9",
                "qwen3_moe | num_experts_per_tok | 129",
                "olmoe | num_experts_per_tok | 65",
                "qwen2_moe | mlp_only_layers | [\"1\"]",
                "qwen2_moe | mlp_only_layers | 1",
                "smollm3 | no_rope_layers | [1, 1, 1, 1, true]",
                "gpt_neo | attention_types | [[[\"global\", \"locale\"], 3]]",
            })
    void namesAKeyOfAPartThatCannotBe(String family, String key, String value) {
        assertThatThrownBy(() -> read(with(
                        LLAMA,
                        "model_type",
                        '"' + family + '"',
                        "moe_intermediate_size",
                        "8",
                        "num_layers",
                        "6",
                        "num_key_value_heads",
                        "8",
                        "num_heads",
                        "8",
                        key,
                        value)))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("config.json: " + key);
    }

    @Test
    void namesAMissingFolderAndAMissingFile() {
        assertThatThrownBy(() -> ModelConfig.read(folder.resolve("none")))
                .isInstanceOf(IOException.class)
                .hasMessageContainingAll("none", "config.json", "Hugging Face");
        assertThatThrownBy(() -> ModelConfig.read(folder))
                .isInstanceOf(IOException.class)
                .hasMessageContaining(folder.resolve("config.json").toString());
    }

    @Test
    void listsTheFamiliesThereAre() {
        for (String type : new String[] {"\"gpt5\"", "null", "7", "\"Llama\""}) {
            assertThatThrownBy(() -> read(with(LLAMA, "model_type", type)))
                    .isInstanceOf(IOException.class)
                    .hasMessageContainingAll("config.json: model_type", "llama", "opt", type.replace("\"", ""));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "{", "[]", "null", "3", "\"llama\"", "{\"model_type\":\"llama\",}"})
    void refusesWhatIsNoObject(String text) {
        assertThatThrownBy(() -> read(text))
                .isInstanceOf(IOException.class)
                .hasMessageContaining(folder.resolve("config.json").toString());
    }

    @Test
    void namesAFileThatIsNoText() throws IOException {
        Files.write(folder.resolve("config.json"), "{\"a\":\"\u00ff\"}".getBytes(StandardCharsets.ISO_8859_1));
        assertThatThrownBy(() -> ModelConfig.read(folder))
                .isInstanceOf(IOException.class)
                .hasMessageContaining(folder.resolve("config.json").toString());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size"})
    void namesAMissingKey(String key) {
        for (String json : new String[] {without(LLAMA, key), with(LLAMA, key, "null")}) {
            assertThatThrownBy(() -> read(json))
                    .isInstanceOf(IOException.class)
                    .hasMessageContainingAll("config.json", key, "is missing");
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "hidden_size | 0",
                "hidden_size | -64",
                "hidden_size | 64.0",
                "hidden_size | \"64\"",
                "hidden_size | [64]",
                "hidden_size | 4294967360",
                "num_hidden_layers | true",
                "num_key_value_heads | 0",
                "num_key_value_heads | 3",
                "num_key_value_heads | 16",
                "num_attention_heads | 7",
                "head_dim | 7",
                "vocab_size | {}",
                "hidden_act | \"tanh\"",
                "hidden_act | 7",
                "hidden_act | [\"silu\"]",
                "rms_norm_eps | \"1e-5\"",
                "rms_norm_eps | -1",
                "rms_norm_eps | 0",
                "rms_norm_eps | 1e999",
                "attention_bias | 1",
                "attention_bias | \"true\"",
                "tie_word_embeddings | \"yes\"",
                "rope_theta | 0",
                "rope_theta | \"10000\"",
                "rope_scaling | \"linear\"",
                "rope_scaling | 4",
                "rope_scaling | {\"type\":\"ntk\",\"factor\":2}",
                "rope_scaling | {\"type\":7}",
                "rope_scaling | {\"type\":\"linear\"}",
                "rope_scaling | {\"type\":\"linear\",\"factor\":0}",
                "rope_scaling | {\"type\":\"linear\",\"factor\":null}",
                "rope_scaling | {\"rope_type\":\"llama3\",\"factor\":8}",
                "rope_parameters | []",
            })
    void namesAKeyOfAWrongKind(String key, String value) {
        assertThatThrownBy(() -> read(with(LLAMA, key, value)))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("config.json: " + key);
    }

    @Test
    void refusesHeadsThatDoNotFitThoughTheirSizeIsNull() {
        assertThatThrownBy(() -> read(with(LLAMA, "num_attention_heads", "7", "head_dim", "null")))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("num_attention_heads");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "activation_function | \"swiglu\"",
                "num_attention_heads | 5",
                "do_layer_norm_before | 1",
                "layer_norm_elementwise_affine | false",
                "word_embed_proj_dim | \"64\"",
                "ffn_dim | null",
            })
    void namesAKeyOfOptOfAWrongKind(String key, String value) {
        assertThatThrownBy(() -> read(with(OPT, key, value)))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("config.json: " + key);
    }

    @Test
    void listsLinearsWithoutACheckpoint() throws IOException {
        ModelConfig config = read(with(LLAMA, "num_key_value_heads", "2"));
        assertThat(LanguageModel.linears(config)).hasSize(5 * 7);
        assertThat(LanguageModel.linears(config).get(8))
                .isEqualTo(new LinearSpec(
                        1,
                        "model.layers.1.self_attn.k_proj",
                        "self_attn.k_proj",
                        HookPoint.ATTENTION_IN,
                        16,
                        64,
                        false));
        assertThat(LanguageModel.linears(read(OPT))).hasSize(3 * 6);
    }

    private ModelConfig read(String json) throws IOException {
        Files.writeString(folder.resolve("config.json"), json);
        return ModelConfig.read(folder);
    }

    private static String with(String json, String... keysAndValues) {
        ObjectNode node = (ObjectNode) JsonMapper.shared().readTree(json);
        for (int i = 0; i < keysAndValues.length; i += 2) {
            node.set(keysAndValues[i], JsonMapper.shared().readTree(keysAndValues[i + 1]));
        }
        // numbers beyond a double are written as text
        return node.toString().replace("\"Infinity\"", "1e999");
    }

    private static String without(String json, String key) {
        ObjectNode node = (ObjectNode) JsonMapper.shared().readTree(json);
        node.remove(key);
        return node.toString();
    }
}
