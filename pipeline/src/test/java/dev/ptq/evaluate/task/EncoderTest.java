package dev.ptq.evaluate.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIOException;

import dev.ptq.config.ConfigException;
import dev.ptq.data.Tokenizer;
import dev.ptq.evaluate.Request;
import dev.ptq.model.SyntheticModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

class EncoderTest {
    @TempDir
    Path folder;

    private static Encoder.Encoded encode(String task, int maxTokens, boolean bos, TextRequest... asked) {
        TasksSettings settings = TestSettings.of("names = ['" + task + "']");
        Document document = new Document(
                settings.tasks().get(0),
                7,
                "file:3",
                JsonMapper.shared().createObjectNode(),
                List.of(asked),
                List.of(),
                0,
                "",
                "");
        return new Encoder(ToyModel.encoding(bos), maxTokens, settings).encode(document);
    }

    private static String shown(Request request) {
        StringBuilder text = new StringBuilder();
        int[] ids = request.ids();
        for (int i = 0; i < ids.length; i++) {
            text.append(i == ids.length - request.scored() ? "|" : "");
            text.append(ids[i] == ToyModel.PREFIX ? "<>" : Character.toString(ids[i]));
        }
        return text.toString();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '/',
            quoteCharacter = '"',
            value = {
                // context, continuation, without and with a start token
                "\"ab\" / \" cd\" / \"ab| cd\" / \"<>ab| cd\"",
                "\"ab  \" / \"cd\" / \"ab|  cd\" / \"<>ab|  cd\"",
                "\"\" / \"cd\" / \"<>|cd\" / \"<>|cd\"",
                "\" \" / \"cd\" / \"<>| cd\" / \"<>| cd\"",
                "\"ab\" / \" \" / \"ab| \" / \"<>ab| \""
            })
    void cutsContextAndContinuation(String context, String continuation, String plain, String withStart) {
        TextRequest asked = new TextRequest(context, continuation);
        assertThat(shown(encode("piqa", 99, false, asked).requests().get(0))).isEqualTo(plain);
        assertThat(shown(encode("piqa", 99, true, asked).requests().get(0))).isEqualTo(withStart);
    }

    @Test
    void cutsFromTheLeftAndCounts() {
        Encoder.Encoded encoded = encode(
                "piqa",
                4,
                true,
                new TextRequest("abc", "d"),
                new TextRequest("abcd", "e"),
                new TextRequest("abcd", "efgh"));
        assertThat(encoded.requests().stream().map(EncoderTest::shown).toList())
                .containsExactly("<>abc|d", "abcd|e", "d|efgh");
        assertThat(encoded.truncated()).isEqualTo(2);
        assertThat(encoded.tokens()).isEqualTo(15);
    }

    @Test
    void refusesWhatCannotBeScored() {
        assertWrong(
                () -> encode("piqa", 4, true, new TextRequest("abc", "defgh")),
                "expected a continuation of at most 4 tokens, as many as the model takes, got 5");
        assertWrong(
                () -> encode("piqa", 4, true, new TextRequest("abc", "")),
                "expected a continuation to score, got \"\", which has no tokens");
        assertWrong(
                () -> encode("piqa", 4, true, new TextRequest("", "")),
                "expected a continuation to score, got \"\", which has no tokens");
    }

    private static void assertWrong(Runnable encoding, String message) {
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(encoding::run)
                .withMessage("file:3: piqa, document 7: " + message);
    }

    @Test
    void aPrefixThatIsThereAlreadyIsTheContext() {
        TasksSettings settings = TestSettings.of("names = ['lambada_openai']");
        TextEncoding oneLetterIsThePrefix = new TextEncoding() {
            @Override
            public int[] encode(String text) {
                throw new AssertionError("no context, so no special tokens");
            }

            @Override
            public int[] encodePlain(String text) {
                return ToyModel.encoding(false).encodePlain(text);
            }

            @Override
            public int prefix() {
                return 'a';
            }
        };
        Encoder encoder = new Encoder(oneLetterIsThePrefix, 9, settings);
        assertThat(shown(encoder.encode(document(settings, "abc")).requests().get(0)))
                .isEqualTo("a|bc");
        assertThat(shown(encoder.encode(document(settings, "bc")).requests().get(0)))
                .isEqualTo("a|bc");
        assertThatExceptionOfType(ConfigException.class).isThrownBy(() -> encoder.encode(document(settings, "a")));
    }

    private static Document document(TasksSettings settings, String continuation) {
        return new Document(
                settings.tasks().get(0),
                0,
                "",
                JsonMapper.shared().createObjectNode(),
                List.of(new TextRequest("", continuation)),
                List.of(),
                0,
                "",
                "");
    }

