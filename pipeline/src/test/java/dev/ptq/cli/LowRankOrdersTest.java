package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.cli.TinyExperiment.Outcome;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Low-rank parts in different orders, from a config to its figures. */
class LowRankOrdersTest {
    private static final String MODEL = """
            seed = 3
            [model]
            path = "DIR/llama"
            """ + TinyExperiment.CALIBRATED;

    private static final String W3A4 = """
            [quantization.weight]
            format = "mxint"
            bits = 3
            [quantization.activation]
            format = "mxint"
            bits = 4
            [[evaluation.perplexity]]
            name = "tales"
            dataset = "DIR/text.txt"
            seq_len = 24
            max_samples = 6
            """;

    private static final String LOSS = "perplexity/tales/loss";
    private static final String BITS = "bits_per_weight";

    @TempDir
    private Path folder;

    private static String step(String method, String keys) {
        return "[[approximation]]\nmethod = '" + method + "'\n" + keys.replace(";", "\n") + "\n";
    }

    private static Map<String, Double> figures(TinyExperiment tiny, String tag, String... steps) throws IOException {
        Outcome outcome = tiny.run(MODEL + String.join("", steps) + W3A4, tag);
        assertThat(outcome.code()).as(outcome.err()).isZero();
        return tiny.metrics(tag);
    }

    @Test
    void eoraBehindGptqIsQeraExact() throws IOException {
        TinyExperiment tiny = new TinyExperiment(folder);
        String keys = "rank = 4;inputs = 'true_sequential';factor = { format = 'mxint', bits = 8 }";
        Map<String, Double> eora = figures(tiny, "eora", step("gptq", ""), step("eora", keys));
        Map<String, Double> qera = figures(tiny, "qera", step("gptq", ""), step("qera_exact", keys));
        Map<String, Double> alone = figures(tiny, "gptq", step("gptq", ""));

        assertThat(eora.get(LOSS)).isEqualTo(qera.get(LOSS)).isNotEqualTo(alone.get(LOSS));
        assertThat(eora.get(BITS)).isEqualTo(qera.get(BITS));
        assertThat(tiny.rows("eora/approximate/layers.csv").values()).anyMatch(row -> row.contains(",eora,"));
    }

    /** The path beside the rest of the weight reads what the rest's input was, and GPTQ rounds that rest. */
    @Test
    void svdquantStandsBetweenSmoothingAndRounding() throws IOException {
        TinyExperiment tiny = new TinyExperiment(folder);
        String smoothed = step("smoothquant", "");
        Map<String, Double> unrounded = figures(tiny, "unrounded", smoothed, step("svdquant", "rank = 8"));
        Map<String, Double> rounded =
                figures(tiny, "rounded", smoothed, step("svdquant", "rank = 8;path_input = 'rounded'"));
        Map<String, Double> gptq =
                figures(tiny, "gptq", smoothed, step("svdquant", "rank = 8;alternate = 2"), step("gptq", ""));

        assertThat(unrounded.get(LOSS)).isNotEqualTo(rounded.get(LOSS)).isNotEqualTo(gptq.get(LOSS));
        assertThat(unrounded.get(BITS)).isEqualTo(gptq.get(BITS)).isEqualTo(rounded.get(BITS));
        assertThat(unrounded.get("transform_distance")).isBetween(0.0, 1e-4);
        assertThat(figures(tiny, "again", smoothed, step("svdquant", "rank = 8")))
                .isEqualTo(unrounded);
    }

    @Test
    void aSharedFactorIsCountedOnce() throws IOException {
        TinyExperiment tiny = new TinyExperiment(folder);
        Map<String, Double> own = figures(tiny, "own", step("qera_exact", "rank = 4;factor = { format = 'none' }"));
        Map<String, Double> shared = figures(
                tiny, "shared", step("qera_exact", "rank = 4;factor = { format = 'none' };shared_factor = true"));
        // in each block two of three [64, 4] and one of two are saved, beside the weights
        double weights = 64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 112;
        assertThat(bits(own) - bits(shared)).isCloseTo(3 * 64 * 4 * 32 / weights, within(1e-6));
        assertThat(shared.get(LOSS)).isNotEqualTo(own.get(LOSS));
    }

    private static double bits(Map<String, Double> figures) {
        return Objects.requireNonNull(figures.get(BITS));
    }

    /** The share of the rank, the repetition that was kept and the losses have columns. */
    @Test
    void layersSayWhatWasFound() throws IOException {
        TinyExperiment tiny = new TinyExperiment(folder);
        figures(tiny, "srr", step("srr", "rank = 8;alternate = 2;shared_factor = true;inputs = 'quantized'"));
        String[] header = Files.readAllLines(tiny.result("srr/approximate/layers.csv"))
                .get(0)
                .split(",", -1);
        assertThat(header).contains("split_rank", "loss_separate", "best_step", "steps");
        assertThat(tiny.rows("srr/approximate/layers.csv")).hasSize(14).allSatisfy((module, row) -> {
            String[] cells = row.split(",", -1);
            assertThat(cells).hasSameSizeAs(header);
            assertThat(number(header, cells, "split_rank")).isIn(0.0, 2.0, 4.0, 6.0, 8.0);
            assertThat(number(header, cells, "steps")).isEqualTo(2);
            assertThat(number(header, cells, "loss_final"))
                    .isPositive()
                    .isLessThanOrEqualTo(number(header, cells, "loss_rtn"));
        });
    }

    private static double number(String[] header, String[] cells, String column) {
        return Double.parseDouble(cells[Arrays.asList(header).indexOf(column)]);
    }
}
