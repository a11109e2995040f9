package dev.ptq.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.artifact.Variant;
import dev.ptq.data.TextFile;
import dev.ptq.evaluate.OmniquantStream;
import dev.ptq.evaluate.Perplexity.ChunkLoss;
import dev.ptq.evaluate.PerplexityProtocol;
import dev.ptq.evaluate.PerplexitySettings;
import dev.ptq.stage.ChunkTable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LossDifferencesTest {
    private static final String OWN = "perplexity/t/loss_over/";
    private static final String PLAIN = "round_to_nearest/perplexity/t/loss_over/full_precision";

    @TempDir
    Path run;

    private final Map<Variant, Double> losses = new LinkedHashMap<>();

    @Test
    void givesTheShareOfALossAndNoneOfAGain() {
        assertThat(LossDifferences.recovered(1, 3, 1.5).getAsDouble()).isCloseTo(0.75, within(1e-12));
        assertThat(LossDifferences.recovered(1, 3, 4).getAsDouble()).isCloseTo(-0.5, within(1e-12));
        assertThat(LossDifferences.recovered(3, 3, 2)).isEmpty();
        assertThat(LossDifferences.recovered(3, 2, 1)).isEmpty();
    }

    /** Losses that differ by the same in every chunk leave nothing to doubt, however hard the chunks are. */
    @Test
    void comparesEachVariantWithThoseBeforeIt() throws IOException {
        write(Variant.FULL_PRECISION, chunk(1), chunk(5), chunk(3));
        write(Variant.ROUND_TO_NEAREST, chunk(2), chunk(6), chunk(4));
        write(Variant.QUANTIZED, chunk(1.25), chunk(5.25), chunk(3.25));

        Map<String, Double> metrics = metrics(PerplexityProtocol.GPTQ);

        assertThat(metrics)
                .containsOnlyKeys(
                        PLAIN,
                        PLAIN + "/low",
                        PLAIN + "/high",
                        OWN + "full_precision",
                        OWN + "full_precision/low",
                        OWN + "full_precision/high",
                        OWN + "round_to_nearest",
                        OWN + "round_to_nearest/low",
                        OWN + "round_to_nearest/high",
                        "loss_recovered/t",
                        "loss_recovered/t/low",
                        "loss_recovered/t/high");
        metrics.forEach((name, value) -> assertThat(value)
                .as(name)
                .isCloseTo(
                        name.startsWith("loss_recovered")
                                ? 0.75
                                : name.startsWith(PLAIN) ? 1 : name.startsWith(OWN + "full") ? 0.25 : -0.75,
                        within(1e-12)));
    }

    @Test
    void equalVariantsDifferByNothing() throws IOException {
        write(Variant.FULL_PRECISION, chunk(1), chunk(5), chunk(3));
        write(Variant.QUANTIZED, chunk(1), chunk(5), chunk(3));

        assertThat(metrics(PerplexityProtocol.GPTQ))
                .containsExactly(
                        Map.entry(OWN + "full_precision", 0.0),
                        Map.entry(OWN + "full_precision/low", 0.0),
                        Map.entry(OWN + "full_precision/high", 0.0));
    }

    @Test
    void oneChunkHasNoIntervals() throws IOException {
        write(Variant.FULL_PRECISION, chunk(1));
        write(Variant.ROUND_TO_NEAREST, chunk(3));
        write(Variant.QUANTIZED, chunk(2));

        assertThat(metrics(PerplexityProtocol.GPTQ))
                .containsExactly(
                        Map.entry(PLAIN, 2.0),
                        Map.entry(OWN + "full_precision", 1.0),
                        Map.entry(OWN + "round_to_nearest", -1.0),
                        Map.entry("loss_recovered/t", 0.5));
    }

    @Test
    void aVariantAloneHasNoDifferences() throws IOException {
        losses.put(Variant.QUANTIZED, 2.0);
        assertThat(metrics(PerplexityProtocol.GPTQ)).isEmpty();
    }

    /** Two chunks are left, each alone in its batch, whose differences are 1 and 2. */
    @Test
    void chunksWithoutAScoredTokenAreLeftOut() throws IOException {
        ChunkLoss padding = new ChunkLoss(Double.NaN, 0);
        write(Variant.FULL_PRECISION, padding, new ChunkLoss(4, 2), new ChunkLoss(4, 4), padding);
        write(Variant.QUANTIZED, padding, new ChunkLoss(5, 2), new ChunkLoss(6, 4), padding);

        assertThat(Files.readAllLines(run.resolve("evaluate/quantized/t/chunks.csv")))
                .containsExactly("chunk,loss,tokens", "0,,0", "1,5.0,2", "2,6.0,4", "3,,0");
        assertThat(metrics(PerplexityProtocol.LQER))
                .hasEntrySatisfying(
                        OWN + "full_precision", value -> assertThat(value).isCloseTo(1.5, within(1e-12)))
                .containsEntry(OWN + "full_precision/low", 1.0)
                .containsEntry(OWN + "full_precision/high", 2.0);
    }

    @Test
    void otherChunksAreRefused() throws IOException {
        write(Variant.FULL_PRECISION, chunk(1), chunk(2));
        write(Variant.QUANTIZED, chunk(1));
        String expected = run.resolve("evaluate/quantized/t/chunks.csv")
                + ": not the chunks of full_precision: their tokens differ; make both again with --force evaluate";

        assertThatIOException()
                .isThrownBy(() -> metrics(PerplexityProtocol.GPTQ))
                .withMessage(expected);
        write(Variant.QUANTIZED, chunk(1), new ChunkLoss(2, 6));
        assertThatIOException()
                .isThrownBy(() -> metrics(PerplexityProtocol.GPTQ))
                .withMessage(expected);
    }

    @Test
    void damagedTablesAreNamed() throws IOException {
        write(Variant.FULL_PRECISION, chunk(1), chunk(2));
        write(Variant.QUANTIZED, chunk(1), chunk(2));
        Path file = run.resolve("evaluate/quantized/t/chunks.csv");

        Files.writeString(file, "chunk,loss\n0,1.0\n");
        assertThatIOException()
                .isThrownBy(() -> metrics(PerplexityProtocol.GPTQ))
                .withMessage(file + ": expected a table of chunk, loss, tokens");
        Files.writeString(file, "chunk,loss,tokens\n0,much,7\n");
        assertThatIOException()
                .isThrownBy(() -> metrics(PerplexityProtocol.GPTQ))
                .withMessage(file + ": expected a loss and a count of tokens, got [0, much, 7]");
    }

    private static ChunkLoss chunk(double loss) {
        return new ChunkLoss(loss, 7);
    }

    /** Writes what the evaluation of a variant leaves, in batches of two. */
    private void write(Variant variant, ChunkLoss... chunks) throws IOException {
        Path directory = Files.createDirectories(run.resolve("evaluate/" + variant.label() + "/t"));
        ChunkTable.write(directory, List.of(chunks));
        List<ChunkLoss> scored = new ArrayList<>(List.of(chunks));
        scored.removeIf(chunk -> chunk.tokens() == 0);
        losses.put(
                variant, scored.stream().mapToDouble(ChunkLoss::mean).average().orElseThrow());
    }

    private Map<String, Double> metrics(PerplexityProtocol protocol) throws IOException {
        TextFile text = new TextFile("t.txt", TextFile.Layout.DOCUMENT, "");
        PerplexitySettings settings = new PerplexitySettings(
                "t", text, 8, protocol, OmniquantStream.WIKITEXT2, OptionalInt.empty(), 2, false);
        Map<String, Double> metrics = new LinkedHashMap<>();
        LossDifferences.of(run, settings, losses)
                .metrics()
                .forEach((name, value) -> metrics.put(name.key(), ((Number) value).doubleValue()));
        return metrics;
    }
}
