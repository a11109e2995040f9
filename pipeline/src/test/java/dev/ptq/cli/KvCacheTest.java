package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Runs with a rounded cache of keys and values. */
class KvCacheTest {
    private static final String CACHE = """
            [quantization.kv]
            key = { format = "int", bits = 3, per = "channel", group_size = 4 }
            value = { format = "int", bits = 3 }
            window = 2
            """;

    /** As in KVQuant: keys per channel, with ranges from calibration, before they are rotated. */
    private static final String STATIC = """
            [quantization.kv]
            key = { format = "int", bits = 4, per = "channel", dynamic = false }
            value = { format = "int", bits = 4 }
            rotary = "before"
            """;

    private static final String LOSS = "perplexity/tales/loss";
    private static final String BITS = "perplexity/tales/kv_bits_per_value";

    @TempDir
    private Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
    }

    private static String withCache(String steps) {
        return with(!steps.isEmpty(), steps, CACHE);
    }

    private static String withStaticCache(String steps) {
        return with(true, steps, STATIC);
    }

    private static String with(boolean calibrated, String steps, String cache) {
        String toml = TinyExperiment.CONFIG;
        String calibration = calibrated ? toml.substring(toml.indexOf("[calibration]"), toml.indexOf("[[app")) : "";
        return toml.substring(0, toml.indexOf("[calibration]"))
                + calibration
                + steps
                + cache
                + toml.substring(toml.indexOf("[evaluation]"));
    }

    private Map<String, Double> run(String toml, String tag, String... options) throws IOException {
        Outcome outcome = tiny.run(toml, tag, options);
        assertThat(outcome.code()).as(outcome.err()).isZero();
        return tiny.metrics(tag);
    }

    @Test
    void theStorageOfTheCacheIsBesideThePerplexity() throws IOException {
        Map<String, Double> metrics = run(withCache(""), "three");
        // 24 tokens in 2 heads of 16 features. Keys: 5 groups of 4 tokens per channel, 4 tokens left
        double keys = 32 * (5 * (4 * 3 + 16 + 3) + 4 * 16);
        // values: 22 tokens, one scale for each head, and 2 in the window
        double values = 22 * 2 * (16 * 3 + 16 + 3) + 2 * 32 * 16;
        assertThat(metrics.get(BITS)).isCloseTo((keys + values) / (2 * 24 * 32), within(1e-12));
        assertThat(metrics).doesNotContainKey("full_precision/" + BITS);
        Outcome shown = tiny.execute("report", "DIR/results");
        assertThat(shown.code()).as(shown.err()).isZero();

        Map<String, Double> sixteen = run(
                withCache(""),
                "sixteen",
                "--set",
                "quantization.kv.key.bits=16",
                "--set",
                "quantization.kv.value.bits=16");
        double exact = loss(metrics, "full_precision/" + LOSS);
        assertThat(loss(sixteen, LOSS)).isCloseTo(exact, within(1e-4));
        assertThat(loss(metrics, LOSS)).isNotCloseTo(exact, within(1e-4));
        Map<String, Double> window = run(withCache(""), "window", "--set", "quantization.kv.window=24");
        assertThat(loss(window, LOSS)).isEqualTo(exact);
        assertThat(window.get(BITS)).isEqualTo(16);
        Map<String, Double> before = run(withCache(""), "before", "--set", "quantization.kv.rotary=before");
        assertThat(loss(before, LOSS)).isNotEqualTo(loss(metrics, LOSS));
        assertThat(before.get(BITS)).isEqualTo(metrics.get(BITS));
    }

    private static double loss(Map<String, Double> metrics, String name) {
        return Objects.requireNonNull(metrics.get(name), name);
    }

    /** The resolved experiment has every key, and is the same experiment. */
    @Test
    void theResolvedConfigGivesTheSameStages() throws IOException {
        run(withCache(""), "first");
        String resolved = Files.readString(tiny.result("first/resolved.toml"));
        assertThat(resolved).contains("per = \"channel\"").contains("rotary = \"after\"");
        run(resolved, "again");
        assertThat(tiny.stages("again", "fingerprint")).isEqualTo(tiny.stages("first", "fingerprint"));
    }

    /** Weights are learned with the cache as it will be; other methods leave it alone. */
    @ParameterizedTest
    @CsvSource({
        "omniquant, epochs = 2, true",
        "flexround, iterations = 8, true",
        "autoround, 'batch_size = 2\niterations = 8', true",
        "l2qer, rank = 4, false",
        "smoothquant, alpha = 0.5, false"
    })
    void learnedMethodsSeeTheCache(String method, String setting, boolean learns) throws IOException {
        String weights = "[quantization.weight]\nformat = \"int\"\nbits = 3\n"
                + (method.equals("autoround") ? "grid = \"full_range\"\n" : "");
        String toml = withCache("[[approximation]]\nmethod = \"" + method + "\"\n" + setting + "\n" + weights);
        Map<String, Double> cached = run(toml, "cached");
        Map<String, Double> exact = run(toml.replace(CACHE, ""), "exact");
        assertThat(loss(cached, LOSS)).isNotEqualTo(loss(exact, LOSS)).isBetween(4.0, 9.0);
        Map<String, String> errors = tiny.rows("cached/quantize/layers.csv");
        assertThat(errors.equals(tiny.rows("exact/quantize/layers.csv"))).isNotEqualTo(learns);
    }

    @Test
    void rangesComeFromCalibration() throws IOException {
        Map<String, Double> metrics = run(withStaticCache(""), "four");
        // 24 tokens in 2 heads of 16 features; a range for each channel of the keys, one for each token's head of
        // values
        double keys = 32 * (24 * 4 + 16 + 4);
        double values = 24 * 2 * (16 * 4 + 16 + 4);
        assertThat(metrics.get(BITS)).isCloseTo((keys + values) / (2 * 24 * 32), within(1e-12));
        double exact = loss(metrics, "full_precision/" + LOSS);
        assertThat(loss(metrics, LOSS)).isNotCloseTo(exact, within(1e-5));
        try (Safetensors statistics = Safetensors.open(tiny.result("four/calibrate/statistics.safetensors"))) {
            assertThat(statistics.entries().keySet())
                    .containsExactlyInAnyOrder(
                            "blocks.0.key.min", "blocks.0.key.max", "blocks.1.key.min", "blocks.1.key.max");
            assertThat(statistics.shape("blocks.0.key.min")).containsExactly(32L);
        }
        // calibrated on what is evaluated
        String[] all = {
            "--set", "quantization.kv.key.bits=16",
            "--set", "quantization.kv.value.bits=16",
            "--set", "calibration.num_samples=6",
            "--set", "calibration.sample=start"
        };
        assertThat(loss(run(withStaticCache(""), "sixteen", all), LOSS)).isCloseTo(exact, within(1e-4));
        String[] less = {"--set", "calibration.num_samples=1", "--set", "calibration.seq_len=2"};
        assertThat(loss(run(withStaticCache(""), "less", less), LOSS)).isNotEqualTo(loss(metrics, LOSS));
        Map<String, Double> after = run(withStaticCache(""), "after", "--set", "quantization.kv.rotary=after");
        assertThat(loss(after, LOSS)).isNotEqualTo(loss(metrics, LOSS));
        try (Safetensors statistics = Safetensors.open(tiny.result("after/calibrate/statistics.safetensors"))) {
            assertThat(statistics.entries().keySet())
                    .allMatch(name -> name.contains(".rotated_key."))
                    .hasSize(4);
        }
        Map<String, Double> window = run(withStaticCache(""), "window", "--set", "quantization.kv.window=24");
        assertThat(loss(window, LOSS)).isEqualTo(exact);
    }

    /** Nothing else is taken again, or of those that need no ranges. */
    @Test
    void onlyWhatNeedsRangesAsksForThem() throws IOException {
        run(withStaticCache(""), "static");
        run(withStaticCache(""), "again");
        assertThat(tiny.stages("again", "fingerprint")).isEqualTo(tiny.stages("static", "fingerprint"));
        String resolved = Files.readString(tiny.result("static/resolved.toml"));
        assertThat(resolved).contains("per = \"channel\"").contains("dynamic = false");
        run(resolved, "resolved");
        assertThat(tiny.stages("resolved", "fingerprint")).isEqualTo(tiny.stages("static", "fingerprint"));

        run(withCache(""), "dynamic");
        assertThat(tiny.stages("dynamic", "fingerprint")).doesNotContainKey("calibrate");
        String exact = "evaluate/full_precision/tales";
        assertThat(tiny.stages("dynamic", "fingerprint").get(exact))
                .isEqualTo(tiny.stages("static", "fingerprint").get(exact));
        // statistics of inputs have nothing to do with a dynamic cache
        String steps =
                "[[approximation]]\nmethod = \"l2qer\"\nrank = 4\n[quantization.weight]\nformat = \"int\"\nbits = 3\n";
        run(withCache(steps), "steps");
        run(withCache(steps).replace(CACHE, ""), "plain");
        assertThat(tiny.stages("steps", "fingerprint").get("calibrate"))
                .isEqualTo(tiny.stages("plain", "fingerprint").get("calibrate"));
        run(withStaticCache(steps), "both");
        assertThat(tiny.stages("both", "fingerprint").get("calibrate"))
                .isNotEqualTo(tiny.stages("plain", "fingerprint").get("calibrate"));
        assertThat(tiny.rows("both/quantize/layers.csv")).isEqualTo(tiny.rows("plain/quantize/layers.csv"));
    }

    /** Rescaled channels whose ranges are taken again are rounded as before; keys are what they were. */
    @Test
    void rangesAreTakenAgainAfterATransformation() throws IOException {
        String perChannel = withStaticCache("")
                .replace(
                        "value = { format = \"int\", bits = 4 }",
                        "value = { format = \"int\", bits = 3, per = \"channel\", dynamic = false }");
        String smoothed = perChannel.replace("[quantization.kv]", """
                [[approximation]]
                method = "smoothquant"
                alpha = 1
                mappings = ["attn_in", "v_o"]
                [quantization.kv]""");
        Map<String, Double> before = run(perChannel, "before");
        Map<String, Double> after = run(smoothed, "after");
        assertThat(loss(after, LOSS)).isCloseTo(loss(before, LOSS), within(1e-4));
        assertThat(loss(before, LOSS)).isNotCloseTo(loss(before, "full_precision/" + LOSS), within(1e-3));
        try (Safetensors weights = Safetensors.open(tiny.result("after/approximate/weights/block-0.safetensors"));
                Safetensors statistics = Safetensors.open(tiny.result("after/calibrate/statistics.safetensors"))) {
            JsonNode ranges = JsonMapper.shared().readTree(weights.metadata().get("activation_ranges"));
            assertThat(ranges.propertyNames()).containsExactlyInAnyOrder("key", "value");
            assertThat(ranges.get("value")).hasSize(32);
            float[] values = statistics.floats("blocks.0.value.max");
            float[] keys = statistics.floats("blocks.0.key.max");
            for (int i = 0; i < values.length; i++) {
                assertThat(high(ranges, "value", i)).isNotCloseTo(values[i], within(1e-3f));
                assertThat(high(ranges, "key", i)).isCloseTo(keys[i], within(1e-4f));
            }
        }
    }

    private static float high(JsonNode ranges, String label, int channel) {
        return ranges.get(label).get(channel).get("high").floatValue();
    }

    /** GPTQ on the quantized path sees what the cache makes of the blocks before. */
    @Test
    void theQuantizedPathSeesTheCache() throws IOException {
        String steps = """
                [[approximation]]
                method = "gptq"
                [quantization.weight]
                format = "int"
                bits = 3
                """;
        run(withStaticCache(steps), "cached");
        run(withStaticCache(steps).replace(STATIC, ""), "exact");
        assertThat(tiny.rows("cached/quantize/layers.csv")).isNotEqualTo(tiny.rows("exact/quantize/layers.csv"));
    }

    @Test
    void learnedRoundingsSeeTheRanges() throws IOException {
        String steps = """
                [[approximation]]
                method = "flexround"
                iterations = 8
                [quantization.weight]
                format = "int"
                bits = 3
                """;
        run(withStaticCache(steps), "cached");
        run(withStaticCache(steps).replace(STATIC, ""), "exact");
        assertThat(tiny.rows("cached/quantize/layers.csv")).isNotEqualTo(tiny.rows("exact/quantize/layers.csv"));
    }

    @Test
    void saysWhatDoesNotGoWithRanges() throws IOException {
        assertProblem(
                with(false, "", STATIC),
                "quantization: the range of dynamic = false comes from calibration: add a [calibration] section");
        assertProblem(
                withStaticCache("").replace("dynamic = false", "dynamic = false, group_size = 4"),
                "quantization.kv.key.group_size: with a range from calibration a token is rounded as soon as it is there");
        assertProblem(
                withStaticCache("""
                        [[approximation]]
                        method = "omniquant"
                        [quantization.weight]
                        format = "int"
                        bits = 3
                        """),
                "approximation.0.method: omniquant changes, while it is trained, the values whose range dynamic = false");
    }

    private void assertProblem(String toml, String expected) throws IOException {
        Outcome outcome = tiny.run(toml, "wrong");
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err()).contains(expected);
    }

    @Test
    void bothKeysOfAConflictAreNamed() throws IOException {
        Outcome outcome = tiny.run(
                withCache("")
                        .replace(
                                "[evaluation]",
                                "[quantization.attention]\nkey = { format = \"int\", bits = 8 }\n[evaluation]"),
                "twice");
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err()).contains("quantization.kv:").contains("quantization.attention.key");
    }
}
