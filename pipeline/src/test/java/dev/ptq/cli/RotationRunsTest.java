package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.family.ModelConfig;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Rotation;
import dev.ptq.model.TinyFamilies;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Rotated models from a config to their figures. */
class RotationRunsTest {
    private static final String PLAIN = """
            seed = 4
            [model]
            path = "DIR/llama"
            """;

    private static final String ROTATED = PLAIN + """
            [[approximation]]
            method = "quarot"
            """;

    private static final String LEARNED = PLAIN + """
            [[approximation]]
            method = "spinquant"
            steps = 3
            batch_size = 2
            """;

    /** Continues {@link #W4A4}, which ends in the table of activations. */
    private static final String STATIC = """
            granularity = "tensor"
            dynamic = false
            """;

    private static final String EVALUATED = """
            [evaluation]
            [[evaluation.perplexity]]
            name = "tales"
            dataset = "DIR/text.txt"
            seq_len = 24
            max_samples = 6
            divergence = true
            """;

    private static final String W4A4 = """
            [quantization.weight]
            format = "int"
            bits = 4
            [quantization.activation]
            format = "int"
            bits = 4
            """;

    private static final String SMOOTHED = """
            [[approximation]]
            method = "smoothquant"
            """;

    private static final String STEPS = """
            [[approximation]]
            method = "gptq"
            [[approximation]]
            method = "l2qer"
            rank = 2
            """;

    @TempDir
    private Path folder;

    /** With fused linears, with norms stored less one, and with experts. */
    static Stream<Path> few() throws IOException {
        return TinyFamilies.few().stream()
                .filter(path -> path.getFileName().toString().matches("phi3|gemma|qwen2_moe"));
    }

    static Stream<Path> all() throws IOException {
        return TinyFamilies.folders().stream();
    }

    private static void requireSuccess(Outcome outcome) {
        assertThat(outcome.code()).as(outcome.err()).isZero();
    }

    @Test
    void withoutFormatsNothingChanges() throws IOException {
        TinyExperiment tiny = new TinyExperiment(folder);
        requireSuccess(tiny.run(ROTATED.replace("quarot\"", "quarot\"\nacross_heads = true") + EVALUATED, "tag"));
        Map<String, Double> rotated = tiny.metrics("tag");
        requireSuccess(tiny.run(PLAIN + EVALUATED, "plain"));

        assertThat(rotated.get("perplexity/tales/loss"))
                .isCloseTo(tiny.metrics("plain").get("perplexity/tales/loss"), within(1e-5));
        assertThat(rotated.get("perplexity/tales/kl_divergence")).isLessThan(1e-9);
        assertThat(rotated.get("rotation_distance")).isBetween(1e-12, 1e-4);
    }

    @Test
    void calibratesOnTheRotatedModelAndComparesWithTheModelAsItIs() throws IOException {
        TinyExperiment tiny = new TinyExperiment(folder);
        requireSuccess(tiny.run(ROTATED + SMOOTHED + STEPS + TinyExperiment.CALIBRATED + W4A4 + EVALUATED, "tag"));
        Map<String, Double> first = tiny.metrics("tag");
        requireSuccess(tiny.run(PLAIN + SMOOTHED + STEPS + TinyExperiment.CALIBRATED + W4A4 + EVALUATED, "plain"));
        Map<String, Double> plain = tiny.metrics("plain");

        assertThat(first.get("transform_distance")).isLessThan(1e-4);
        assertThat(first.get("full_precision/perplexity/tales/loss"))
                .isEqualTo(plain.get("full_precision/perplexity/tales/loss"));
        assertThat(first.get("round_to_nearest/perplexity/tales/loss"))
                .isEqualTo(plain.get("round_to_nearest/perplexity/tales/loss"));
        assertThat(first.get("perplexity/tales/loss")).isNotEqualTo(plain.get("perplexity/tales/loss"));
    }

    @ParameterizedTest
    @MethodSource("few")
    void aFewFamiliesRun(Path family) throws IOException {
        runs(family);
    }

    @ParameterizedTest
    @MethodSource("all")
    @Tag("slow")
    void allFamiliesRun(Path family) throws IOException {
        runs(family);
    }

    private void runs(Path family) throws IOException {
        TinyExperiment tiny = FamilyRunsTest.prepared(folder, family);
        boolean isSmoothed = LanguageModel.mappings(ModelConfig.read(family), 0).stream()
                .anyMatch(mapping -> mapping.kind().afterNorm());
        String config = ROTATED.replace("DIR/llama", "DIR/model")
                + (isSmoothed ? SMOOTHED : "")
                + STEPS
                + TinyExperiment.CALIBRATED
                + W4A4
                + EVALUATED;

        requireSuccess(tiny.run(config, "tag"));
        assertThat(tiny.metrics("tag").get("perplexity/tales/loss")).isBetween(3.0, 12.0);
        Outcome again = tiny.execute("validate", "DIR/results/tag/resolved.toml", "--results", "DIR/results");
        requireSuccess(again);
        assertThat(again.out()).contains("# approximate").doesNotContain("to run");
        for (Map.Entry<Rotation.Place, String> absent :
                Rotation.absent(ModelConfig.read(family)).entrySet()) {
            assertThat(tiny.log("tag"))
                    .anyMatch(line -> line.contains("quarot leaves out " + absent.getKey() + ": " + absent.getValue()));
        }
    }

