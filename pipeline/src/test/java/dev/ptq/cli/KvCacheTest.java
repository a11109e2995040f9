package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.cli.TinyExperiment.Outcome;
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

/** Runs with a rounded cache of keys and values. */
class KvCacheTest {
    private static final String CACHE = """
            [quantization.kv]
            key = { format = "int", bits = 3, per = "channel", group_size = 4 }
            value = { format = "int", bits = 3 }
            window = 2
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
        String toml = TinyExperiment.CONFIG;
        String calibration =
                steps.isEmpty() ? "" : toml.substring(toml.indexOf("[calibration]"), toml.indexOf("[[app"));
        return toml.substring(0, toml.indexOf("[calibration]"))
                + calibration
                + steps
                + CACHE
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
        "l2qer, rank = 4, false",
        "smoothquant, alpha = 0.5, false"
    })
    void learnedMethodsSeeTheCache(String method, String setting, boolean learns) throws IOException {
        String weights = "[quantization.weight]\nformat = \"int\"\nbits = 3\n";
        String toml = withCache("[[approximation]]\nmethod = \"" + method + "\"\n" + setting + "\n" + weights);
        Map<String, Double> cached = run(toml, "cached");
        Map<String, Double> exact = run(toml.replace(CACHE, ""), "exact");
        assertThat(loss(cached, LOSS)).isNotEqualTo(loss(exact, LOSS)).isBetween(4.0, 9.0);
        Map<String, String> errors = tiny.rows("cached/quantize/layers.csv");
        assertThat(errors.equals(tiny.rows("exact/quantize/layers.csv"))).isNotEqualTo(learns);
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
