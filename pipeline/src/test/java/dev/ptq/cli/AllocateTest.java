package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commands {@code sensitivity} and {@code allocate}, and runs of what the latter writes. */
class AllocateTest {
    private static final String MODEL = """
            [model]
            path = "DIR/llama"
            """ + TinyExperiment.CALIBRATED;

    private static final String WEIGHT = """
            [quantization.weight]
            format = "int"
            bits = 3
            granularity = "group"
            group_size = 16
            """;

    private static final String TEXT = """
            [evaluation]
            baselines = []
            [[evaluation.perplexity]]
            name = "tales"
            dataset = "DIR/text.txt"
            seq_len = 24
            max_samples = 6
            """;

    @TempDir
    private Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void write() throws IOException {
        tiny = new TinyExperiment(folder);
    }

    private static String choice(int bits, int rank) {
        return "{ weight = { format = \"int\", bits = " + bits
                + ", granularity = \"group\", group_size = 16, symmetric = true }, rank = " + rank + " }";
    }

    private Outcome allocate(String run, List<String> budgets, List<String> choices, String... more) {
        List<String> arguments = new ArrayList<>(List.of("allocate", run));
        budgets.forEach(budget -> arguments.addAll(List.of("--budget", budget)));
        choices.forEach(choice -> arguments.addAll(List.of("--choice", choice)));
        arguments.addAll(List.of("--out", "DIR/out.toml", "--results", "DIR/results"));
        arguments.addAll(List.of(more));
        return tiny.execute(arguments.toArray(String[]::new));
    }

    private static void requireSuccess(Outcome outcome) {
        assertThat(outcome.code()).as(outcome.err()).isZero();
    }

    private Outcome sensitivity(String config, String tag, String... more) throws IOException {
        tiny.config(config);
        List<String> arguments =
                new ArrayList<>(List.of("sensitivity", "DIR/config.toml", tag, "--results", "DIR/results"));
        arguments.addAll(List.of(more));
        return tiny.execute(arguments.toArray(String[]::new));
    }

    @Test
    void scoresEveryLinearAndComparesThemWithTheTruth() throws IOException {
        Outcome outcome = sensitivity(MODEL + WEIGHT, "sens", "--truth");

        requireSuccess(outcome);
        assertThat(tiny.rows("sens/sensitivity/layers.csv")).hasSize(14);
        assertThat(tiny.rows("sens/truth/layers.csv")).hasSize(14);
        assertThat(tiny.rows("sens/correlations.csv"))
                .containsOnlyKeys("weight_error", "output_error", "gradient", "fisher");
        Map<String, Double> metrics = tiny.metrics("sens");
        assertThat(metrics.get("rank_correlation/fisher")).isBetween(-1.0, 1.0);
        assertThat(outcome.out())
                .contains("rank correlation (Spearman)")
                .contains("  fisher       " + "%.3f".formatted(metrics.get("rank_correlation/fisher")));
        Outcome again = sensitivity(MODEL + WEIGHT, "sens", "--truth");
        assertThat(again.out()).isEqualTo(outcome.out());
        requireSuccess(sensitivity(MODEL + WEIGHT, "other"));
        assertThat(tiny.stages("other", "reused"))
                .containsOnlyKeys("calibrate", "sensitivity")
                .containsValue("true");
    }

    /** The errors are those that the run of the same config has. */
    @Test
    void weightErrorsAreThoseOfTheRun() throws IOException {
        requireSuccess(sensitivity(MODEL + WEIGHT, "sens"));
        requireSuccess(tiny.run(MODEL + WEIGHT, "run"));
        try (Safetensors model = Safetensors.open(folder.resolve("llama/model.safetensors"))) {
            for (Map.Entry<String, String> row :
                    tiny.rows("run/quantize/layers.csv").entrySet()) {
                String[] cells = row.getValue().split(",", -1);
                double relative = Double.parseDouble(cells[cells.length - 1]);
                double norm = 0;
                for (float value : model.floats(row.getKey() + ".weight")) {
                    norm += (double) value * value;
                }
                String[] scores = Objects.requireNonNull(
                                tiny.rows("sens/sensitivity/layers.csv").get(row.getKey()))
                        .split(",", -1);
                assertThat(Double.parseDouble(scores[5])).isCloseTo(relative * relative * norm, within(1e-4 * norm));
            }
        }
    }

