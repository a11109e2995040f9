package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.family.ModelConfig;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.TinyFamilies;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every family goes from calibration through smoothing, low-rank correction and W4A8 to perplexity. */
class FamilyRunsTest {
    private static final String SMOOTHED = """
            [[approximation]]
            method = "smoothquant"
            """;

    private static final String CORRECTED = """
            [[approximation]]
            method = "l2qer"
            rank = 4
            """;

    private static final String QUANTIZED = """
            [model]
            path = "DIR/model"
            [quantization.weight]
            format = "mxint"
            bits = 4
            [quantization.activation]
            format = "mxint"
            bits = 8
            [quantization.attention]
            left = { format = "mxint", bits = 8 }
            right = { format = "mxint", bits = 8 }
            [evaluation]
            [[evaluation.perplexity]]
            name = "tales"
            dataset = "DIR/text.txt"
            seq_len = 48
            max_samples = 4
            """;

    private static final String CACHED = """
            [model]
            path = "DIR/model"
            [quantization.kv]
            key = { format = "int", bits = 3, per = "channel", group_size = 8 }
            value = { format = "int", bits = 3 }
            rotary = "before"
            window = 5
            [evaluation]
            baselines = ["full_precision"]
            [[evaluation.perplexity]]
            name = "tales"
            dataset = "DIR/text.txt"
            seq_len = 48
            max_samples = 4
            """;

    private static final String STATIC = TinyExperiment.CALIBRATED
            + CACHED.replace(
                            "bits = 3, per = \"channel\", group_size = 8",
                            "bits = 4, per = \"channel\", dynamic = false")
                    .replace("value = { format = \"int\", bits = 3 }", """
                            value = { format = "int", bits = 4, dynamic = false, range = "percentile" }""");

    @TempDir
    private Path folder;

    static Stream<Path> few() throws IOException {
        return TinyFamilies.few().stream();
    }

    /** With linear biases, with a rotation of a part of each head, and with experts. */
    static Stream<Path> three() throws IOException {
        return few().filter(path -> path.getFileName().toString().matches("mpt.*|gpt_neox.*|qwen2_moe"));
    }

    static Stream<Path> all() throws IOException {
        return TinyFamilies.folders().stream();
    }

    @ParameterizedTest
    @MethodSource("few")
    void aFewRun(Path family) throws IOException {
        run(family);
    }

    @ParameterizedTest
    @MethodSource("all")
    @Tag("slow")
    void allRun(Path family) throws IOException {
        run(family);
    }

    @ParameterizedTest
    @MethodSource("three")
    void aFewRunWithACache(Path family) throws IOException {
        runWithCache(family, CACHED);
    }

    @ParameterizedTest
    @MethodSource("three")
    void aFewRunWithAStaticCache(Path family) throws IOException {
        runWithCache(family, STATIC);
    }

    @ParameterizedTest
    @MethodSource("all")
    @Tag("slow")
    void allRunWithAStaticCache(Path family) throws IOException {
        runWithCache(family, STATIC);
    }

    @ParameterizedTest
    @MethodSource("all")
    @Tag("slow")
    void allRunWithACache(Path family) throws IOException {
        runWithCache(family, CACHED);
    }

    @ParameterizedTest
    @MethodSource("three")
    void aFewRunWithShiftedRounding(Path family) throws IOException {
        runShifted(family);
    }

    @ParameterizedTest
    @MethodSource("all")
    @Tag("slow")
    void allRunWithShiftedRounding(Path family) throws IOException {
        runShifted(family);
    }

    /** AutoRound between what rescales and what corrects: no block is worse than with plain rounding. */
    private void runShifted(Path family) throws IOException {
        TinyExperiment tiny = prepared(folder, family);
        boolean isSmoothed = LanguageModel.mappings(ModelConfig.read(folder.resolve("model")), 0).stream()
                .anyMatch(mapping -> mapping.kind().afterNorm());
        String shifted = "[[approximation]]\nmethod = \"autoround\"\niterations = 6\nbatch_size = 2\n";
        String integers = QUANTIZED.replaceFirst("format = \"mxint\"", "format = \"int\"\ngrid = \"full_range\"");
        Outcome outcome = tiny.run(
                TinyExperiment.CALIBRATED + (isSmoothed ? SMOOTHED : "") + shifted + CORRECTED + integers, "tag");
        assertThat(outcome.code()).as(outcome.err()).isZero();
        assertThat(tiny.metrics("tag").get("perplexity/tales/loss"))
                .isBetween(4.0, 9.0)
                .isNotEqualTo(tiny.metrics("tag").get("full_precision/perplexity/tales/loss"));
        List<String> lines = Files.readAllLines(folder.resolve("results/tag/approximate/layers.csv"));
        List<String> header = List.of(lines.get(0).split(",", -1));
        List<String[]> blocks = lines.stream()
                .map(line -> line.split(",", -1))
                .filter(cells -> cells[0].startsWith("blocks.") && cells[1].equals("autoround"))
                .toList();
        assertThat(blocks).isNotEmpty();
        for (String[] cells : blocks) {
            assertThat(Double.parseDouble(cells[header.indexOf("loss_final")]))
                    .isLessThanOrEqualTo(Double.parseDouble(cells[header.indexOf("loss_initial")]));
        }
    }

