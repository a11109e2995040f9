package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.model.TinyFamilies;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Runs with formats that have to know more of a linear than the values they round. */
class KnownFormatsTest {
    private static final String LOSS = "perplexity/tales/loss";
    private static final String GPTQ = "[[approximation]]\nmethod = \"gptq\"\n";
    private static final String SMOOTH = "[[approximation]]\nmethod = \"smoothquant\"\nalpha = 0.8\n";
    private static final String WEIGHTED = """
            format = "int"
            bits = 3
            granularity = "group"
            group_size = 8
            grid = "gptq"
            range = "imatrix_mse"
            """;
    private static final String NVFP4 = "format = \"nvfp4\"\nshared_scale = true\n";

    @TempDir
    private Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
    }

    private static String config(String steps, String weight, String activation) {
        return TinyExperiment.CONFIG.replaceFirst(
                "(?s)\\[\\[approximation]].*?\\[evaluation]",
                steps + "[quantization.weight]\n" + weight + "[quantization.activation]\n" + activation
                        + "[evaluation]");
    }

    private double loss(String config, String tag, String... options) throws IOException {
        Outcome outcome = tiny.run(config, tag, options);
        assertThat(outcome.code()).as(outcome.err()).isZero();
        return Objects.requireNonNull(tiny.metrics(tag).get(LOSS), tag);
    }

    /** With many bits any rule that covers nearly all values is close to full precision. */
    @ParameterizedTest
    @CsvSource({
        "int, 'bits = 8\ngranularity = \"tensor\"\nrange = \"percentile\"\npercentile = 99.9\n'",
        "int, 'bits = 8\ngranularity = \"channel\"\nrange = \"moving_average\"\n'",
        "fp8_e4m3, 'range = \"mse\"\n'"
    })
    void everyRuleRuns(String format, String keys) throws IOException {
        requireCloseness(format, keys);
    }

    @ParameterizedTest
    @Tag("slow")
    @CsvSource({
        "int, 'bits = 8\nrange = \"moving_average\"\n'",
        "int, 'bits = 8\nrange = \"mse\"\n'",
        "int, 'bits = 8\ngranularity = \"channel\"\n'",
        "int, 'bits = 8\ngrid = \"compressed_tensors\"\nrange = \"percentile\"\n'",
        "fp8_e4m3, 'granularity = \"channel\"\n'",
        "nvfp4, 'range = \"percentile\"\n'"
    })
    void everyRuleRunsInOtherFormats(String format, String keys) throws IOException {
        requireCloseness(format, keys);
    }

    private void requireCloseness(String format, String keys) throws IOException {
        String none = "format = \"none\"\n";
        String activation = "format = \"" + format + "\"\n" + keys + "dynamic = false\n";
        double exact = loss(config("", none, none), "exact");
        double found = loss(config("", none, activation), "static");
        assertThat(found).isNotEqualTo(exact).isBetween(exact - 0.3, exact + 0.3);
    }

    /** Calibration depends on the statistics alone, not on what is made of them. */
    @Test
    void anotherPercentileTakesNoOtherStatistics() throws IOException {
        String none = "format = \"none\"\n";
        String percentile = "format = \"int\"\nbits = 4\nrange = \"percentile\"\npercentile = 99.0\ndynamic = false\n";
        double first = loss(config("", none, percentile), "first");
        double second = loss(config("", none, percentile.replace("99.0", "80.0")), "second");
        double searched = loss(
                config("", none, percentile.replace("percentile = 99.0\n", "").replace("\"percentile\"", "\"mse\"")),
                "searched");
        assertThat(second).isNotEqualTo(first);
        assertThat(searched).isNotEqualTo(first);
        for (String tag : new String[] {"second", "searched"}) {
            assertThat(tiny.stages(tag, "fingerprint").get("calibrate"))
                    .isEqualTo(tiny.stages("first", "fingerprint").get("calibrate"));
        }
        try (Safetensors statistics = Safetensors.open(tiny.result("first/calibrate/statistics.safetensors"))) {
            assertThat(statistics.entries().keySet())
                    .contains("blocks.0.attn_in.histogram", "blocks.0.attn_in.min", "blocks.0.attn_in.max")
                    .hasSize(2 * 4 * 3);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", SMOOTH + GPTQ})
    void errorsOfWeightsAreWeighted(String steps) throws IOException {
        requireWeightedErrors(steps);
    }

    @ParameterizedTest
    @Tag("slow")
    @ValueSource(strings = {GPTQ, SMOOTH})
    void errorsOfWeightsAreWeightedAfterEitherStep(String steps) throws IOException {
        requireWeightedErrors(steps);
    }

    private void requireWeightedErrors(String steps) throws IOException {
        String activation = "format = \"none\"\n";
        String other = WEIGHTED.replace("imatrix_mse", "gptq_mse");
        double weighted = loss(config(steps, WEIGHTED, activation), "weighted");
        double plain = loss(config(steps, other, activation), "plain");
        assertThat(weighted).isNotEqualTo(plain);
        assertThat(loss(config(steps, WEIGHTED, activation), "again", "--force", "quantize"))
                .isEqualTo(weighted);
        assertThat(tiny.rows("weighted/quantize/layers.csv").toString()).contains("range = 'imatrix_mse'");
        // other calibration, other weights
        assertThat(loss(config(steps, WEIGHTED, activation), "less", "--set", "calibration.num_samples=1"))
                .isNotEqualTo(weighted);
    }

    /** The mean squares serve methods, too: whose weights ask for them does not matter. */
    @Test
    void theRangeOfWeightsLeavesCalibrationAsItIs() throws IOException {
        String step = "[[approximation]]\nmethod = \"qera_approx\"\nrank = 2\n";
        String activation = "format = \"none\"\n";
        loss(config(step, WEIGHTED, activation), "weighted");
        loss(config(step, WEIGHTED.replace("imatrix_mse", "minmax"), activation), "minmax");
        assertThat(tiny.stages("weighted", "fingerprint").get("calibrate"))
                .isEqualTo(tiny.stages("minmax", "fingerprint").get("calibrate"));
    }

    /** The tensor scales, by the last words of a weight's name. */
    private Map<String, String> scales(String tag) throws IOException {
        Map<String, String> scales = new TreeMap<>();
        JsonNode index = tiny.json(tag + "/quantize/weights.json").get("weights");
        Pattern amax = Pattern.compile("amax = ([^ ]+)");
        index.properties().forEach(entry -> {
            Matcher found = amax.matcher(entry.getValue().get("format").asString());
            scales.put(entry.getKey().replaceFirst("model\\.layers\\.", ""), found.find() ? found.group(1) : "");
        });
        return scales;
    }

    @ParameterizedTest
    @ValueSource(strings = {SMOOTH + GPTQ, "[[approximation]]\nmethod = \"lqer\"\nrank = 2\nof = \"weight\"\n"})
    void fusedWeightsHaveOneScale(String steps) throws IOException {
        requireOneScale(steps);
    }

    @ParameterizedTest
    @Tag("slow")
    @ValueSource(strings = {"", GPTQ, SMOOTH})
    void fusedWeightsHaveOneScaleAfterFewerSteps(String steps) throws IOException {
        requireOneScale(steps);
    }

    private void requireOneScale(String steps) throws IOException {
        String activation = "format = \"none\"\n";
        double shared = loss(config(steps, NVFP4, activation), "shared");
        Map<String, String> scales = scales("shared");
        for (int block = 0; block < 2; block++) {
            String attention = block + ".self_attn.";
            String mlp = block + ".mlp.";
            assertThat(scales.get(attention + "q_proj.weight"))
                    .isNotEmpty()
                    .isEqualTo(scales.get(attention + "k_proj.weight"))
                    .isEqualTo(scales.get(attention + "v_proj.weight"))
                    .isNotEqualTo(scales.get(attention + "o_proj.weight"));
            assertThat(scales.get(mlp + "gate_proj.weight"))
                    .isEqualTo(scales.get(mlp + "up_proj.weight"))
                    .isNotEqualTo(scales.get(mlp + "down_proj.weight"));
        }
        double own = loss(config(steps, NVFP4.replace("true", "false"), activation), "own");
        assertThat(shared).isNotEqualTo(own).isBetween(own - 0.1, own + 0.1);
    }

    /** Those beside it that have another format are not fused with it. */
    @Test
    void weightsOfOtherFormatsShareNothing() throws IOException {
        String override = """
                [[quantization.override]]
                pattern = ".*(q|k)_proj.weight"
                weight = { format = "int", bits = 8 }
                """;
        loss(config("", NVFP4, "format = \"none\"\n" + override), "some");
        loss(config("", NVFP4.replace("true", "false"), "format = \"none\"\n"), "own");
        assertThat(scales("some").get("0.self_attn.q_proj.weight")).isEmpty();
        assertThat(scales("some").get("0.self_attn.v_proj.weight")).isNotEmpty();
        assertThat(error("some")).isEqualTo(error("own"));
    }

    /** The last cell of a weight's row: its error. */
    private String error(String tag) throws IOException {
        String row =
                Objects.requireNonNull(tiny.rows(tag + "/quantize/layers.csv").get("model.layers.0.self_attn.v_proj"));
        return row.substring(row.lastIndexOf(','));
    }

    @Test
    void saysWhatDoesNotGoTogether() throws IOException {
        String none = "format = \"none\"\n";
        assertProblem(
                config("", WEIGHTED, none).replaceFirst("(?s)\\[calibration].*?batch_size = 2\n", ""),
                "quantization: the mean squares of range = \"imatrix_mse\" come from calibration: add a [calibration]");
        String step = "[[approximation]]\nmethod = \"omniquant\"\nlwc = false\n";
        for (String weight : new String[] {WEIGHTED, NVFP4}) {
            assertProblem(
                    config(step, weight, none),
                    "approximation.0.method: omniquant changes, while it is trained, the inputs and weights that");
        }
        assertProblem(
                config("", none, NVFP4),
                "quantization.activation.shared_scale: only the weights of linears have others beside them");
        assertProblem(
                config("", "format = \"nvfp4\"\nrule = \"torchao\"\ntensor_scale = false\nshared_scale = true\n", none),
                "quantization.weight.shared_scale: there is no tensor scale to share");
        assertProblem(
                config(
                        "[[approximation]]\nmethod = \"lqer\"\nfactor = { format = \"int\", bits = 8, grid = \"gptq\","
                                + " range = \"imatrix_mse\" }\n",
                        none,
                        none),
                "approximation.0.factor.range: \"imatrix_mse\" weighs errors by the input of a linear");
    }

    private void assertProblem(String config, String expected) throws IOException {
        Outcome outcome = tiny.run(config, "wrong");
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err()).contains(expected);
    }

    private void takeMixture() throws IOException {
        Path family = TinyFamilies.few().stream()
                .filter(path -> path.endsWith("qwen2_moe"))
                .findFirst()
                .orElseThrow();
        for (String file : new String[] {"config.json", "model.safetensors"}) {
            Files.copy(
                    family.resolve(file), folder.resolve("llama").resolve(file), StandardCopyOption.REPLACE_EXISTING);
        }
    }

    /** Two tokens come to four of the experts at most; the others weigh all columns alike. */
    @Test
    void expertsWithoutTokensAreRoundedNevertheless() throws IOException {
        takeMixture();
        String some = config("", WEIGHTED, "format = \"none\"\n")
                .replace("num_samples = 4", "num_samples = 1")
                .replace("seq_len = 24\nbatch_size = 2", "seq_len = 2\nbatch_size = 1\nmin_expert_tokens = 1");
        assertThat(loss(some, "some")).isFinite();
        assertThat(Files.readString(tiny.result("some/calibrate/experts.csv"))).contains(",0\n");
        String all = some.replace("min_expert_tokens = 1", "expert_policy = \"route_all\"");
        assertThat(loss(all, "all")).isNotEqualTo(loss(some, "some"));
        assertThat(loss(config("", NVFP4, "format = \"none\"\n"), "shared")).isFinite();
        assertThat(scales("shared").get("0.mlp.experts.1.gate_proj.weight"))
                .isNotEmpty()
                .isEqualTo(scales("shared").get("0.mlp.experts.1.up_proj.weight"))
                .isNotEqualTo(scales("shared").get("0.mlp.experts.2.up_proj.weight"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"percentile", "moving_average"})
    void rangesOfExpertsNeedTokens(String rule) throws IOException {
        requireTokens(rule);
    }

    @ParameterizedTest
    @Tag("slow")
    @ValueSource(strings = {"minmax", "mse"})
    void otherRangesOfExpertsNeedTokens(String rule) throws IOException {
        requireTokens(rule);
    }

    private void requireTokens(String rule) throws IOException {
        takeMixture();
        String activation = "format = \"int\"\nbits = 8\nrange = \"" + rule + "\"\ndynamic = false\n";
        String some = config("", "format = \"none\"\n", activation)
                .replace("num_samples = 4", "num_samples = 1")
                .replace("seq_len = 24\nbatch_size = 2", "seq_len = 2\nbatch_size = 1\nmin_expert_tokens = 1");
        Outcome outcome = tiny.run(some, "some");
        assertThat(outcome.code()).isEqualTo(1);
        assertThat(outcome.err())
                .contains("no token of calibration reaches the input of model.layers.")
                .contains("expert_policy = \"route_all\"")
                .doesNotContain("at dev.ptq");
        assertThat(loss(some.replace("min_expert_tokens = 1", "expert_policy = \"route_all\""), "all"))
                .isFinite();
    }

    /** Each path of samples goes through blocks as they will run, with the ranges that smoothing left. */
    @ParameterizedTest
    @ValueSource(strings = {"minmax", "mse"})
    void rangesAreTakenAgainAfterSmoothing(String rule) throws IOException {
        requireNewRanges(rule);
    }

    @ParameterizedTest
    @Tag("slow")
    @ValueSource(strings = {"percentile", "moving_average"})
    void otherRangesAreTakenAgainAfterSmoothing(String rule) throws IOException {
        requireNewRanges(rule);
    }

    private void requireNewRanges(String rule) throws IOException {
        String activation = "format = \"int\"\nbits = 8\nrange = \"" + rule + "\"\ndynamic = false\n";
        String weight = WEIGHTED.replace("imatrix_mse", "minmax").replace("bits = 3", "bits = 4");
        double found = loss(config(SMOOTH + GPTQ, weight, activation), "tag");
        double exact = loss(config(SMOOTH + GPTQ, weight, "format = \"none\"\n"), "exact");
        assertThat(found).isNotEqualTo(exact).isBetween(exact - 0.2, exact + 0.2);
        try (Safetensors weights = Safetensors.open(tiny.result("tag/approximate/weights/block-0.safetensors"))) {
            JsonNode ranges = JsonMapper.shared().readTree(weights.metadata().get("activation_ranges"));
            assertThat(ranges.size()).isEqualTo(7);
            assertThat(ranges.get("self_attn.q_proj").get(0).get("high").floatValue())
                    .isPositive();
        }
    }
}