    private static double value(Map<String, Double> metrics, String name) {
        return Objects.requireNonNull(metrics.get(name), name);
    }

    private static double predicted(Outcome outcome, String title) {
        Matcher matcher = Pattern.compile(title + ": ([0-9.e+]+)").matcher(outcome.out());
        assertThat(matcher.find()).as(outcome.out()).isTrue();
        return Double.parseDouble(matcher.group(1));
    }

    private Map<String, Double> runOfWritten(String tag) throws IOException {
        requireSuccess(tiny.execute("run", "DIR/out.toml", tag, "--results", "DIR/results"));
        return tiny.metrics(tag);
    }

    @Test
    void theRunOfWhatIsWrittenKeepsTheBudget() throws IOException {
        requireSuccess(tiny.run(MODEL + WEIGHT + TEXT, "run"));
        for (double budget : new double[] {3.5, 4.25, 5.1}) {
            Outcome outcome = allocate(
                    "DIR/results/run",
                    List.of("bits_per_weight=" + budget),
                    List.of(choice(2, 0), choice(3, 0), choice(3, 2), choice(4, 0), choice(4, 4), choice(6, 0)));
            requireSuccess(outcome);
            Map<String, Double> metrics = runOfWritten("mixed-" + budget);

            assertThat(metrics.get("bits_per_weight")).isBetween(budget - 0.05, budget);
            assertThat(metrics.get("bits_per_weight")).isCloseTo(predicted(outcome, "bits per weight"), within(1e-4));
            assertThat(value(metrics, "bops_per_token") / predicted(outcome, "bit operations per token"))
                    .isCloseTo(1, within(1e-4));
            assertThat(value(metrics, "bytes_per_token") / predicted(outcome, "bytes per token"))
                    .isCloseTo(1, within(1e-4));
            assertThat(tiny.rows("mixed-" + budget + "/allocation/layers.csv")).hasSize(14);
        }
        assertThat(Files.readString(folder.resolve("out.toml"))).contains("[allocation]", "score = \"fisher\"");
        requireSuccess(tiny.execute("verify", "DIR/results/mixed-4.25"));
        requireSuccess(tiny.execute("report", "DIR/results"));
        assertThat(Files.readString(folder.resolve("results/report.html")))
                .contains("id=\"allotment\"", "mixed-4.25: bits per weight by block", "id=\"bops\"");
        assertThat(tiny.execute("collect", "DIR/results")
                        .out()
                        .lines()
                        .findFirst()
                        .orElseThrow())
                .contains("bops_per_token,bytes_per_token,bits_per_weight")
                .doesNotContain("allocation");
    }

    @Test
    void everyRankHasAStep() throws IOException {
        requireSuccess(tiny.run(MODEL + WEIGHT, "run"));
        requireSuccess(
                allocate("DIR/results/run", List.of("bits_per_weight=4.5"), List.of(choice(2, 4), choice(2, 12))));
        Map<String, Double> metrics = runOfWritten("ranks");

        assertThat(metrics.get("bits_per_weight")).isBetween(4.4, 4.5);
        assertThat(Files.readString(folder.resolve("out.toml")))
                .contains("method = \"qera_exact\"", "rank = 4\n", "rank = 12\n")
                .doesNotContain("quantization.override");
        assertThat(tiny.rows("ranks/approximate/layers.csv")).hasSize(14);
    }

