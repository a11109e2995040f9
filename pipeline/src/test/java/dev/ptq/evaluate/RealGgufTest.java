package dev.ptq.evaluate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDManager;
import dev.ptq.data.Tokenizer;
import dev.ptq.gguf.Gguf;
import dev.ptq.model.LanguageModel;
import dev.ptq.tensor.Shared;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Two real GGUF files against the folders that the transformers library made of them, where the folder {@code
 * PTQ_REAL_MODELS} has both, {@code NAME/NAME.gguf} beside the other files.
 */
@Tag("slow")
class RealGgufTest {
    private static Path folder(String name) {
        String models = System.getenv("PTQ_REAL_MODELS");
        assumeTrue(models != null, "PTQ_REAL_MODELS names no folder");
        Path folder = Path.of(models, name);
        assumeTrue(Files.exists(folder.resolve(name + Gguf.ENDING)), "no GGUF file in " + folder);
        return folder;
    }

    private static Path file(String name) {
        return folder(name).resolve(name + Gguf.ENDING);
    }

    @ParameterizedTest
    @ValueSource(strings = {"smollm2-135m", "gemma3-270m"})
    void weightsAreThoseOfTheFolder(String name) throws IOException {
        try (LanguageModel made = LanguageModel.open(folder(name));
                LanguageModel direct = LanguageModel.open(file(name))) {
            assertThat(direct.config().vocabulary()).isEqualTo(made.config().vocabulary());
            assertThat(direct.weights().names())
                    .containsExactlyInAnyOrderElementsOf(made.weights().names());
            for (String tensor : direct.weights().names()) {
                try (NDManager manager = TensorEngine.newManager()) {
                    assertThat(direct.weights()
                                    .load(manager, tensor)
                                    .contentEquals(made.weights().load(manager, tensor)))
                            .as(tensor)
                            .isTrue();
                }
            }
        }
    }

    /**
     * What the transformers library makes of SmolLM2's file does not cut numbers into digits, as the original tokenizer
     * and llama.cpp do. No token has two digits, so it shows at other numbers alone: after a space, ½ goes with it.
     */
    @ParameterizedTest
    @ValueSource(strings = {"smollm2-135m", "gemma3-270m"})
    void tokensOfWholeTextsAreThoseOfTheFolder(String name) throws IOException {
        Optional<Path> data = Shared.find("data");
        assumeTrue(data.isPresent());
        List<Path> texts;
        try (Stream<Path> files = Files.walk(data.get())) {
            texts = files.filter(file -> file.toString().endsWith(".txt")).toList();
        }
        assertThat(texts).isNotEmpty();
        List<String> differences = new ArrayList<>();
        try (Tokenizer made = Tokenizer.open(folder(name));
                Tokenizer direct = Tokenizer.open(file(name))) {
            for (Path text : texts) {
                String content = Files.readString(text);
                if (name.startsWith("smollm2")) {
                    content = content.replaceAll("[\\p{N}&&[^0-9]]", "");
                }
                int[] expected = made.encode(content);
                int[] ids = direct.encode(content);
                int at = Arrays.mismatch(expected, ids);
                if (at >= 0) {
                    differences.add(text + " of " + expected.length + " and " + ids.length + " tokens at " + at + ": "
                            + made.decode(Arrays.copyOfRange(expected, Math.max(0, at - 5), at + 5)));
                }
            }
        }
        assertThat(differences).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"smollm2-135m", "gemma3-270m"})
    void tokensOfShortTextsAreThoseOfLlamaCpp(String name) throws IOException {
        Optional<Path> facts = Shared.find("golden/checkpoints/real-gguf/" + name + ".json");
        assumeTrue(facts.isPresent());
        try (Tokenizer tokenizer = Tokenizer.open(file(name))) {
            for (JsonNode text : JsonMapper.shared()
                    .readTree(Files.readAllBytes(facts.get()))
                    .path("tokenizer")) {
                int[] ids = new int[text.path("ids").size()];
                Arrays.setAll(ids, i -> text.path("ids").path(i).asInt());
                assertThat(tokenizer.encode(text.path("text").asString()))
                        .as(text.path("text").asString())
                        .isEqualTo(ids);
            }
        }
    }
}
