package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Checkpoint;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CheckpointTest {
    private static final String INDEX = "model.safetensors.index.json";

    @TempDir
    private Path folder;

    @Test
    void namesAMissingFolder() {
        assertThatThrownBy(() -> LanguageModel.open(folder.resolve("none")).close())
                .isInstanceOf(IOException.class)
                .hasMessageContaining("none");
        assertThatThrownBy(() -> Checkpoint.files(folder.resolve("none")))
                .isInstanceOf(IOException.class)
                .hasMessageContainingAll("none", "model.safetensors", INDEX);
    }

    @Test
    void namesWhatItLooksForInAFolderWithoutWeights() throws IOException {
        SyntheticModel.llama().write(folder);
        Files.delete(folder.resolve("model.safetensors"));
        assertRefused(folder.toString(), "model.safetensors", INDEX);
    }

    @Test
    void listsItsFiles() throws IOException {
        SyntheticModel.llama().write(folder.resolve("one"));
        assertThat(Checkpoint.files(folder.resolve("one"))).containsExactly(folder.resolve("one/model.safetensors"));
        Path shards = SyntheticModel.llama().shards(2).write(folder.resolve("two"));
        assertThat(Checkpoint.files(shards))
                .containsExactly(
                        shards.resolve(INDEX),
                        shards.resolve("model-00001-of-00002.safetensors"),
                        shards.resolve("model-00002-of-00002.safetensors"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "model.embed_tokens.weight",
                "model.norm.weight",
                "lm_head.weight",
                "model.layers.1.self_attn.v_proj.weight",
                "model.layers.1.self_attn.v_proj.bias",
                "model.layers.0.input_layernorm.weight"
            })
    void namesAMissingTensorAndOneOfAWrongShape(String name) throws IOException {
        SyntheticModel.llama().biases(true, false).write(folder);
        rewrite(tensors -> tensors.remove(name));
        assertRefused("no tensor " + name, "model.safetensors");

        SyntheticModel.llama().biases(true, false).write(folder);
        rewrite(tensors -> tensors.computeIfPresent(name, (key, tensor) -> tensor.expandDims(0)));
        assertRefused("tensor " + name, "model.safetensors", "config.json implies shape", "[1, ");
    }

    @Test
    void namesATensorOfATypeThatCannotBeRead() throws IOException {
        SyntheticModel.llama().write(folder);
        Path file = folder.resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(file);
        String start = new String(bytes, 8, 400, StandardCharsets.ISO_8859_1);
        int at = 8 + start.indexOf("\"F32\"");
        bytes[at + 1] = 'U';
        Files.write(file, bytes);
        assertRefused("model.safetensors", "model.embed_tokens.weight", "U32", "F32");
    }

    @ParameterizedTest
    @ValueSource(strings = {"model.layers.1.mlp.up_proj.weight", "model.layers.1.post_attention_layernorm.weight"})
    void namesATensorWithAValueThatIsNotFinite(String name) throws IOException {
        for (float value : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            SyntheticModel.llama().write(folder);
            rewrite(tensors -> {
                NDArray damaged = Objects.requireNonNull(tensors.get(name));
                NativeFloats.window(damaged).put((int) damaged.size() - 1, value);
            });
            try (LanguageModel model = LanguageModel.open(folder)) {
                model.load(0).close();
                assertThatThrownBy(() -> model.load(1))
                        .isInstanceOf(IOException.class)
                        .hasMessageContainingAll(name, "NaN or infinite");
            }
        }
    }

    @Test
    void namesAnEmbeddingThatIsNotFinite() throws IOException {
        SyntheticModel.llama().write(folder);
        rewrite(tensors -> {
            for (String name : List.of("model.embed_tokens.weight", "lm_head.weight")) {
                NativeFloats.window(Objects.requireNonNull(tensors.get(name))).put(3 * 64, Float.NaN);
            }
        });
        try (LanguageModel model = LanguageModel.open(folder)) {
            assertThatThrownBy(() -> model.embed(new int[][] {{1, 2, 3}}, 1))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("model.embed_tokens.weight");
            int[][] chunks = {{1, 2, 4}};
            try (HiddenStates states = model.embed(chunks, 1)) {
                assertThatThrownBy(() -> Scoring.nextTokenLosses(model, states, chunks))
                        .isInstanceOf(IOException.class)
                        .hasMessageContaining("lm_head.weight");
            }
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "../model-00001-of-00002.safetensors",
                "/model-00001-of-00002.safetensors",
                "sub/model-00001-of-00002.safetensors",
                "..",
                "",
                ".safetensors",
                "C:\\\\model.safetensors",
                "model-00001-of-00002.bin"
            })
    void refusesAnIndexThatLeavesTheFolder(String shard) throws IOException {
        SyntheticModel.llama().shards(2).write(folder.resolve("model"));
        Files.copy(
                folder.resolve("model/model-00001-of-00002.safetensors"),
                folder.resolve("model-00001-of-00002.safetensors"));
        Path index = folder.resolve("model/" + INDEX);
        String text = Files.readString(index);
        Files.writeString(index, text.replaceFirst("model-00001-of-00002.safetensors", shard.replace("\\", "\\\\")));
        for (Opening opening : List.<Opening>of(
                () -> Checkpoint.files(folder.resolve("model")),
                () -> LanguageModel.open(folder.resolve("model")).close())) {
            assertThatThrownBy(opening::run)
                    .isInstanceOf(IOException.class)
                    .hasMessageContainingAll(INDEX, "weight_map.model.embed_tokens.weight", "same folder");
        }
    }

    @FunctionalInterface
    private interface Opening {
        void run() throws IOException;
    }

    @Test
    void refusesAnIndexThatPromisesWhatAFileDoesNotHave() throws IOException {
        SyntheticModel.llama().shards(2).write(folder);
        Path index = folder.resolve(INDEX);
        String text = Files.readString(index);
        Files.writeString(index, text.replace("\"lm_head.weight\"", "\"lm_head.wait\""));
        assertRefused(INDEX, "promises tensor lm_head.wait in model-00002-of-00002.safetensors");

        // in another file than promised
        Files.writeString(index, text.replaceFirst("model-00001-of", "model-00002-of"));
        assertRefused(INDEX, "promises tensor model.embed_tokens.weight in model-00002-of-00002.safetensors");

        Files.writeString(index, text.replaceFirst("model-00001-of", "model-00007-of"));
        assertRefused("model-00007-of-00002.safetensors", "no such file");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "{", "[]", "{}", "{\"weight_map\":[]}", "{\"weight_map\":{}}", "{\"weight_map\":7}"})
    void refusesAnIndexWithoutAMap(String text) throws IOException {
        SyntheticModel.llama().shards(2).write(folder);
        Files.writeString(folder.resolve(INDEX), text);
        assertRefused(folder.resolve(INDEX).toString());
    }

    @Test
    void refusesAnIndexThatIsNoText() throws IOException {
        SyntheticModel.llama().shards(2).write(folder);
        Files.write(folder.resolve(INDEX), new byte[] {'{', '"', (byte) 0xff, '"', ':', '1', '}'});
        assertRefused(folder.resolve(INDEX).toString());
    }

    @Test
    void namesTheShardThatIsTruncated() throws IOException {
        SyntheticModel.llama().shards(2).write(folder);
        Path shard = folder.resolve("model-00002-of-00002.safetensors");
        byte[] bytes = Files.readAllBytes(shard);
        Files.write(shard, Arrays.copyOf(bytes, bytes.length - 1));
        assertRefused(shard.toString(), "truncated");
    }

    @Test
    void ignoresATiedModelsOwnHead() throws IOException {
        SyntheticModel.llama().tied(true).write(folder);
        try (LanguageModel model = LanguageModel.open(folder)) {
            assertThat(model.config().vocabulary().tied()).isTrue();
        }
    }

    /** The tokenizer that comes with synthetic models. */
    @Test
    void syntheticTokenizersKnowEveryByte() throws IOException {
        SyntheticModel.llama().vocabulary(259).tokenizer().write(folder);
        try (HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.newInstance(
                folder.resolve("tokenizer.json"), Map.of("truncation", "false", "padding", "false"))) {
            String text = "a b\n\u00fc \ud83d\ude00</s>";
            long[] ids = tokenizer.encode(text).getIds();
            assertThat(ids)
                    .startsWith(1, 3 + 'a', 3 + ' ', 3 + 'b', 3 + '\n', 3 + 0xc3, 3 + 0xbc)
                    .endsWith(2);
            assertThat(ids).hasSize(1 + 4 + 2 + 1 + 4 + 1);
            assertThat(tokenizer.decode(ids, true)).isEqualTo("a b\n\u00fc \ud83d\ude00");
        }
        assertThatThrownBy(
                        () -> SyntheticModel.llama().vocabulary(258).tokenizer().write(folder))
                .isInstanceOf(IllegalArgumentException.class);
    }

    private void assertRefused(String... words) {
        assertThatThrownBy(() -> LanguageModel.open(folder).close())
                .isInstanceOf(IOException.class)
                .hasMessageContainingAll(words);
    }

    /** Writes the weights again as {@code change} leaves them. */
    private void rewrite(Consumer<Map<String, NDArray>> change) throws IOException {
        Path file = folder.resolve("model.safetensors");
        Map<String, NDArray> tensors = new LinkedHashMap<>();
        try (NDManager manager = TensorEngine.newManager()) {
            try (Safetensors read = Safetensors.open(file)) {
                for (String name : read.entries().keySet()) {
                    tensors.put(name, read.load(manager, name));
                }
            }
            change.accept(tensors);
            SafetensorsWriter.write(file, tensors, Map.of());
        }
    }
}