    @Test
    void severalBudgetsHoldAtOnce() throws IOException {
        String step = """
                [[approximation]]
                method = "l2qer"
                rank = 8
                factor = { format = "mxint", bits = 6, block_size = [16, 1] }
                """;
        requireSuccess(tiny.run(MODEL + step + WEIGHT + TEXT, "run"));
        List<String> choices = List.of(choice(2, 0), choice(3, 0), choice(3, 4), choice(4, 0));
        requireSuccess(allocate("DIR/results/run", List.of("bits_per_weight=4.2"), choices));
        double before = value(runOfWritten("one"), "bops_per_token");
        double limit = 0.97 * before;
        requireSuccess(allocate("DIR/results/run", List.of("bits_per_weight=4.2", "bops_per_token=" + limit), choices));
        Map<String, Double> metrics = runOfWritten("two");

        assertThat(metrics.get("bops_per_token")).isBetween(0.95 * limit, limit);
        assertThat(metrics.get("bits_per_weight")).isLessThanOrEqualTo(4.2);
        // the correction is the run's own
        assertThat(Files.readString(folder.resolve("out.toml"))).doesNotContain("qera");
    }

    @Test
    void saysWhatIsWrong() throws IOException {
        requireSuccess(tiny.run(MODEL + WEIGHT, "run"));
        List<String> two = List.of(choice(2, 0), choice(4, 0));
        String run = "DIR/results/run";

        assertThat(allocate(run, List.of("bits_per_weight=2.1"), two))
                .isEqualTo(new Outcome(
                        2,
                        "",
                        "--budget bits_per_weight=2.1: out of reach, the choices allow 3 to 5; raise it, or add a smaller"
                                + " choice\n"));
        assertThat(allocate(run, List.of("bits=3"), two).err())
                .isEqualTo("--budget bits=3: expected one of [bits_per_weight, bops_per_token, bytes_per_token] and a"
                        + " number, such as bits_per_weight=3.25\n");
        assertThat(allocate(run, List.of("bits_per_weight=nan"), two).err())
                .isEqualTo("--budget bits_per_weight=nan: expected a number above 0 after bits_per_weight=\n");
        assertThat(allocate(run, List.of("bits_per_weight=3", "bits_per_weight=4"), two)
                        .err())
                .contains("there are two of bits_per_weight");
        assertThat(allocate(run, List.of("bits_per_weight=3"), List.of(choice(2, 0)))
                        .err())
                .contains("expected at least two, of which each linear gets one, got 1");
        assertThat(allocate(run, List.of("bits_per_weight=3"), List.of(choice(2, 0), choice(3, 500)))
                        .err())
                .isEqualTo("--choice 2: no linear allows it: model.layers.0.self_attn.q_proj.weight: rank 500 is more"
                        + " than 64, its smaller side\n");
        assertThat(allocate(run, List.of("bits_per_weight=3"), List.of(choice(2, 0), "{ weigth = 3 }"))
                        .err())
                .contains("--choice 2", "weigth: unknown key; did you mean \"weight\"?");
        assertThat(allocate(run, List.of("bits_per_weight=4"), two, "--score", "taste")
                        .err())
                .contains("--score taste: expected one of [weight_error, output_error, gradient, fisher]");
        assertThat(allocate("DIR/nowhere", List.of("bits_per_weight=4"), two).err())
                .contains(
                        "DIR/nowhere: expected the directory of a run, or its tag in DIR/results; found no manifest.json");
        assertThat(folder.resolve("out.toml")).doesNotExist();
    }

    @Test
    void needsCalibrationAndWeightsAsTheyAre() throws IOException {
        String bare = MODEL.substring(0, MODEL.indexOf("[calibration]"));
        requireSuccess(tiny.run(bare + WEIGHT, "bare"));
        Outcome outcome =
                allocate("DIR/results/bare", List.of("bits_per_weight=4"), List.of(choice(2, 0), choice(4, 0)));
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err())
                .isEqualTo("DIR/results/bare/resolved.toml: scores of linears are taken on calibration samples: add a"
                        + " [calibration] section\n");
        String rotated = "[[approximation]]\nmethod = \"quarot\"\n";
        assertThat(sensitivity(MODEL + rotated + WEIGHT, "x").err())
                .contains("quarot changes weights before they are rounded");
        String trained = "[[approximation]]\nmethod = \"flexround\"\niterations = 1\n";
        assertThat(sensitivity(MODEL + trained + WEIGHT, "x").err()).contains("flexround");
        assertThat(sensitivity(MODEL, "x").err()).contains("nothing is rounded, so no weight has an error");
    }
}