    @Test
    void aLearnedRotationIsFoldedAndKept() throws IOException {
        TinyExperiment tiny = new TinyExperiment(folder);
        requireSuccess(tiny.run(LEARNED + TinyExperiment.CALIBRATED + W4A4 + EVALUATED, "tag"));

        assertThat(tiny.metrics("tag").get("rotation_error")).isLessThan(1e-5);
        assertThat(tiny.rows("tag/rotate/training.csv")).containsOnlyKeys("1", "2", "3");
        Map<String, String> first = tiny.stages("tag", "fingerprint");
        requireSuccess(tiny.run(
                LEARNED.replace("steps = 3", "steps = 2") + TinyExperiment.CALIBRATED + W4A4 + EVALUATED, "other"));
        Map<String, String> second = tiny.stages("other", "fingerprint");
        assertThat(second.get("quantize")).isNotEqualTo(first.get("quantize"));
        assertThat(second.get("evaluate/round_to_nearest/tales"))
                .isEqualTo(first.get("evaluate/round_to_nearest/tales"));
        requireSuccess(tiny.run(LEARNED + STEPS + TinyExperiment.CALIBRATED + W4A4 + EVALUATED, "more"));
        assertThat(tiny.stages("more", "fingerprint").get("rotate")).isEqualTo(first.get("rotate"));
    }

    @Test
    void withoutFormatsALearnedRotationChangesNothing() throws IOException {
        TinyExperiment tiny = new TinyExperiment(folder);
        requireSuccess(tiny.run(LEARNED + TinyExperiment.CALIBRATED + EVALUATED, "tag"));

        assertThat(tiny.metrics("tag").get("perplexity/tales/kl_divergence")).isLessThan(1e-8);
        requireSuccess(tiny.run(PLAIN + EVALUATED, "plain"));
        assertThat(tiny.metrics("tag").get("perplexity/tales/loss"))
                .isCloseTo(tiny.metrics("plain").get("perplexity/tales/loss"), within(1e-5));
    }

    /** The baseline is not rotated, and knows no ranges of its own. */
    @Test
    void rangesFromCalibrationAreThoseOfTheRotatedModel() throws IOException {
        TinyExperiment tiny = new TinyExperiment(folder);
        String kv = "[quantization.kv]\nkey = { format = \"int\", bits = 4, per = \"channel\", dynamic = false }\n";
        String toml = ROTATED + TinyExperiment.CALIBRATED + kv + EVALUATED;

        assertThat(tiny.run(toml, "tag").err()).contains("leave it out of evaluation.baselines");
        requireSuccess(tiny.run(toml.replace("[evaluation]\n", "[evaluation]\nbaselines = []\n"), "tag"));
    }

    @Test
    void aRotationIsLearnedFromSamples() throws IOException {
        TinyExperiment tiny = new TinyExperiment(folder);

        assertThat(tiny.run(LEARNED + EVALUATED, "tag").err())
                .contains("spinquant trains on samples: add a [calibration] section");
        assertThat(tiny.run(
                                LEARNED.replace("batch_size = 2", "batch_size = 5")
                                        + TinyExperiment.CALIBRATED
                                        + EVALUATED,
                                "tag")
                        .err())
                .contains("expected at most calibration.num_samples, 4, got 5");
        assertThat(tiny.run(LEARNED + TinyExperiment.CALIBRATED + W4A4 + STATIC + EVALUATED, "tag")
                        .err())
                .contains("spinquant is trained before ranges of dynamic = false are known");
        assertThat(tiny.run(LEARNED + "rotations = [\"R3\"]\n" + TinyExperiment.CALIBRATED + EVALUATED, "tag")
                        .err())
                .contains("expected R1 or R2, which are learned");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "rotations = [\"R5\"] | expected one of [R1, R2, R3, R4]",
                "rotations = [] | expected at least one rotation",
                "block_size = 6 | no Hadamard matrix of order 6 is known here; take a power of two, such as 32",
                "block_size = 16 | ",
                "block_size = 12 | expected a divisor of all widths that are rotated, got 12, and one is 64",
                "rotations = [\"R1\"]; across_heads = true | across_heads: unknown key"
            })
    void settingsThatMeanNothingAreErrors(String keys, String problem) throws IOException {
        TinyExperiment tiny = new TinyExperiment(folder);
        tiny.config(ROTATED + keys.replace("; ", "\n") + "\n" + EVALUATED);

        Outcome outcome = tiny.execute("validate", "DIR/config.toml");

        assertThat(outcome.err() + outcome.out()).contains(problem == null ? "to run" : problem);
    }
}
