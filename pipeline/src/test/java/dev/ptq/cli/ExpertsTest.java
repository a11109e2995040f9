package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.artifact.LedgerEvent;
import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.model.TinyFamilies;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Mixtures of experts: methods work expert by expert, and what calibration hardly reaches is told. */
class ExpertsTest {
    private static final String MODEL = """
            [model]
            path = "DIR/model"
            [calibration]
            dataset = "DIR/text.txt"
            num_samples = 4
            seq_len = 24
            batch_size = 2
            %s
            """;

    private static final String REST = """
            [quantization.weight]
            format = "int"
            bits = 3
            granularity = "group"
            group_size = 16
            [quantization.activation]
            format = "mxint"
            bits = 8
            [evaluation]
            baselines = []
            [[evaluation.perplexity]]
            name = "tales"
            dataset = "DIR/text.txt"
            seq_len = 24
            max_samples = 4
            """;

    private static final String L2QER = """
            [[approximation]]
            method = "l2qer"
            rank = 4
            """;

    @TempDir
    private Path folder;

    private TinyExperiment tiny;

    /** With four experts, of which every token takes two, and one more that all tokens take. */
    @BeforeEach
    void write() throws IOException {
        tiny = new TinyExperiment(folder);
        Path family = TinyFamilies.few().stream()
                .filter(path -> path.endsWith("qwen2_moe"))
                .findFirst()
                .orElseThrow();
        Path model = Files.createDirectory(folder.resolve("model"));
        for (String file : new String[] {"config.json", "model.safetensors"}) {
            Files.copy(family.resolve(file), model.resolve(file));
        }
        Files.copy(folder.resolve("llama/tokenizer.json"), model.resolve("tokenizer.json"));
    }

    private Outcome run(String calibration, String steps, String tag) throws IOException {
        // AutoRound learns in a grid of its own
        String weights = steps.contains("autoround") ? "bits = 3\ngrid = \"full_range\"" : "bits = 3";
        return tiny.run(MODEL.formatted(calibration) + steps + REST.replaceFirst("bits = 3", weights), tag);
    }

    /** Runs and returns what is said of experts. */
    private String warning(String calibration, String steps, String tag) throws IOException {
        Outcome outcome = run(calibration, steps, tag);
        assertThat(outcome.code()).as(outcome.err()).isZero();
        return tiny.log(tag).stream()
                .filter(line -> line.contains("experts that calibration hardly reaches"))
                .collect(Collectors.joining("\n"));
    }

    /** The tokens of each expert, by block and number, as the run has them. */
    private Map<String, Integer> tokens(String tag) throws IOException {
        Map<String, Integer> tokens = new TreeMap<>();
        List<String> lines = Files.readAllLines(folder.resolve("results/" + tag + "/calibrate/experts.csv"));
        assertThat(lines.get(0)).isEqualTo("block,expert,tokens");
        for (String line : lines.subList(1, lines.size())) {
            String[] cells = line.split(",", -1);
            tokens.put(cells[0] + "." + cells[1], Integer.parseInt(cells[2]));
        }
        return tokens;
    }

    private List<String> corrected(String tag) throws IOException {
        List<String> modules = new ArrayList<>();
        try (Safetensors factors =
                Safetensors.open(folder.resolve("results/" + tag + "/approximate/low_rank.safetensors"))) {
            factors.entries().keySet().stream()
                    .filter(name -> name.endsWith(".A"))
                    .forEach(modules::add);
        }
        return modules;
    }