    /** The example of the rules: twelve tokens, five at a time. */
    @Test
    void windowsScoreEachTokenOnce() {
        assertThat(encode("wikitext", 5, true, new TextRequest("", "abcdefghijkl")).requests().stream()
                        .map(EncoderTest::shown)
                        .toList())
                .containsExactly("<>|abcde", "e|fghij", "ghij|kl");
        assertThat(encode("wikitext", 5, true, new TextRequest("", "abcde")).requests().stream()
                        .map(EncoderTest::shown)
                        .toList())
                .containsExactly("<>|abcde");
        assertThat(encode("wikitext", 1, false, new TextRequest("", "ab")).requests().stream()
                        .map(EncoderTest::shown)
                        .toList())
                .containsExactly("<>|a", "a|b");
        assertThat(encode("wikitext", 5, true, new TextRequest("", "")).requests())
                .isEmpty();
    }

    /** What the tokenizer of a model folder does, by profile and {@code add_bos}: its ids are bytes and 3. */
    @ParameterizedTest
    @CsvSource({
        "harness-0.4, , 1, 1 100",
        "harness-0.4, false, 1, 100",
        "harness-0.4, true, 1, 1 100",
        "lqer-0.3, , 2, 100",
        "lqer-0.3, true, 2, 1 100",
        "lqer-0.3, false, 2, 100"
    })
    void specialTokensAreAsTheProfileHasThem(String profile, String addBos, int prefix, String ids) throws IOException {
        TasksSettings settings = TestSettings.of(
                "names = ['piqa']\nprofile = '" + profile + "'" + (addBos == null ? "" : "\nadd_bos = " + addBos));
        try (Tokenizer tokenizer = tokenizer("{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\"}")) {
            TextEncoding encoding = TextEncoding.of(tokenizer, settings);
            assertThat(encoding.prefix()).isEqualTo(prefix);
            assertThat(encoding.encode("a")).isEqualTo(ints(ids));
            assertThat(encoding.encodePlain("a")).containsExactly(100);
            assertThat(encoding.encode("<s>a")).containsExactly(1, 100);
        }
    }

    @Test
    void aTokenizerThatAddsNoStartTokenIsTakenAsItIs() throws IOException {
        SyntheticModel.llama().vocabulary(259).tokenizer().write(folder);
        Path file = folder.resolve("tokenizer.json");
        ObjectNode json = (ObjectNode) JsonMapper.shared().readTree(Files.readString(file));
        json.putNull("post_processor");
        Files.writeString(file, json.toString());
        Files.writeString(folder.resolve("tokenizer_config.json"), "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\"}");
        try (Tokenizer tokenizer = Tokenizer.open(folder)) {
            assertThat(TextEncoding.of(tokenizer, TestSettings.of("names = ['piqa']"))
                            .encode("a"))
                    .containsExactly(100);
            assertThat(TextEncoding.of(tokenizer, TestSettings.of("names = ['piqa']\nadd_bos = true"))
                            .encode("a"))
                    .containsExactly(1, 100);
        }
    }

    @Test
    void theEndOfTextTokenStandsInForTheStartToken() throws IOException {
        try (Tokenizer tokenizer = tokenizer("{\"eos_token\": \"</s>\"}")) {
            assertThat(TextEncoding.of(tokenizer, TestSettings.of("names = ['piqa']"))
                            .prefix())
                    .isEqualTo(2);
            assertThatIOException()
                    .isThrownBy(() -> TextEncoding.of(tokenizer, TestSettings.of("names = ['piqa']\nadd_bos = true")))
                    .withMessage(
                            "the tokenizer has no start token, which tasks need; name it in tokenizer_config.json");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"harness-0.4", "lqer-0.3"})
    void aTokenizerNeedsOneOfThem(String profile) throws IOException {
        TasksSettings settings = TestSettings.of("names = ['piqa']\nprofile = '" + profile + "'");
        try (Tokenizer tokenizer = tokenizer("{}")) {
            assertThatIOException()
                    .isThrownBy(() -> TextEncoding.of(tokenizer, settings))
                    .withMessage(
                            "the tokenizer has no end-of-text token, which tasks need; name it in tokenizer_config.json");
        }
    }

    private Tokenizer tokenizer(String config) throws IOException {
        SyntheticModel.llama().vocabulary(259).tokenizer().write(folder);
        Files.writeString(folder.resolve("tokenizer_config.json"), config);
        return Tokenizer.open(folder);
    }

    private static int[] ints(String ids) {
        return Arrays.stream(ids.split(" ", -1)).mapToInt(Integer::parseInt).toArray();
    }
}
