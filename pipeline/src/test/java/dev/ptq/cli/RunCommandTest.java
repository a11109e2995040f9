package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.model.SyntheticModel;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.JsonNode;

/** Whole runs from the command line. */
class RunCommandTest {
    @TempDir
    Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
    }

    @Test
    void corporaAreKnownByName() throws IOException {
        String config = TinyExperiment.CONFIG
                .replaceFirst("DIR/text.txt\"", "dickens\"\nsplit = \"validation\"")
                .replaceFirst("(?s)name = \"tales\"\ndataset = \"DIR/text.txt\"", "dataset = \"europarl\"");
        Outcome outcome = tiny.run(config, "test");
        tiny.run(config, "validation", "--set", "evaluation.perplexity.europarl.split=validation");

        assertThat(outcome.err()).isEmpty();
        assertThat(tiny.metrics("test")).containsKey("perplexity/europarl");
        assertThat(tiny.metrics("test").get("perplexity/europarl"))
                .isNotEqualTo(tiny.metrics("validation").get("perplexity/europarl"));
        assertThat(tiny.json("test/manifest.json").at("/program/sources/texts").propertyNames())
                .containsExactlyInAnyOrder("dickens/validation", "europarl/test");
        assertThat(tiny.result("test/resolved.toml")).content().contains("split = \"test\"");
        assertThat(tiny.stages("validation", "fingerprint").get("calibrate"))
                .isEqualTo(tiny.stages("test", "fingerprint").get("calibrate"));
        assertThat(tiny.stages("validation", "fingerprint").get("evaluate/quantized/europarl"))
                .isNotEqualTo(tiny.stages("test", "fingerprint").get("evaluate/quantized/europarl"));
    }

    /** A run that takes hours is no reason not to prepare the next one in the same file. */
    @Test
    void theConfigIsKeptAsItWasWhenTheRunBegan() throws IOException {
        Path config = tiny.config(TinyExperiment.CONFIG);
        String before = Files.readString(config);
        CompletableFuture<Outcome> run = CompletableFuture.supplyAsync(
                () -> tiny.execute("run", "DIR/config.toml", "x", "--results", "DIR/results"));
        while (!run.isDone() && !Files.exists(tiny.result(".cache"))) {
            Thread.onSpinWait();
        }
        Files.writeString(config, "edited = true");

        assertThat(run.join().code()).isZero();
        assertThat(tiny.result("x/config.toml")).hasContent(before);
    }

    @Test
    void leavesTheFilesItPromises() throws IOException {
        Outcome outcome = tiny.run(TinyExperiment.CONFIG, "first");

        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        assertThat(outcome.out()).contains("tales", "bits per weight: ").endsWith("results: DIR/results/first\n");
        try (Stream<Path> files = Files.walk(tiny.result("first"))) {
            Set<String> names = files.filter(Files::isRegularFile)
                    .map(file -> tiny.result("first").relativize(file).toString())
                    .collect(Collectors.toSet());
            assertThat(names)
                    .containsExactlyInAnyOrder(
                            "config.toml",
                            "resolved.toml",
                            "manifest.json",
                            "metrics.json",
                            "ledger.csv",
                            "log.txt",
                            "calibrate/statistics.safetensors",
                            "calibrate/ledger.csv",
                            "approximate/ledger.csv",
                            "approximate/low_rank.safetensors",
                            "approximate/singular_values.safetensors",
                            "approximate/layers.csv",
                            "quantize/layers.csv",
                            "quantize/ledger.csv",
                            "quantize/weights.json",
                            "quantize/metrics.json",
                            "cost/layers.csv",
                            "cost/metrics.json",
                            "evaluate/results.json",
                            "evaluate/full_precision/tales/scores.json",
                            "evaluate/full_precision/tales/chunks.csv",
                            "evaluate/round_to_nearest/tales/scores.json",
                            "evaluate/round_to_nearest/tales/chunks.csv",
                            "evaluate/quantized/tales/scores.json",
                            "evaluate/quantized/tales/chunks.csv");
        }
        assertThat(tiny.result("first/config.toml")).hasSameTextualContentAs(folder.resolve("config.toml"));
        assertThat(tiny.metrics("first"))
                .containsOnlyKeys(
                        "perplexity/tales",
                        "perplexity/tales/loss",
                        "perplexity/tales/seq_len",
                        "perplexity/tales/chunks",
                        "perplexity/tales/tokens",
                        "perplexity/tales/loss_over/full_precision",
                        "perplexity/tales/loss_over/full_precision/low",
                        "perplexity/tales/loss_over/full_precision/high",
                        "perplexity/tales/loss_over/round_to_nearest",
                        "perplexity/tales/loss_over/round_to_nearest/low",
                        "perplexity/tales/loss_over/round_to_nearest/high",
                        "round_to_nearest/perplexity/tales/loss_over/full_precision",
                        "round_to_nearest/perplexity/tales/loss_over/full_precision/low",
                        "round_to_nearest/perplexity/tales/loss_over/full_precision/high",
                        "full_precision/perplexity/tales",
                        "full_precision/perplexity/tales/loss",
                        "round_to_nearest/perplexity/tales",
                        "round_to_nearest/perplexity/tales/loss",
                        "ledger/saturated",
                        "bits_per_weight",
                        "bops_per_token",
                        "bytes_per_token",
                        "cost_context",
                        "mean_relative_weight_error")
                .containsEntry("perplexity/tales/chunks", 6.0)
                .containsEntry("perplexity/tales/tokens", 6 * 23.0);
        assertThat(tiny.rows("first/approximate/layers.csv")).hasSize(14);
        assertThat(tiny.rows("first/quantize/layers.csv")).hasSize(14);
        assertThat(tiny.rows("first/evaluate/quantized/tales/chunks.csv")).hasSize(6);
        assertThat(tiny.json("first/manifest.json")
                        .path("program")
                        .path("sources")
                        .propertyNames())
                .contains("seed", "model", "tokenizer");
    }

    /** Against what the other files say of the same errors. */
    @Test
    void keepsTheSingularValuesOfEveryError() throws IOException {
        tiny.run(TinyExperiment.CONFIG, "first");

        Map<String, String> rows = tiny.rows("first/approximate/layers.csv");
        try (Safetensors weights = Safetensors.open(folder.resolve("llama/model.safetensors"));
                Safetensors values = Safetensors.open(tiny.result("first/approximate/singular_values.safetensors"))) {
            assertThat(values.entries()).hasSize(2 * 14);
            for (Map.Entry<String, String> row : rows.entrySet()) {
                String[] cells = row.getValue().split(",", -1);
                float[] scaled = values.floats(row.getKey() + ".scaled_error");
                float[] unscaled = values.floats(row.getKey() + ".error");
                double weight = energy(weights.floats(row.getKey() + ".weight"), Integer.MAX_VALUE);
                double error = energy(unscaled, Integer.MAX_VALUE);
                assertThat(scaled)
                        .hasSameSizeAs(unscaled)
                        .hasSize(Math.min(Integer.parseInt(cells[2]), Integer.parseInt(cells[3])));
                assertThat(Math.sqrt(error / weight))
                        .as(row.getKey())
                        .isCloseTo(Double.parseDouble(cells[5]), within(1e-5));
                assertThat(energy(scaled, 4) / energy(scaled, Integer.MAX_VALUE))
                        .as(row.getKey())
                        .isCloseTo(Double.parseDouble(cells[7]), within(1e-5));
            }
        }
    }

    private static double energy(float[] values, int count) {
        return IntStream.range(0, Math.min(count, values.length))
                .mapToDouble(i -> (double) values[i] * values[i])
                .sum();
    }

    @ParameterizedTest
    @CsvSource({
        "singular_values=false, false",
        "solver=randomized, false",
        "solver=randomized singular_values=true, true",
        "method=lqer, true"
    })
    void singularValuesAreKeptWhereTheyAreAskedFor(String settings, boolean kept) throws IOException {
        List<String> options = new ArrayList<>();
        for (String setting : settings.split(" ", -1)) {
            options.add("--set");
            options.add("approximation.0." + setting);
        }
        Outcome outcome = tiny.run(TinyExperiment.CONFIG, "first", options.toArray(String[]::new));

        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        assertThat(Files.exists(tiny.result("first/approximate/singular_values.safetensors")))
                .isEqualTo(kept);
        assertThat(tiny.result("first/resolved.toml")).content().contains("singular_values = " + kept);
    }

    @Test
    void comparesPredictionsWithThoseInFullPrecision() throws IOException {
        String[] asked = {"--set", "evaluation.perplexity.tales.divergence=true"};
        tiny.run(TinyExperiment.CONFIG, "plain");
        Outcome outcome = tiny.run(TinyExperiment.CONFIG, "asked", asked);
        tiny.run(
                TinyExperiment.CONFIG.replaceFirst("(?s)\\[\\[approximation.*\\[evaluation]", "[evaluation]"),
                "exact",
                asked);

        assertThat(outcome.out()).contains("against full precision", "tales, this run", "tales, round to nearest");
        Map<String, Double> metrics = tiny.metrics("asked");
        assertThat(metrics.get("perplexity/tales"))
                .isEqualTo(tiny.metrics("plain").get("perplexity/tales"));
        for (String variant : new String[] {"", "round_to_nearest/"}) {
            String name = variant + "perplexity/tales/";
            assertThat(metrics.get(name + "kl_divergence")).isBetween(1e-5, 1.0);
            assertThat(metrics.get(name + "top1_agreement")).isBetween(0.3, 0.999);
        }
        assertThat(tiny.metrics("exact"))
                .containsEntry("perplexity/tales/kl_divergence", 0.0)
                .containsEntry("perplexity/tales/top1_agreement", 1.0);
        assertThat(metrics).doesNotContainKey("full_precision/perplexity/tales/kl_divergence");
        assertThat(tiny.rows("asked/evaluate/quantized/tales/divergences.csv")).hasSize(6);
        assertThat(tiny.stages("asked", "fingerprint").get("evaluate/full_precision/tales"))
                .isEqualTo(tiny.stages("plain", "fingerprint").get("evaluate/full_precision/tales"));
    }

    /** A matrix of a wide input takes more room than all else: none is gathered that no step looks at. */
    @Test
    void matricesAreGatheredOfWhatAStepCorrects() throws IOException {
        String exact = TinyExperiment.CONFIG.replace("l2qer", "qera_exact");
        String some = exact.replace("rank = 4", """
            rank = 4
            pattern = '.*0.*(k|down)_proj.*'
            [[approximation]]
            method = "qera_approx"
            rank = 4
            pattern = '.*up_proj.*'
            """);
        assertThat(tiny.run(exact, "all").code()).isZero();
        assertThat(tiny.run(some, "some").code()).isZero();

        try (Safetensors all = Safetensors.open(tiny.result("all/calibrate/statistics.safetensors"));
                Safetensors found = Safetensors.open(tiny.result("some/calibrate/statistics.safetensors"))) {
            Set<String> matrices = Set.of("blocks.0.attn_in.hessian", "blocks.0.mlp_mid.hessian");
            assertThat(found.entries().keySet().stream().filter(name -> name.endsWith("hessian")))
                    .containsExactlyInAnyOrderElementsOf(matrices);
            assertThat(found.entries().keySet().stream().filter(name -> name.endsWith("second_moment")))
                    .hasSameSizeAs(all.entries().keySet());
            for (String name : matrices) {
                assertThat(found.floats(name)).isEqualTo(all.floats(name));
            }
        }
        try (Safetensors all = Safetensors.open(tiny.result("all/approximate/low_rank.safetensors"));
                Safetensors found = Safetensors.open(tiny.result("some/approximate/low_rank.safetensors"))) {
            List<String> exactly = found.entries().keySet().stream()
                    .filter(name -> !name.contains("up_proj"))
                    .toList();
            assertThat(exactly).hasSize(4);
            for (String name : exactly) {
                assertThat(found.floats(name)).isEqualTo(all.floats(name));
            }
        }
    }

    @Test
    void keepsItsLog() throws IOException {
        Logger stages = (Logger) LoggerFactory.getLogger("dev.ptq.stage");
        stages.setLevel(Level.INFO);
        try {
            tiny.run(TinyExperiment.CONFIG, "first");
        } finally {
            stages.setLevel(null);
        }
        assertThat(Files.readAllLines(tiny.result("first/log.txt")))
                .anyMatch(
                        line -> line.matches("[-0-9]{10}T[:.0-9]{12}Z INFO  QuantizeStage: quantize: 14 linears, .*"));
    }

    @Test
    void theResolvedConfigRepeatsTheRun() throws IOException {
        tiny.run(TinyExperiment.CONFIG, "first", "--set", "approximation.l2qer.rank=5");
        Outcome again = tiny.execute("run", "DIR/results/first/resolved.toml", "again", "--results", "DIR/elsewhere");

        assertThat(again.err()).isEmpty();
        assertThat(tiny.stages("../elsewhere/again", "fingerprint")).isEqualTo(tiny.stages("first", "fingerprint"));
        assertThat(tiny.stages("../elsewhere/again", "reused").values()).containsOnly("false");
        assertThat(tiny.metrics("../elsewhere/again")).isEqualTo(tiny.metrics("first"));
        assertThat(tiny.result("../elsewhere/again/resolved.toml"))
                .hasSameTextualContentAs(tiny.result("first/resolved.toml"));
    }

    @Test
    void theSameCommandAgainRunsNothing() throws IOException {
        Outcome first = tiny.run(TinyExperiment.CONFIG, "first");
        Map<Path, FileTime> before = times(tiny.result("first"));
        Outcome second = tiny.run(TinyExperiment.CONFIG, "first");

        assertThat(second).isEqualTo(first);
        assertThat(times(tiny.result("first"))).isEqualTo(before);
    }

    @Test
    void anotherTagReusesEveryStageThatIsTheSame() throws IOException {
        tiny.run(TinyExperiment.CONFIG, "first");
        tiny.run(TinyExperiment.CONFIG, "second", "--set", "quantization.weight.bits=4");

        assertThat(tiny.stages("second", "reused"))
                .containsOnly(
                        Map.entry("calibrate", "true"),
                        Map.entry("approximate", "false"),
                        Map.entry("quantize", "false"),
                        Map.entry("cost", "false"),
                        Map.entry("evaluate/full_precision/tales", "true"),
                        Map.entry("evaluate/round_to_nearest/tales", "false"),
                        Map.entry("evaluate/quantized/tales", "false"));
    }

    @Test
    void aTagIsNotUsedForAnotherExperiment() throws IOException {
        tiny.run(TinyExperiment.CONFIG, "first");
        Map<Path, FileTime> before = times(tiny.result("first"));
        Outcome other = tiny.run(TinyExperiment.CONFIG, "first", "--set", "approximation.l2qer.rank=2");

        assertThat(other)
                .isEqualTo(new Outcome(
                        2,
                        "",
                        "DIR/results/first: made by another config: approximation.l2qer.rank is 2, was 4; use another"
                                + " tag, or --overwrite, which moves the old run to DIR/results/first.1\n"));
        assertThat(times(tiny.result("first"))).isEqualTo(before);
    }

    @Test
    void forcedStagesAreMadeAgain() throws IOException {
        tiny.run(TinyExperiment.CONFIG, "first");
        Map<String, Double> metrics = tiny.metrics("first");
        Outcome forced = tiny.run(TinyExperiment.CONFIG, "first", "--force", "evaluate");

        assertThat(forced.code()).isZero();
        assertThat(tiny.metrics("first")).isEqualTo(metrics);
        assertThat(tiny.stages("first", "reused"))
                .containsEntry("calibrate", "true")
                .containsEntry("approximate", "true")
                .containsEntry("evaluate/full_precision/tales", "false")
                .containsEntry("evaluate/quantized/tales", "false");
        assertThat(tiny.run(TinyExperiment.CONFIG, "first", "--force", "evalute"))
                .isEqualTo(new Outcome(
                        2,
                        "",
                        "--force: expected one of the stages [calibrate, approximate, quantize, cost,"
                                + " evaluate/full_precision/tales, evaluate/round_to_nearest/tales,"
                                + " evaluate/quantized/tales], got \"evalute\"\n"));
    }

    /** Only the order of float32 sums may depend on either. */
    @Test
    void neitherBatchSizeNorMemoryChangesResults() throws IOException {
        tiny.run(TinyExperiment.CONFIG, "first");
        Map<String, Double> metrics = tiny.metrics("first");
        tiny.run(TinyExperiment.CONFIG, "batch", "--set", "evaluation.perplexity.tales.batch_size=1");
        tiny.run(
                TinyExperiment.CONFIG.replace("llama\"", "llama\"\nmemory = \"streamed\""),
                "other",
                "--force",
                "calibrate");
        tiny.execute("run", "DIR/config.toml", "streamed", "--results", "DIR/streamed");
        tiny.execute(
                "run", "DIR/config.toml", "resident", "--results", "DIR/resident", "--set", "model.memory=resident");

        assertCloseMetrics(tiny.metrics("batch"), metrics);
        assertCloseMetrics(tiny.metrics("other"), metrics);
        assertCloseMetrics(tiny.metrics("../streamed/streamed"), metrics);
        assertCloseMetrics(tiny.metrics("../resident/resident"), metrics);
        assertThat(tiny.stages("../streamed/streamed", "fingerprint"))
                .isEqualTo(tiny.stages("../resident/resident", "fingerprint"));
    }

    private static void assertCloseMetrics(Map<String, Double> actual, Map<String, Double> expected) {
        assertThat(actual.keySet()).isEqualTo(expected.keySet());
        expected.forEach((name, value) ->
                assertThat(actual.get(name)).as(name).isCloseTo(value, within(1e-6 * Math.max(1, Math.abs(value)))));
    }

    @Test
    void withoutStepsTheRunIsRoundToNearest() throws IOException {
        tiny.run(TinyExperiment.CONFIG, "corrected");
        String plain = without(without(TinyExperiment.CONFIG, "[[approximation]]"), "[calibration]");
        Outcome outcome = tiny.run(plain, "plain");

        assertThat(outcome.code()).isZero();
        assertThat(tiny.stages("plain", "reused"))
                .containsOnlyKeys("quantize", "cost", "evaluate/full_precision/tales", "evaluate/quantized/tales");
        assertThat(tiny.metrics("plain").get("perplexity/tales/loss"))
                .isEqualTo(tiny.metrics("corrected").get("round_to_nearest/perplexity/tales/loss"));
        assertThat(tiny.metrics("plain"))
                .containsKey("perplexity/tales/loss_over/full_precision/low")
                .doesNotContainKeys("loss_recovered/tales", "perplexity/tales/loss_over/round_to_nearest");
        assertThat(outcome.out()).contains("this run over full precision").doesNotContain("over round to nearest");
    }

    @Test
    void withoutEvaluationOnlyWeightsAreMeasured() throws IOException {
        Outcome outcome =
                tiny.run(TinyExperiment.CONFIG.substring(0, TinyExperiment.CONFIG.indexOf("[evaluation]")), "x");

        assertThat(outcome.code()).isZero();
        assertThat(outcome.out()).startsWith("bits per weight: ");
        assertThat(tiny.metrics("x"))
                .containsOnlyKeys(
                        "bits_per_weight",
                        "bops_per_token",
                        "bytes_per_token",
                        "cost_context",
                        "mean_relative_weight_error",
                        "ledger/saturated");
    }

    @Test
    void withoutFormatsNothingIsRounded() throws IOException {
        String config = TinyExperiment.CONFIG;
        config = without(without(config, "[quantization.weight]"), "[quantization.activation]");
        config = without(without(config, "[[approximation]]"), "[calibration]");
        Outcome outcome = tiny.run(config, "x");

        assertThat(outcome.code()).isZero();
        assertThat(tiny.metrics("x"))
                .containsEntry("bits_per_weight", 32.0)
                .containsEntry("mean_relative_weight_error", 0.0);
        assertThat(tiny.stages("x", "reused")).containsOnlyKeys("quantize", "cost", "evaluate/quantized/tales");
    }

    /** At 3 bits with one exponent of 8 bits for 16 values, and factors of rank 4 at 8 bits likewise. */
    @Test
    void countsTheBitsOfWeightsAndFactors() throws IOException {
        tiny.run(TinyExperiment.CONFIG, "first");
        // of the two blocks: q, o 64x64, k, v 32x64, gate, up 112x64, down 64x112
        double weights = 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 112 * 64);
        double values = 2 * 4 * (2 * (64 + 64) + 2 * (64 + 32) + 3 * (112 + 64));
        // exponents: A has one for 16 rows of a column; B, of 4 rows, one for each column
        double exponents = 2 * (2 * (4 * 4 + 64) + 2 * (4 * 4 + 32) + 2 * (4 * 4 + 112) + (7 * 4 + 64));
        double expected = 3 + 8 / 16.0 + (8 * values + 8 * exponents) / weights;

        assertThat(tiny.metrics("first").get("bits_per_weight")).isCloseTo(expected, within(1e-12));
    }

    @Test
    void overridesChangeOnlyTheLayersTheyMatch() throws IOException {
        String plain = without(without(TinyExperiment.CONFIG, "[[approximation]]"), "[calibration]");
        tiny.run(plain, "plain");
        Outcome outcome = tiny.run(plain + """
            [[quantization.override]]
            pattern = 'model\\.layers\\.1\\.mlp\\.(up|down)_proj\\.weight'
            weight = { format = "int", bits = 8 }
            [[quantization.override]]
            pattern = '.*down_proj.*'
            weight = { format = "mxint", bits = 6 }
            """, "overridden");

        assertThat(outcome.code()).isZero();
        Map<String, String> before = tiny.rows("plain/quantize/layers.csv");
        Map<String, String> after = tiny.rows("overridden/quantize/layers.csv");
        Map<String, String> changed = new TreeMap<>(after);
        changed.entrySet().removeIf(entry -> entry.getValue().equals(before.get(entry.getKey())));
        assertThat(changed)
                .containsOnlyKeys(
                        "model.layers.1.mlp.up_proj", "model.layers.0.mlp.down_proj", "model.layers.1.mlp.down_proj");
        assertThat(changed.get("model.layers.1.mlp.up_proj"))
                .contains("{ format = 'int', bits = 8, granularity = 'channel', ");
        assertThat(changed.get("model.layers.1.mlp.down_proj"))
                .contains("{ format = 'mxint', bits = 6, block_size = [1, 16], ");
        assertThat(tiny.stages("overridden", "reused")).containsEntry("evaluate/full_precision/tales", "true");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{ format = 'int', bits = 4 }",
                "{ format = 'int', bits = 8, granularity = 'tensor', symmetric = false }",
                "{ format = 'int', bits = 4, granularity = 'group', group_size = 32 }",
                "{ format = 'minifloat', bits = 8, exponent_bits = 4 }",
                "{ format = 'fixed', bits = 8, fraction_bits = 6 }",
                "{ format = 'mxint', bits = 4, block_size = [1, -1] }",
                "{ format = 'none' }"
            })
    void everyFormatRuns(String weight) throws IOException {
        String plain = without(without(TinyExperiment.CONFIG, "[[approximation]]"), "[calibration]");
        Outcome outcome = tiny.run(plain, "x", "--set", "quantization.weight=" + weight);

        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        assertThat(tiny.metrics("x").get("perplexity/tales")).isFinite();
    }

    @Test
    void onlyWeightsMayBeRounded() throws IOException {
        Outcome outcome = tiny.run(without(TinyExperiment.CONFIG, "[quantization.activation]"), "x");

        assertThat(outcome.code()).isZero();
        assertThat(tiny.metrics("x").get("perplexity/tales")).isFinite();
    }

    /** Formats out of range make a bad model, not an error. */
    @Test
    void aRunMayBeAsBadAsItsFormats() throws IOException {
        Outcome outcome = tiny.run(
                TinyExperiment.CONFIG,
                "x",
                "--set",
                "quantization.activation={ format = 'fixed', bits = 8, fraction_bits = 64 }");

        assertThat(outcome.code()).isZero();
        assertThat(tiny.metrics("x").get("perplexity/tales")).isFinite();
    }

    @Test
    void optRunsToo() throws IOException {
        SyntheticModel.opt().vocabulary(259).positions(64).tokenizer().write(folder.resolve("opt"));
        Outcome outcome = tiny.run(TinyExperiment.CONFIG.replace("DIR/llama", "DIR/opt"), "opt");

        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        assertThat(tiny.rows("opt/approximate/layers.csv")).hasSize(12);
        assertThat(tiny.metrics("opt").get("perplexity/tales")).isFinite();
    }

    /** Leaves out a table: its header and the keys below. */
    private static String without(String toml, String header) {
        int start = toml.indexOf(header);
        int end = toml.indexOf("\n[", start);
        return toml.substring(0, start) + toml.substring(end + 1);
    }

    private static Map<Path, FileTime> times(Path directory) throws IOException {
        Map<Path, FileTime> times = new TreeMap<>();
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.toList()) {
                times.put(file, Files.getLastModifiedTime(file));
            }
        }
        return times;
    }

    @Test
    void keepsTheFilesThatAConfigExtends() throws IOException {
        Files.createDirectories(folder.resolve("bases"));
        String base = TinyExperiment.CONFIG.replace("\"DIR/", "\"../");
        Files.writeString(folder.resolve("bases/tiny.toml"), base);
        String own = "extends = \"bases/tiny.toml\"\napproximation = []\nevaluation.perplexity = []\n";

        Outcome outcome = tiny.run(own, "extended", "quantization.weight.bits=5", "--unset", "calibration");

        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        assertThat(tiny.result("extended/config.toml")).hasContent(own);
        assertThat(tiny.result("extended/extended/1-tiny.toml")).hasContent(base);
        assertThat(tiny.result("extended/resolved.toml"))
                .content()
                .contains("bits = 5", "path = \"" + folder.resolve("llama").toRealPath())
                .doesNotContain("calibration", "extends");
        assertThat(tiny.execute("run", "DIR/results/extended/resolved.toml", "again", "--results", "DIR/results")
                        .code())
                .isZero();
        assertThat(tiny.stages("again", "fingerprint")).isEqualTo(tiny.stages("extended", "fingerprint"));
    }

    @Test
    void anotherConfigUnderTheTagIsRefusedWithItsKeysOrSetsTheOldRunAside() throws IOException {
        String plain = "[model]\npath = \"DIR/llama\"\n[quantization.weight]\nformat = \"int\"\nbits = 4\n";
        tiny.run(plain, "mine");

        Outcome refused = tiny.run(plain.replace("bits = 4", "bits = 3\nsymmetric = false"), "mine");

        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err())
                .isEqualTo("DIR/results/mine: made by another config: quantization.weight.bits is 3, was 4;"
                        + " quantization.weight.symmetric is false, was true; use another tag, or --overwrite, which"
                        + " moves the old run to DIR/results/mine.1\n");
        Map<String, String> old = tiny.stages("mine", "fingerprint");
        assertThat(tiny.run(plain.replace("bits = 4", "bits = 3"), "mine", "--overwrite")
                        .code())
                .isZero();
        assertThat(tiny.stages("mine.1", "fingerprint")).isEqualTo(old);
        assertThat(tiny.stages("mine", "fingerprint")).isNotEqualTo(old);
        assertThat(tiny.run(plain.replace("bits = 4", "bits = 3"), "mine", "--overwrite")
                        .code())
                .as("the same config needs no room")
                .isZero();
        assertThat(tiny.result("mine.2")).doesNotExist();
    }

    @Test
    void aTaskMayHaveItsOwnSettings() throws IOException {
        TinyExperiment.writeTasks(tiny.folder);
        String toml = TinyExperiment.CONFIG + TinyExperiment.TASKS + "[evaluation.tasks.copa]\nlimit = 2\n";
        Outcome outcome = tiny.run(toml, "own");

        assertThat(outcome.code()).as(outcome.err()).isZero();
        Map<String, Double> metrics = tiny.metrics("own");
        assertThat(metrics).containsEntry("copa/documents", 2.0).containsEntry("copa/limit", 2.0);
        assertThat(metrics).doesNotContainKey("arc_easy/limit");
        JsonNode samples = tiny.json("own/evaluate/results.json").at("/n-samples/copa");
        assertThat(samples.path("effective").asInt()).isEqualTo(2);
        assertThat(samples.path("original").asInt())
                .isEqualTo(Files.readAllLines(tiny.folder.resolve("tasks/copa/validation.jsonl"))
                        .size())
                .isGreaterThan(2);
        assertThat(tiny.run(Files.readString(tiny.result("own/resolved.toml")), "again")
                        .code())
                .isZero();
        assertThat(tiny.stages("again", "fingerprint")).isEqualTo(tiny.stages("own", "fingerprint"));
    }

    @Test
    void anEnvironmentVariableThatIsNotSetIsAProblem() throws IOException {
        Outcome outcome = tiny.run(TinyExperiment.CONFIG, "x", "model.path=\"${env:PTQ_TEST_ABSENT}/m\"");
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err())
                .contains("the environment variable \"PTQ_TEST_ABSENT\" is not set; set it, or write the value");
    }
}
