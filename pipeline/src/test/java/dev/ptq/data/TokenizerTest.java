package dev.ptq.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.ptq.model.SyntheticModel;
import dev.ptq.tensor.Shared;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class TokenizerTest {
    @TempDir
    Path folder;

    @Test
    void givesTheReferenceIdsOfEveryText() throws IOException {
        Optional<Path> model = Shared.find("models/stories260k");
        Optional<Path> file = Shared.find("golden/tokenizer_cases.json");
        assumeTrue(model.isPresent() && file.isPresent());
        JsonNode cases = JsonMapper.shared().readTree(Files.readString(file.get()));
        try (Tokenizer tokenizer = Tokenizer.open(model.get())) {
            for (JsonNode one : cases) {
                String text = one.get("text").asString();
                int[] expected = StreamSupport.stream(one.get("ids").spliterator(), false)
                        .mapToInt(JsonNode::asInt)
                        .toArray();
                assertThat(tokenizer.encode(text)).as(text).isEqualTo(expected);
            }
        }
        assertThat(cases).isNotEmpty();
    }

    @Test
    void encodesBytesAfterTheStartTokenAndDecodesThem() throws IOException {
        try (Tokenizer tokenizer = open("")) {
            assertThat(tokenizer.encode("aé")).containsExactly(1, 3 + 'a', 3 + 0xc3, 3 + 0xa9);
            assertThat(tokenizer.encodePlain("aé")).containsExactly(3 + 'a', 3 + 0xc3, 3 + 0xa9);
            assertThat(tokenizer.encode("")).containsExactly(1);
            assertThat(tokenizer.decode(new int[] {3 + 'a', 3 + 0xc3, 3 + 0xa9}))
                    .isEqualTo("aé");
        }
    }

    @Test
    void neverCutsALongTextNorPadsAShortOne() throws IOException {
        String text = "0123456789".repeat(1000);
        try (Tokenizer tokenizer = open("{\"model_max_length\": 512}")) {
            assertThat(tokenizer.encode(text)).hasSize(1 + text.getBytes(StandardCharsets.UTF_8).length);
            assertThat(tokenizer.encode("a")).hasSize(2);
        }
    }

    /** The end-of-text token stands in where there is no padding token or it is the unknown one. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '~',
            nullValues = "none",
            value = {
                "{\"pad_token\": \"</s>\", \"eos_token\": \"<s>\"} | 2",
                "{\"pad_token\": null, \"eos_token\": \"</s>\"} | 2",
                "{\"pad_token\": \"<unk>\", \"eos_token\": {\"content\": \"</s>\"}} | 2",
                "{\"pad_token\": {\"content\": \"<s>\"}, \"eos_token\": \"</s>\"} | 1",
                "{\"eos_token\": \"more than one token\"} | none",
                "{} | none"
            })
    void choosesThePaddingTokenAsLqerDoes(String config, Integer expected) throws IOException {
        try (Tokenizer tokenizer = open(config)) {
            assertThat(tokenizer.padId().stream().boxed().findFirst()).isEqualTo(Optional.ofNullable(expected));
        }
    }

    @Test
    void knowsNoPaddingTokenWithoutItsConfig() throws IOException {
        try (Tokenizer tokenizer = open("")) {
            assertThat(tokenizer.padId()).isEmpty();
        }
    }

    @Test
    void knowsTheEndOfTextToken() throws IOException {
        try (Tokenizer tokenizer = open("{\"eos_token\": {\"content\": \"</s>\"}, \"pad_token\": \"<s>\"}")) {
            assertThat(tokenizer.endId()).hasValue(2);
        }
        try (Tokenizer tokenizer = open("{\"eos_token\": null}")) {
            assertThat(tokenizer.endId()).isEmpty();
        }
    }

    @Test
    void knowsTheStartToken() throws IOException {
        try (Tokenizer tokenizer = open("{\"bos_token\": {\"content\": \"<s>\"}}")) {
            assertThat(tokenizer.startId()).hasValue(1);
            assertThat(tokenizer.startText()).isEqualTo("<s>");
        }
        for (String none : new String[] {"{}", "{\"bos_token\": null}", ""}) {
            try (Tokenizer tokenizer = open(none)) {
                assertThat(tokenizer.startId()).isEmpty();
                assertThat(tokenizer.startText()).isEmpty();
            }
        }
    }

    @Test
    void specialTokensHaveNoText() throws IOException {
        try (Tokenizer tokenizer = open("")) {
            assertThat(tokenizer.decode(new int[] {1, 3 + 'a', 0, 3 + 'b', 2})).isEqualTo("ab");
            assertThat(tokenizer.decode(new int[] {1})).isEmpty();
            assertThat(tokenizer.decode(new int[0])).isEmpty();
        }
    }

    @Test
    void namesTheFileThatIsMissingOrBroken() throws IOException {
        assertThatIOException()
                .isThrownBy(() -> Tokenizer.open(folder))
                .withMessage(folder.resolve("tokenizer.json")
                        + ": no such file; a model folder needs its tokenizer in this form");
        Files.writeString(folder.resolve("tokenizer.json"), "{");
        assertThatIOException()
                .isThrownBy(() -> Tokenizer.open(folder))
                .withMessageStartingWith(folder.resolve("tokenizer.json") + ": ");
        SyntheticModel.llama().vocabulary(259).tokenizer().write(folder);
        Files.writeString(folder.resolve("tokenizer_config.json"), "{");
        assertThatIOException()
                .isThrownBy(() -> Tokenizer.open(folder))
                .withMessageStartingWith(folder.resolve("tokenizer_config.json") + ": not valid JSON: ");
    }

    private Tokenizer open(String config) throws IOException {
        SyntheticModel.llama().vocabulary(259).tokenizer().write(folder);
        if (!config.isEmpty()) {
            Files.writeString(folder.resolve("tokenizer_config.json"), config);
        }
        return Tokenizer.open(folder);
    }
}
