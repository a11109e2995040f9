package dev.ptq.evaluate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import dev.ptq.artifact.Metric;
import dev.ptq.data.TextFile;
import dev.ptq.data.Tokenizer;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.BlockRunner.BlockChange;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.ResumeState;
import dev.ptq.model.Scoring;
import dev.ptq.model.SyntheticModel;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RollingWindowsTest {
    @TempDir
    Path folder;

    @Test
    void eachTokenIsScoredOnce() {
        int[] letters = IntStream.range(1, 13).toArray();
        List<Request> windows = RollingWindows.of(0, letters, 5);

        // inputs P a b c d | e f g h i | g h i j k and what follows
        assertThat(windows.stream().map(window -> Arrays.toString(window.ids())))
                .containsExactly("[0, 1, 2, 3, 4, 5]", "[5, 6, 7, 8, 9, 10]", "[7, 8, 9, 10, 11, 12]");
        assertThat(windows.stream().map(Request::scored)).containsExactly(5, 5, 2);
        assertThat(RollingWindows.of(0, new int[0], 5)).isEmpty();
        for (int tokens = 1; tokens < 30; tokens++) {
            for (int most = 1; most < 12; most++) {
                List<Integer> scored = new ArrayList<>();
                for (Request window :
                        RollingWindows.of(0, IntStream.rangeClosed(1, tokens).toArray(), most)) {
                    assertThat(window.ids().length - 1).isLessThanOrEqualTo(most);
                    for (int i = window.ids().length - window.scored(); i < window.ids().length; i++) {
                        scored.add(window.ids()[i]);
                    }
                }
                assertThat(scored)
                        .isEqualTo(IntStream.rangeClosed(1, tokens).boxed().toList());
            }
        }
    }

    @Test
    void perplexityIsThatOfAllTokensOfTheDocuments() throws IOException {
        SyntheticModel.llama().vocabulary(259).positions(64).tokenizer().write(folder);
        Files.writeString(folder.resolve("tokenizer_config.json"), "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\"}");
        List<String> documents = List.of("a heron  stood\nby the lamp", "x", "", "quiet ä seven ".repeat(9));
        Path text = folder.resolve("text.jsonl");
        StringBuilder lines = new StringBuilder();
        documents.forEach(row ->
                lines.append("{\"text\": \"").append(row.replace("\n", "\\n")).append("\"}\n"));
        Files.writeString(text, lines);
        PerplexitySettings settings = new PerplexitySettings(
                "t",
                new TextFile(text.toString(), TextFile.Layout.LINES, "text"),
                32,
                PerplexityProtocol.ROLLING,
                OmniquantStream.WIKITEXT2,
                OptionalInt.empty(),
                2,
                false);
        try (LanguageModel model = LanguageModel.open(folder);
                Tokenizer tokenizer = Tokenizer.open(folder);
                BlockRunner runner = new BlockRunner(model, BlockChange.none(), true)) {
            int[][] ids = Perplexity.chunks(settings, tokenizer, 64, 259);
            Perplexity.Result result = Perplexity.evaluate(
                    new Perplexity.Models(model, runner),
                    settings,
                    ids,
                    tokenizer.padId(),
                    ResumeState.none(),
                    Progress.Reporter.none());

            double sum = 0;
            int tokens = 0;
            for (String document : documents) {
                int[] own = tokenizer.encodePlain(document);
                for (int end = 0; end < own.length; ) {
                    // windows of 32: after the start token, or the last 32 tokens before what is scored last
                    int next = Math.min(own.length, end + 32);
                    int[] whole = IntStream.concat(IntStream.of(1), Arrays.stream(own))
                            .toArray();
                    int[] input = Arrays.copyOfRange(whole, Math.max(0, next - 32), next);
                    sum += loss(model, runner, input, own, end, next);
                    tokens += next - end;
                    end = next;
                }
            }
            assertThat(result.scoredTokens()).isEqualTo(tokens);
            assertThat(result.chunks()).hasSize(3);
            assertThat(result.loss()).isCloseTo(sum / tokens, within(1e-5));
            int bytes = documents.stream()
                    .mapToInt(row -> row.getBytes(StandardCharsets.UTF_8).length)
                    .sum();
            // 6 and 1 words, then 27 and what is left after the last space
            assertThat(Perplexity.metrics(settings, result))
                    .hasEntrySatisfying(Metric.WORD_PERPLEXITY, near(Math.exp(result.loss() * tokens / (6 + 1 + 28))))
                    .hasEntrySatisfying(Metric.BYTE_PERPLEXITY, near(Math.exp(result.loss() * tokens / bytes)))
                    .hasEntrySatisfying(Metric.BITS_PER_BYTE, near(result.loss() * tokens / bytes / Math.log(2)));
        }
    }

    private static java.util.function.Consumer<Double> near(double expected) {
        return value -> assertThat(value / expected).isCloseTo(1, within(1e-9));
    }

    /** The losses of the tokens from one place to another, the last of which follows the input. */
    private static double loss(LanguageModel model, BlockRunner runner, int[] input, int[] tokens, int from, int to)
            throws IOException {
        try (HiddenStates states = model.embed(new int[][] {input}, 1)) {
            runner.run(states, ActivationObserver.NONE, Progress.Reporter.none().start("", 1, ""));
            try (NDArray logits = Scoring.logits(model, states, 0)) {
                float[] values = logits.toFloatArray();
                int width = values.length / input.length;
                double sum = 0;
                for (int target = from; target < to; target++) {
                    int row = input.length - (to - target);
                    double all = 0;
                    for (int i = 0; i < width; i++) {
                        all += Math.exp(values[row * width + i]);
                    }
                    sum += Math.log(all) - values[row * width + tokens[target]];
                }
                return sum;
            }
        }
    }
}
