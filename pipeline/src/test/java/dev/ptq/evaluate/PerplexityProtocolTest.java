package dev.ptq.evaluate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import dev.ptq.data.TextFile;
import dev.ptq.data.Tokenizer;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.BlockRunner.BlockChange;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.ResumeState;
import dev.ptq.model.SyntheticModel;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PerplexityProtocolTest {
    @TempDir
    Path folder;

    @Test
    void gptqWeighsChunksAndLqerBatches() {
        double[] sums = {10, 20, 60};
        int[] counts = {10, 10, 10};

        assertThat(PerplexityProtocol.GPTQ.meanLoss(sums, counts, 2)).isEqualTo((1 + 2 + 6) / 3.0);
        assertThat(PerplexityProtocol.LQER.meanLoss(sums, counts, 2)).isEqualTo((1.5 + 6) / 2);
        assertThat(PerplexityProtocol.LQER.meanLoss(sums, counts, 1)).isEqualTo(3);
        assertThat(PerplexityProtocol.LQER.meanLoss(sums, counts, 8)).isEqualTo(3);
    }

    /** Within a batch every scored token counts the same. */
    @Test
    void maskedLabelsLeaveTheirChunkLessWeightInItsBatch() {
        assertThat(PerplexityProtocol.LQER.meanLoss(new double[] {10, 2}, new int[] {10, 1}, 2))
                .isEqualTo(12.0 / 11);
    }

    /** The mean loss is that of the chunks with these weights. */
    @Test
    void chunksWeighAsMuchAsTheyDoInTheMean() {
        int[] counts = {10, 10, 5};

        assertThat(PerplexityProtocol.GPTQ.weights(counts, 2)).containsExactly(1.0 / 3, 1.0 / 3, 1.0 / 3);
        assertThat(PerplexityProtocol.LQER.weights(counts, 2)).containsExactly(0.25, 0.25, 0.5);
        assertThat(PerplexityProtocol.LQER.weights(counts, 8)).containsExactly(0.4, 0.4, 0.2);
    }

    @Test
    void whatHasNoScoredTokenIsLeftOut() {
        int[] counts = {0, 10, 0, 0, 5};
        double[] sums = {0, 20, 0, 0, 5};

        assertThat(PerplexityProtocol.LQER.weights(counts, 2)).containsExactly(0, 0.5, 0, 0, 0.5);
        assertThat(PerplexityProtocol.LQER.meanLoss(sums, counts, 2)).isEqualTo(1.5);
        assertThat(PerplexityProtocol.LQER.meanLoss(sums, counts, 1)).isEqualTo(1.5);
        assertThat(PerplexityProtocol.LQER.meanLoss(sums, counts, 5)).isCloseTo(25 / 15.0, within(1e-15));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> PerplexityProtocol.LQER.weights(new int[2], 1))
                .withMessage("no chunk has a scored token");
    }

    @Test
    void lqerTakesWholeBatchesOnly() {
        OptionalInt seven = OptionalInt.of(7);
        assertThat(PerplexityProtocol.GPTQ.limited(100, seven, 4)).isEqualTo(7);
        assertThat(PerplexityProtocol.LQER.limited(100, seven, 4)).isEqualTo(4);
        assertThat(PerplexityProtocol.GPTQ.limited(5, seven, 4)).isEqualTo(5);
        assertThat(PerplexityProtocol.LQER.limited(3, seven, 4)).isEqualTo(3);
        assertThat(PerplexityProtocol.LQER.limited(5, OptionalInt.empty(), 4)).isEqualTo(5);
    }

    @Test
    void evaluatesByItsRules() throws IOException {
        SyntheticModel.llama().vocabulary(259).positions(16).tokenizer().write(folder);
        Files.writeString(folder.resolve("tokenizer_config.json"), "{\"eos_token\": \"</s>\"}");
        Path text =
                Files.writeString(folder.resolve("text.txt"), "seven lions</s> and a half moon </s></s> sing at noon");
        try (LanguageModel model = LanguageModel.open(folder);
                Tokenizer tokenizer = Tokenizer.open(folder);
                BlockRunner runner = new BlockRunner(model, BlockChange.none(), true)) {
            Perplexity.Result plain = evaluate(model, runner, tokenizer, text, PerplexityProtocol.GPTQ, 2);
            Perplexity.Result masked = evaluate(model, runner, tokenizer, text, PerplexityProtocol.LQER, 2);

            int[] ids = tokenizer.encode(Files.readString(text));
            int chunks = ids.length / 8;
            int ends = 0;
            for (int i = 0; i < chunks * 8; i++) {
                ends += i % 8 != 0 && ids[i] == 2 ? 1 : 0;
            }
            assertThat(chunks).isEqualTo(5);
            assertThat(ends).isPositive();
            assertThat(plain.chunks()).hasSize(chunks).allMatch(chunk -> chunk.tokens() == 7);
            assertThat(plain.scoredTokens()).isEqualTo(chunks * 7L);
            assertThat(masked.scoredTokens()).isEqualTo(chunks * 7L - ends);
            assertThat(masked.chunks().stream()
                            .mapToLong(Perplexity.ChunkLoss::tokens)
                            .sum())
                    .isEqualTo(chunks * 7L - ends);
            double mean = plain.chunks().stream()
                    .mapToDouble(Perplexity.ChunkLoss::mean)
                    .average()
                    .orElseThrow();
            assertThat(plain.loss()).isCloseTo(mean, within(1e-12));
            assertThat(plain.perplexity()).isEqualTo(Math.exp(plain.loss()));
            Perplexity.Result onePerBatch = evaluate(model, runner, tokenizer, text, PerplexityProtocol.GPTQ, 1);
            assertThat(onePerBatch.loss()).isCloseTo(plain.loss(), within(1e-6));
        }
    }

    @Test
    void aChunkOfPaddingHasNoLossAndATextOfItIsRefused() throws IOException {
        SyntheticModel.llama().vocabulary(259).positions(16).tokenizer().write(folder);
        Files.writeString(folder.resolve("tokenizer_config.json"), "{\"eos_token\": \"</s>\"}");
        Path padding = Files.writeString(folder.resolve("padding.txt"), "</s>".repeat(12));
        Path text = Files.writeString(folder.resolve("text.txt"), "</s>".repeat(12) + "and a half moon");
        try (LanguageModel model = LanguageModel.open(folder);
                Tokenizer tokenizer = Tokenizer.open(folder);
                BlockRunner runner = new BlockRunner(model, BlockChange.none(), true)) {
            Perplexity.Result result = evaluate(model, runner, tokenizer, text, PerplexityProtocol.LQER, 1);

            assertThat(result.chunks().get(0)).isEqualTo(new Perplexity.ChunkLoss(Double.NaN, 0));
            assertThat(result.chunks().stream().filter(chunk -> chunk.tokens() > 0))
                    .isNotEmpty();
            assertThat(result.loss()).isFinite();
            assertThatExceptionOfType(ConfigException.class)
                    .isThrownBy(() ->
                            Perplexity.chunks(settings(padding, PerplexityProtocol.LQER, 8, 1), tokenizer, 16, 259))
                    .withMessage(padding + ": every token to be predicted is padding, which protocol lqer leaves out;"
                            + " take another text or protocol");
            assertThat(Perplexity.chunks(settings(padding, PerplexityProtocol.GPTQ, 8, 1), tokenizer, 16, 259))
                    .isNotEmpty();
        }
    }

    @Test
    void wantsAWholeChunk() throws IOException {
        SyntheticModel.llama().vocabulary(259).tokenizer().write(folder);
        Path text = Files.writeString(folder.resolve("text.txt"), "short");
        try (Tokenizer tokenizer = Tokenizer.open(folder)) {
            assertThat(Perplexity.chunks(settings(text, PerplexityProtocol.GPTQ, 6, 1), tokenizer, 16, 259))
                    .hasDimensions(1, 6);
            assertThatExceptionOfType(ConfigException.class)
                    .isThrownBy(
                            () -> Perplexity.chunks(settings(text, PerplexityProtocol.GPTQ, 7, 1), tokenizer, 16, 259))
                    .withMessage(text + ": the text is shorter than one chunk of 7 tokens; lower seq_len or take a"
                            + " longer text");
        }
    }

    @Test
    void readsAndChecksItsKeys() throws IOException {
        Path text = Files.writeString(folder.resolve("my text.txt"), "");
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> read("dataset = '" + text + "'\nprotocol = 'gptqq'\nmax_samples = 0"))
                .satisfies(wrong -> assertThat(wrong.problems())
                        .containsExactly(
                                "x:1:1: name: expected letters, digits, - and _, got \"my text\"",
                                "x:2:1: protocol: expected one of [gptq, lqer, omniquant, rolling], got \"gptqq\"; did you mean \"gptq\"?",
                                "x:3:1: max_samples: expected a whole number of at least 1, got 0"));
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> read(
                        "dataset = '" + text + "'\nname = 'n'\nprotocol = 'lqer'\nmax_samples = 3\nbatch_size = 4"))
                .withMessage("x:4:1: max_samples: expected at least batch_size 4, got 3");
        assertThat(read("dataset = '" + text + "'\nname = 'n'"))
                .isEqualTo(new PerplexitySettings(
                        "n",
                        new TextFile(text.toString(), TextFile.Layout.DOCUMENT, ""),
                        2048,
                        PerplexityProtocol.GPTQ,
                        OmniquantStream.WIKITEXT2,
                        OptionalInt.empty(),
                        4,
                        false));
    }

    @Test
    void unwantedLengthsAreRefused() {
        assertThatIOException()
                .isThrownBy(() -> Perplexity.requireLength(17, 16))
                .withMessage("seq_len 17 is more than the model's 16 positions");
    }

    private static PerplexitySettings read(String toml) {
        ConfigTable table = ConfigTable.parse(toml, "x", List.of(), PerplexitySettings.SECTION);
        PerplexitySettings settings = PerplexitySettings.read(table);
        table.finish();
        return settings;
    }

    private static PerplexitySettings settings(Path text, PerplexityProtocol protocol, int seqLen, int batchSize) {
        TextFile file = new TextFile(text.toString(), TextFile.Layout.DOCUMENT, "");
        return new PerplexitySettings(
                "text", file, seqLen, protocol, OmniquantStream.WIKITEXT2, OptionalInt.empty(), batchSize, false);
    }

    private static Perplexity.Result evaluate(
            LanguageModel model,
            BlockRunner runner,
            Tokenizer tokenizer,
            Path text,
            PerplexityProtocol protocol,
            int batchSize)
            throws IOException {
        PerplexitySettings settings = settings(text, protocol, 8, batchSize);
        int[][] chunks = Perplexity.chunks(settings, tokenizer, 16, 259);
        return Perplexity.evaluate(
                new Perplexity.Models(model, runner),
                settings,
                chunks,
                tokenizer.padId(),
                ResumeState.none(),
                Progress.Reporter.none());
    }
}
