package dev.ptq.evaluate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import dev.ptq.config.ConfigException;
import dev.ptq.data.Tokenizer;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.BlockRunner.BlockChange;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Scoring;
import dev.ptq.model.SyntheticModel;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TextSamplerTest {
    private static final int POSITIONS = 16;
    private static final TokenChoice GREEDY = new TokenChoice(0, 1);
    /** So hot that all 259 tokens are about as likely. */
    private static final TokenChoice ANY = new TokenChoice(100, 1);

    @TempDir
    Path folder;

    private LanguageModel model;
    private BlockRunner runner;

    @BeforeEach
    void open() throws IOException {
        SyntheticModel.llama().vocabulary(259).positions(POSITIONS).tokenizer().write(folder);
        model = LanguageModel.open(folder);
        runner = new BlockRunner(model, BlockChange.none(), true);
    }

    @AfterEach
    void close() throws IOException {
        runner.close();
        model.close();
    }

    /** To more than twice the model's positions, of which it sees the last ones. */
    @Test
    void greedyTextFollowsTheLargestLogits() throws IOException {
        int[] expected = {1, 3 + 'a', 3 + 'b'};
        int[] prompt = expected;
        while (expected.length < prompt.length + 2 * POSITIONS) {
            int[] seen = Arrays.copyOfRange(expected, Math.max(0, expected.length - POSITIONS), expected.length);
            expected = Arrays.copyOf(expected, expected.length + 1);
            expected[expected.length - 1] = largestOfLastRow(seen);
        }

        assertThat(sampled(prompt, 2 * POSITIONS, GREEDY, 0)).isEqualTo(expected);
        assertThat(sampled(prompt, 2 * POSITIONS, GREEDY, 1)).isEqualTo(expected);
    }

    private int largestOfLastRow(int[] ids) throws IOException {
        try (HiddenStates states = model.embed(new int[][] {ids}, 1);
                BlockRunner fresh = new BlockRunner(model, BlockChange.none(), false)) {
            fresh.run(states, ActivationObserver.NONE, Progress.Reporter.none().start("", 1, ""));
            try (NDArray logits = Scoring.logits(model, states, 0)) {
                float[] all = logits.toFloatArray();
                int vocabulary = all.length / ids.length;
                int last = all.length - vocabulary;
                return IntStream.range(0, vocabulary)
                        .reduce((best, token) -> all[last + token] > all[last + best] ? token : best)
                        .getAsInt();
            }
        }
    }

    @Test
    void theSeedDecidesTheText() throws IOException {
        int[] prompt = {1, 3 + 'a'};
        int[] first = sampled(prompt, 40, ANY, 3);

        assertThat(first).hasSize(42).startsWith(prompt);
        assertThat(sampled(prompt, 40, ANY, 3)).isEqualTo(first);
        assertThat(sampled(prompt, 40, ANY, 4)).isNotEqualTo(first);
        assertThat(sampled(prompt, 20, ANY, 3)).isEqualTo(Arrays.copyOf(first, 22));
    }

    @Test
    void theTextEndsBeforeTheEndToken() throws IOException {
        int[] prompt = {1};
        int[] endless = sampled(prompt, 400, ANY, 5);
        Files.writeString(folder.resolve("tokenizer_config.json"), "{\"eos_token\": \"</s>\"}");

        int end = IntStream.range(0, endless.length)
                .filter(position -> endless[position] == 2)
                .findFirst()
                .getAsInt();
        assertThat(sampled(prompt, 400, ANY, 5)).isEqualTo(Arrays.copyOf(endless, end));
    }

    @Test
    void keepsThePromptAsItIsAndPrintsNoSpecialToken() throws IOException {
        try (Tokenizer tokenizer = Tokenizer.open(folder)) {
            TextSampler sampler = new TextSampler(model, runner, tokenizer);
            for (String prompt : new String[] {"", " two  spaces ", "é\n"}) {
                String text = sampler.continued(prompt, 120, ANY, 6, Progress.Reporter.none());

                assertThat(text).startsWith(prompt).doesNotContain("<s>", "</s>", "<unk>");
                assertThat(text.length()).isBetween(prompt.length() + 111, prompt.length() + 120);
            }
        }
        assertThat(Arrays.stream(sampled(new int[] {1}, 120, ANY, 6)).skip(1))
                .as("special tokens among those that were sampled")
                .anyMatch(token -> token < 3);
    }

    @Test
    void anEmptyPromptNeedsATokenBeforeIt() throws IOException {
        Path file = folder.resolve("tokenizer.json");
        Files.writeString(
                file,
                Files.readString(file)
                        .replaceAll("(?s)\"post_processor\" : \\{.*?\\n  }", "\"post_processor\" : null"));
        try (Tokenizer tokenizer = Tokenizer.open(folder)) {
            TextSampler sampler = new TextSampler(model, runner, tokenizer);

            assertThatThrownBy(() -> sampler.continued("", 1, GREEDY, 0, Progress.Reporter.none()))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageStartingWith("the prompt has no tokens");
            assertThat(sampler.continued("a", 1, GREEDY, 0, Progress.Reporter.none()))
                    .startsWith("a");
        }
    }

    private int[] sampled(int[] prompt, int tokens, TokenChoice choice, long seed) throws IOException {
        try (Tokenizer tokenizer = Tokenizer.open(folder)) {
            return new TextSampler(model, runner, tokenizer)
                    .extended(prompt, tokens, choice, seed, Progress.Reporter.none());
        }
    }
}
