package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Runs whose activations have a range from calibration. */
class StaticRangeTest {
    /** Calibrated on what is evaluated, so that nothing is beyond the range. */
    private static final String CONFIG = TinyExperiment.CONFIG
            .replace("num_samples = 4", "num_samples = 6")
            .replaceFirst("(?s)\\[\\[approximation]].*?rank = 4\n", "")
            .replaceFirst("(?s)\\[quantization.activation].*?bits = 8\n", """
                    [quantization.activation]
                    format = "int"
                    bits = 8
                    granularity = "tensor"
                    dynamic = false
                    """);

    private static final String LOSS = "perplexity/tales/loss";

    @TempDir
    Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
    }

    @Test
    void theRangeComesFromCalibration() throws IOException {
        Outcome outcome = tiny.run(CONFIG, "eight");
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        try (Safetensors statistics = Safetensors.open(tiny.result("eight/calibrate/statistics.safetensors"))) {
            assertThat(statistics.entries().keySet()).contains("blocks.0.attn_in.min", "blocks.0.attn_in.max");
        }
        tiny.run(CONFIG, "sixteen", "--set", "quantization.activation.bits=16");
        tiny.run(CONFIG, "two", "--set", "quantization.activation.bits=2");
        // calibrated on other text, whose range is another
        tiny.run(CONFIG, "less", "--set", "calibration.num_samples=1", "--set", "calibration.seq_len=2");
        tiny.run(
                CONFIG.replace("dynamic = false\n", "").replace("granularity = \"tensor\"", "granularity = \"token\""),
                "none",
                "--set",
                "quantization.activation.bits=16");

        double exact = loss("none");
        assertThat(tiny.metrics("sixteen").get(LOSS)).isCloseTo(exact, within(1e-3));
        double eight = loss("eight");
        assertThat(eight).isCloseTo(exact, within(0.05)).isNotEqualTo(exact);
        assertThat(tiny.metrics("two").get(LOSS)).isNotCloseTo(exact, within(1e-3));
        assertThat(tiny.metrics("less").get(LOSS)).isNotEqualTo(eight);
        assertThat(tiny.metrics("less").get("full_precision/" + LOSS))
                .isEqualTo(tiny.metrics("eight").get("full_precision/" + LOSS));
        String reference = "evaluate/full_precision/tales";
        assertThat(tiny.stages("less", "fingerprint").get(reference))
                .isEqualTo(tiny.stages("eight", "fingerprint").get(reference));
    }

    private double loss(String run) throws IOException {
        return Objects.requireNonNull(tiny.metrics(run).get(LOSS), run);
    }

    @Test
    void blockFloatingPointHasARangeToo() throws IOException {
        String blocks = CONFIG.replaceFirst(
                "(?s)format = \"int\"\nbits = 8\ngranularity = \"tensor\"\n",
                "format = \"mxint\"\nbits = 8\nblock_size = [-1, -1]\n");
        assertThat(blocks).isNotEqualTo(CONFIG);
        Outcome outcome = tiny.run(blocks, "blocks");
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        tiny.run(blocks.replace("dynamic = false\n", ""), "dynamic");
        tiny.run(blocks, "less", "--set", "calibration.num_samples=1", "--set", "calibration.seq_len=2");

        double loss = loss("blocks");
        assertThat(loss).isCloseTo(loss("dynamic"), within(0.05)).isNotEqualTo(loss("dynamic"));
        assertThat(loss("less")).isNotEqualTo(loss);
        assertProblem(
                blocks.replace("[-1, -1]", "[1, 16]"),
                "quantization.activation.dynamic: a range from calibration is that of all values: set block_size = [-1, -1]");
    }

    /** The products of a low-rank path have other ranges: theirs are taken from the values. */
    @Test
    void aLowRankPathGoesWithIt() throws IOException {
        String steps = "[[approximation]]\nmethod = \"lqer\"\nrank = 4\n[quantization.weight]";
        Outcome outcome = tiny.run(CONFIG.replace("[quantization.weight]", steps), "corrected");
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        tiny.run(CONFIG, "plain");
        assertThat(tiny.metrics("corrected").get("round_to_nearest/" + LOSS))
                .isEqualTo(tiny.metrics("plain").get(LOSS));
        assertThat(tiny.metrics("corrected").get(LOSS))
                .isNotEqualTo(tiny.metrics("plain").get(LOSS));
    }

    @Test
    void saysWhatDoesNotGoTogether() throws IOException {
        assertProblem(
                CONFIG.replaceFirst("(?s)\\[calibration].*?batch_size = 2\n", ""),
                "quantization: the range of dynamic = false comes from calibration: add a [calibration] section");
        assertProblem(
                CONFIG.replace("granularity = \"tensor\"", "granularity = \"token\""),
                "quantization.activation.dynamic: a range from calibration is that of all values: set granularity");
        assertProblem(
                CONFIG.replace("[quantization.activation]", "[quantization.output]"),
                "quantization.output.dynamic: only inputs of linears and the cache of keys and values have a range from"
                        + " calibration; leave it out");
        assertProblem(
                CONFIG.replace(
                        "[quantization.weight]",
                        "[[approximation]]\nmethod = \"omniquant\"\nlwc = false\n[quantization.weight]"),
                "approximation.0.method: omniquant changes, while it is trained, the values whose range dynamic = false");
        assertProblem(
                CONFIG.replace(
                        "[quantization.weight]",
                        "[[approximation]]\nmethod = \"smoothquant\"\n[[approximation]]\nmethod = \"omniquant\"\n"
                                + "let = false\n[quantization.weight]"),
                "approximation.1.method: omniquant would be trained on values whose range dynamic = false took before"
                        + " smoothquant changed them; leave out one of the three");
    }

    /** Smoothing changes what flows. */
    @Test
    void theRangeIsTakenAgainAfterSmoothing() throws IOException {
        String smoothed = CONFIG.replace(
                "[quantization.weight]",
                "[[approximation]]\nmethod = \"smoothquant\"\nalpha = 1\n[quantization.weight]");
        assertThat(tiny.run(smoothed, "static", "--set", "quantization.activation.bits=16")
                        .err())
                .isEmpty();
        tiny.run(
                smoothed.replace("dynamic = false\n", "")
                        .replace("granularity = \"tensor\"", "granularity = \"token\""),
                "token",
                "--set",
                "quantization.activation.bits=16");
        try (Safetensors weights =
                Safetensors.open(folder.resolve("results/static/approximate/weights/block-0.safetensors"))) {
            JsonNode ranges = JsonMapper.shared()
                    .readTree(weights.metadata().get("activation_ranges"))
                    .get("self_attn.q_proj")
                    .get(0);
            assertThat(ranges.get("low").floatValue()).isCloseTo(-1, within(1e-5f));
            assertThat(ranges.get("high").floatValue()).isCloseTo(1, within(1e-5f));
        }
        // rounded weights push a few values beyond the range that full precision has
        assertThat(tiny.metrics("static").get(LOSS))
                .isCloseTo(tiny.metrics("token").get(LOSS), within(1e-2));
    }

    private void assertProblem(String config, String expected) throws IOException {
        Outcome outcome = tiny.run(config, "wrong");
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err()).contains(expected);
    }
}