    @ParameterizedTest
    @MethodSource("three")
    void aFewRunWithALowRankPartOfBoth(Path family) throws IOException {
        runInOrders(family, "method = 'srr'\nrank = 4\nalternate = 1\nshared_factor = true");
    }

    @ParameterizedTest
    @MethodSource("all")
    @Tag("slow")
    void allRunWithLowRankPartsInOtherOrders(Path family) throws IOException {
        String some = ".*(attn|attention).*";
        runInOrders(
                family,
                "method = 'svdquant'\nrank = 4\nalternate = 1\n[[approximation]]\nmethod = 'gptq'",
                "method = 'srr'\nrank = 4\nalternate = 2\ninputs = 'true_sequential'",
                "method = 'gptq'\n[[approximation]]\nmethod = 'eora'\nrank_budget = 0.9\nrefit = true\nshared_factor = true",
                "method = 'lqer'\nrank = 2\nalternate = 2\npattern = '" + some
                        + "'\n[[approximation]]\nmethod = 'srr'\nrank = 2\npattern = '(?!" + some + ").*'");
    }

    private void runInOrders(Path family, String... orders) throws IOException {
        TinyExperiment tiny = prepared(folder, family);
        for (int i = 0; i < orders.length; i++) {
            String tag = "order-" + i;
            Outcome outcome =
                    tiny.run(TinyExperiment.CALIBRATED + "[[approximation]]\n" + orders[i] + "\n" + QUANTIZED, tag);
            assertThat(outcome.code()).as(outcome.err()).isZero();
            assertThat(tiny.metrics(tag).get("perplexity/tales/loss"))
                    .as(orders[i])
                    .isBetween(4.0, 9.0)
                    .isNotEqualTo(tiny.metrics(tag).get("full_precision/perplexity/tales/loss"));
        }
    }

    private void runWithCache(Path family, String toml) throws IOException {
        TinyExperiment tiny = prepared(folder, family);
        Outcome outcome = tiny.run(toml, "tag");
        assertThat(outcome.code()).as(outcome.err()).isZero();
        Map<String, Double> metrics = tiny.metrics("tag");
        assertThat(metrics.get("perplexity/tales/loss"))
                .isBetween(4.0, 9.0)
                .isNotEqualTo(metrics.get("full_precision/perplexity/tales/loss"));
        assertThat(metrics.get("perplexity/tales/kv_bits_per_value")).isBetween(3.0, 16.0);
        assertThat(metrics).doesNotContainKey("full_precision/perplexity/tales/kv_bits_per_value");
    }

    /** A folder with the weights of a family's tiny model, in {@code DIR/model}. */
    static TinyExperiment prepared(Path folder, Path family) throws IOException {
        TinyExperiment tiny = new TinyExperiment(folder);
        Path model = Files.createDirectory(folder.resolve("model"));
        for (String file : new String[] {"config.json", "model.safetensors"}) {
            Files.copy(family.resolve(file), model.resolve(file));
        }
        Files.copy(folder.resolve("llama/tokenizer.json"), model.resolve("tokenizer.json"));
        return tiny;
    }

    private void run(Path family) throws IOException {
        TinyExperiment tiny = prepared(folder, family);
        Path model = folder.resolve("model");
        boolean isSmoothed = LanguageModel.mappings(ModelConfig.read(model), 0).stream()
                .anyMatch(mapping -> mapping.kind().afterNorm());
        Outcome outcome =
                tiny.run(TinyExperiment.CALIBRATED + (isSmoothed ? SMOOTHED : "") + CORRECTED + QUANTIZED, "tag");
        assertThat(outcome.code()).as(outcome.err()).isZero();
        assertThat(tiny.log("tag"))
                .filteredOn(line -> line.contains("WARN") || line.contains("not read"))
                .allMatch(line -> line.contains("leaves a mapping out")
                        || line.contains(": experts that calibration hardly reaches: "));
        Map<String, Double> metrics = tiny.metrics("tag");
        assertThat(metrics.get("perplexity/tales/loss"))
                .isBetween(4.0, 9.0)
                .isNotEqualTo(metrics.get("full_precision/perplexity/tales/loss"))
                .isNotEqualTo(metrics.get("round_to_nearest/perplexity/tales/loss"));
        if (isSmoothed) {
            assertThat(metrics.get("transform_distance")).isBetween(0.0, 1e-4);
        }
    }
}