    /** An expert's tokens are not in sequences. */
    @Test
    void outliersAreSearchedForInBatches() throws IOException {
        String sequence = REST.replace("\"mxint\"", "\"llm_int8\"");
        String other = sequence
                + "[[quantization.override]]\npattern = '.*\\.experts\\.\\d.*'\nactivation = { format = 'int', bits = 8 }\n";
        Outcome refused = tiny.run(MODEL.formatted("") + sequence, "refused");
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err())
                .contains(
                        "quantization.activation: model.layers.0.mlp.experts.0.gate_proj.weight: an expert takes tokens"
                                + " of several sequences at once; set per = \"batch\", or give experts another format");
        assertThat(refused.err().lines()).hasSize(1);
        String batch = sequence.replace("\"llm_int8\"", "\"llm_int8\"\nper = \"batch\"");
        for (Map.Entry<String, String> fine :
                Map.of("batch", batch, "other", other).entrySet()) {
            Outcome outcome = tiny.run(MODEL.formatted("") + fine.getValue(), fine.getKey());
            assertThat(outcome.code()).as(outcome.err()).isZero();
        }
    }

    @Test
    void thoseThatCalibrationHardlyReachesAreRoundedToNearest() throws IOException {
        String all = warning("min_expert_tokens = 1", L2QER, "all");
        Map<String, Integer> tokens = tokens("all");
        // 4 samples of 24 tokens, two experts each
        assertThat(tokens.values().stream().mapToInt(Integer::intValue).sum()).isEqualTo(2 * 2 * 96);
        int most = tokens.values().stream().mapToInt(Integer::intValue).max().orElseThrow();
        assertThat(all).isEmpty();
        // 4 of attention, 3 of each expert and of the shared one, in two blocks
        assertThat(corrected("all")).hasSize(2 * (4 + 3 * 5));

        String few = warning("min_expert_tokens = " + most, L2QER, "few");
        long reached = tokens.values().stream().filter(count -> count == most).count();
        assertThat(few)
                .contains("calibrate: experts that calibration hardly reaches: " + (8 - reached) + ", such as blocks.")
                .contains(" tokens of calibration, expected at least " + most)
                .contains("rounded to nearest");
        assertThat(tiny.ledger("few"))
                .hasSize((int) (8 - reached))
                .allMatch(entry -> entry.event() == LedgerEvent.FEW_TOKENS
                        && Objects.requireNonNull(tokens.get(entry.place().replaceAll("blocks\\.(.)\\.experts", "$1")))
                                == entry.amount());
        assertThat(tiny.metrics("few").get("ledger/few_tokens")).isEqualTo(8.0 - reached);
        assertThat(corrected("few")).hasSize((int) (2 * (4 + 3) + 3 * reached));
        tokens.forEach((place, count) -> {
            String module =
                    "model.layers.%s.mlp.experts.%s.up_proj.A".formatted(place.substring(0, 1), place.substring(2));
            try {
                assertThat(corrected("few").contains(module)).isEqualTo(count == most);
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
        assertThat(loss("few")).isNotEqualTo(loss("all"));
    }

    private double loss(String tag) throws IOException {
        return Objects.requireNonNull(tiny.metrics(tag).get("perplexity/tales/loss"));
    }

    @Test
    void orTheRunEnds() throws IOException {
        Outcome outcome = run("min_expert_tokens = 97\nexpert_policy = \"error\"", L2QER, "tag");
        assertThat(outcome.code()).isEqualTo(1);
        assertThat(outcome.err())
                .contains("8 of 8 experts get fewer than 97 tokens of calibration: block 0 expert 0 (")
                .contains("take more samples, or another expert_policy than \"error\"")
                .doesNotContain("at dev.ptq");
    }

    @Test
    void orTheySeeAllTokens() throws IOException {
        assertThat(warning("min_expert_tokens = 97", L2QER, "few")).isNotEmpty();
        assertThat(warning("min_expert_tokens = 97\nexpert_policy = \"route_all\"", L2QER, "all"))
                .isEmpty();
        assertThat(tokens("all")).as("those of the router").isEqualTo(tokens("few"));
        assertThat(corrected("all")).hasSize(2 * (4 + 3 * 5));
    }

    @ParameterizedTest
    @CsvSource({
        "full_precision, qera_approx, 5",
        "quantized, qera_exact, 5",
        "true_sequential, qera_exact, 5",
        "true_sequential, l2qer, 97"
    })
    void correctionsTakeTheStatisticsOfEachExpert(String inputs, String method, int least) throws IOException {
        warning(
                "min_expert_tokens = " + least,
                "[[approximation]]\nmethod = \"%s\"\nrank = 4\ninputs = \"%s\"\n".formatted(method, inputs),
                "tag");
        assertThat(corrected("tag")).hasSize(least > 96 ? 2 * (4 + 3) : 2 * (4 + 3 * 5));
    }

    /** Also where some experts are left out: what is learned for the others is kept and read again. */
    @ParameterizedTest
    @CsvSource({"omniquant, 1", "affinequant, 97", "autoround, 97"})
    void blocksOfExpertsAreTrained(String method, int least) throws IOException {
        requireTraining(method, least);
    }

    @ParameterizedTest
    @Tag("slow")
    @CsvSource({"omniquant, 97", "lrquant, 1", "flexround, 97", "autoround, 1"})
    void soTheyAreByOtherMethods(String method, int least) throws IOException {
        requireTraining(method, least);
    }

    private void requireTraining(String method, int least) throws IOException {
        boolean isRounding = method.endsWith("round");
        String training = isRounding
                ? "iterations = 4\nbatch_size = 2\n"
                : "epochs = 1\nmappings = [\"attn_in\", \"v_o\", \"q_k\", \"mlp_in\", \"mlp_mid\"]\n";
        String step = "[[approximation]]\nmethod = \"" + method + "\"\n" + training;
        String warning = warning("min_expert_tokens = " + least, step, "tag");
        assertThat(warning.contains("experts that calibration hardly reaches: 8"))
                .isEqualTo(least > 96);
        if (!isRounding) {
            assertThat(tiny.metrics("tag").get("transform_distance")).isBetween(0.0, 1e-4);
        }
        try (Safetensors learned =
                Safetensors.open(folder.resolve("results/tag/approximate/parameters/block-0.safetensors"))) {
            assertThat(learned.entries().keySet().stream().anyMatch(name -> name.contains("experts.2")))
                    .isEqualTo(least == 1);
            assertThat(learned.entries().keySet()).anyMatch(name -> name.contains("shared_expert"));
        }
        double before = loss("tag");
        warning(
                "min_expert_tokens = " + least,
                step.replace("epochs = 1", "epochs = 0").replace("iterations = 4", "iterations = 0")
                        + "parameters = \"DIR/results/tag/approximate/parameters\"\n",
                "again");
        assertThat(loss("again")).isEqualTo(before);
    }

    /** Every weight that is left to plain rounding has a row and a line. */
    @Test
    void gptqLeavesThoseThatCalibrationHardlyReachesToPlainRounding() throws IOException {
        String gptq = "[[approximation]]\nmethod = \"gptq\"\n";
        Outcome outcome = run("min_expert_tokens = 97", gptq, "tag");
        assertThat(outcome.code()).as(outcome.err()).isZero();
        String note = "calibration hardly reaches the expert; rounded to nearest";
        assertThat(tiny.ledger("tag"))
                .filteredOn(entry -> entry.event() == LedgerEvent.FELL_BACK)
                .hasSize(2 * 3 * 4)
                .allMatch(entry -> entry.source().equals("gptq")
                        && entry.note().equals(note)
                        && entry.place().contains(".mlp.experts."));
        assertThat(tiny.metrics("tag").get("ledger/fell_back")).isEqualTo(24.0);
        assertThat(tiny.log("tag"))
                .filteredOn(line -> line.contains("WARN"))
                .filteredOn(line ->
                        line.contains("approximate, block 1: weights left to rounding to nearest: 12, such as "))
                .hasSize(1);
        assertThat(outcome.out())
                .contains("ledger: calibrate: experts that calibration hardly reaches: 8, such as blocks.0.experts.0: ")
                .contains("ledger: gptq: weights left to rounding to nearest: 24, such as");

        Outcome strict =
                tiny.run("strict = true\n" + MODEL.formatted("min_expert_tokens = 97") + gptq + REST, "strict");
        assertThat(strict.code()).isEqualTo(1);
        assertThat(strict.err())
                .contains("blocks.0.experts.0: calibrate: ")
                .contains("; take more samples, or set calibration.expert_policy = \"route_all\"")
                .contains("(strict = true)")
                .doesNotContain("at dev.ptq");
        assertThat(tiny.result("strict")).doesNotExist();

        Outcome complete = tiny.run("strict = true\n" + MODEL.formatted("min_expert_tokens = 97") + gptq + REST, "tag");
        assertThat(complete.code()).isEqualTo(1);
        assertThat(complete.err()).contains("results/tag/ledger.csv: blocks.0.experts.0: calibrate: ");
    }

    /** The mapping into the mixture is one of all experts; those within an expert are left alone where few tokens come. */
    @ParameterizedTest
    @CsvSource({"1, round_to_nearest", "97, round_to_nearest", "97, route_all"})
    void scalesAreSearchedForEachExpert(int least, String policy) throws IOException {
        warning(
                "min_expert_tokens = " + least + "\nexpert_policy = \"" + policy + "\"",
                "[[approximation]]\nmethod = \"awq\"\n[[approximation]]\nmethod = \"gptq\"\n",
                "tag");
        assertThat(tiny.metrics("tag").get("transform_distance")).isBetween(0.0, 1e-4);
        List<String> rows = Files.readAllLines(folder.resolve("results/tag/approximate/layers.csv"));
        boolean isLeft = least > 96 && policy.equals("round_to_nearest");
        assertThat(rows)
                .filteredOn(row -> row.matches("blocks\\.[01]\\.mlp_mid\\.[0-3],awq,.*"))
                .hasSize(isLeft ? 0 : 8);
        assertThat(tiny.ledger("tag"))
                .filteredOn(entry -> entry.event() == LedgerEvent.NOT_RESCALED)
                .hasSize(isLeft ? 8 : 0)
                .allMatch(entry -> entry.place().matches("blocks\\.[01]\\.mlp_mid\\.[0-3]")
                        && entry.note().equals("calibration hardly reaches the expert; not rescaled"));
        assertThat(rows)
                .filteredOn(row -> row.contains("experts.0.up_proj,awq"))
                .hasSize(isLeft ? 0 : 2);
        assertThat(rows)
                .filteredOn(row -> row.matches("blocks\\.[01]\\.(mlp_in|mlp_mid\\.shared),awq,.*"))
                .hasSize(4)
                .noneMatch(row -> row.contains("hardly"));
    }

    @Test
    void rangesThatAreFoundBeforehandNeedTokens() throws IOException {
        Outcome outcome = tiny.run(
                MODEL.formatted("min_expert_tokens = 1\nexpert_policy = \"route_all\"")
                        + REST.replace(
                                "format = \"mxint\"\nbits = 8",
                                "format = \"int\"\nbits = 8\ngranularity = \"tensor\"\ndynamic = false"),
                "tag");
        assertThat(outcome.code()).as(outcome.err()).isZero();
        assertThat(tokens("tag")).hasSize(8);
    }

    @Test
    void otherModelsHaveNoSuchKeys() throws IOException {
        tiny.config((MODEL.formatted("min_expert_tokens = 5") + L2QER + REST).replace("DIR/model", "DIR/llama"));
        Outcome outcome = tiny.execute("validate", "DIR/config.toml");
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err()).contains("calibration.min_expert_tokens: the model has no experts; leave it out");
    }
}
