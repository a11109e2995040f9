package dev.ptq.lqer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.config.ConfigException;
import dev.ptq.evaluate.PerplexityProtocol;
import dev.ptq.evaluate.task.Profile;
import dev.ptq.evaluate.task.TasksSettings;
import dev.ptq.format.BlockFloatFormat;
import dev.ptq.format.FixedPointFormat;
import dev.ptq.format.MinifloatFormat;
import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.method.LowRankCorrection;
import dev.ptq.method.LowRankCorrection.Metric;
import dev.ptq.model.AttentionFormats;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearFormats;
import dev.ptq.model.SyntheticModel;
import dev.ptq.stage.Experiment;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Files in LQER's layout, one for each way in which it is used, and what becomes of them. */
class ImportedExperimentTest {
    private static final NoFormat NONE = new NoFormat();

    private static final String BASELINE =
            "model_name = \"m\"\n[evaluate]\nevaluate_baseline = true\nhf_quant_method = \"%s\"\n";

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(
            strings = {"act", "act-int", "weight-only", "svd", "no-lqer", "mixed", "baseline-gptq", "baseline-int8"})
    void becomesThisExperiment(String sample) throws IOException {
        assertThat(imported(sample).toml()).isEqualTo(resource(sample + ".ptq.toml"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"act", "act-int", "weight-only", "svd", "no-lqer", "mixed", "baseline-gptq", "baseline-int8"})
    void isAcceptedWhereModelAndTextsAre(String sample) throws IOException {
        assertThat(experiment(sample).evaluation().perplexities())
                .singleElement()
                .satisfies(perplexity -> assertThat(perplexity.protocol()).isEqualTo(PerplexityProtocol.LQER));
        assertThat(experiment(sample).evaluation().baselines()).isEmpty();
    }

    @Test
    void translatesEveryOperand() throws IOException {
        Experiment experiment = experiment("act");

        assertThat(experiment.quantization().linear())
                .isEqualTo(new LinearFormats(mxint(4, 1, 16), mxint(8, 1, 16), mxint(8, -1)));
        assertThat(experiment.quantization().attention())
                .isEqualTo(new AttentionFormats(mxint(8, 1, 16), mxint(8, 1, 16)));
        assertThat(corrections(experiment)).singleElement().satisfies(step -> {
            assertThat(step.metric()).isEqualTo(Metric.MEAN_ABS);
            assertThat(step.rank()).isEqualTo(16);
            assertThat(step.factor()).isEqualTo(mxint(8, 16, 1));
            assertThat(step.productA()).isEmpty();
            assertThat(step.productB()).isEmpty();
            assertThat(step.solver().iterations()).isZero();
        });
        assertThat(corrected(experiment)).isEqualTo(14);
        assertThat(experiment.calibration().orElseThrow())
                .satisfies(calibration -> assertThat(
                                List.of(calibration.numSamples(), calibration.seqLen(), calibration.batchSize()))
                        .isEqualTo(List.of(32, 2048, 2)));
    }

    @Test
    void leavesOutWhatIsNotRounded() throws IOException {
        Experiment experiment = experiment("act-int");

        assertThat(experiment.quantization().linear()).isEqualTo(new LinearFormats(mxint(4, 1, -1), NONE, NONE));
        assertThat(experiment.quantization().attention()).isEqualTo(AttentionFormats.none());
        assertThat(corrections(experiment))
                .extracting(LowRankCorrection::factor)
                .containsExactly(NONE);
        assertThat(experiment.evaluation().perplexities().get(0).maxSamples()).hasValue(40);
        assertThat(experiment("weight-only").quantization().linear())
                .isEqualTo(new LinearFormats(mxint(3, 1, 32), NONE, NONE));
    }

    @Test
    void takesTheProductsOfTheFamily() throws IOException {
        Experiment experiment = experiment("svd");

        assertThat(experiment.quantization().attention())
                .isEqualTo(new AttentionFormats(mxint(6, 1, 16), mxint(7, 1, 16)));
        assertThat(corrections(experiment)).singleElement().satisfies(step -> {
            assertThat(step.metric()).isEqualTo(Metric.IDENTITY);
            assertThat(step.productA()).contains(mxint(8, 1, 16));
            assertThat(step.productB()).isEmpty();
        });
        assertThat(corrected(experiment)).isEqualTo(12);
        assertThat(experiment.calibration()).isEmpty();
    }

    @Test
    void withoutLqerIsRoundToNearest() throws IOException {
        Experiment experiment = experiment("no-lqer");

        assertThat(experiment.steps().steps()).isEmpty();
        assertThat(experiment.calibration()).isEmpty();
        assertThat(experiment.quantization().linear())
                .isEqualTo(new LinearFormats(mxint(8, 1, -1), mxint(8, 1, -1), mxint(8, -1)));
    }

    @Test
    void translatesLayersOneByOne() throws IOException {
        Experiment experiment = experiment("mixed");
        NumberFormat minifloat = new MinifloatFormat(5, 3, 3);
        NumberFormat fixed = new FixedPointFormat(10, 5, true);
        NumberFormat wider = new FixedPointFormat(12, 7, true);

        assertThat(experiment.quantization().attention())
                .isEqualTo(new AttentionFormats(new FixedPointFormat(8, -2, false), new MinifloatFormat(8, 4, 9)));
        assertThat(experiment.quantization().formats("model.layers.0.self_attn.q_proj.weight"))
                .isEqualTo(new LinearFormats(minifloat, fixed, fixed));
        assertThat(experiment.quantization().formats("model.layers.1.self_attn.q_proj.weight"))
                .isEqualTo(new LinearFormats(wider, wider, wider));
        assertThat(experiment.quantization().formats("model.layers.1.self_attn.v_proj.weight"))
                .isEqualTo(new LinearFormats(minifloat, fixed, fixed));
        assertThat(experiment.quantization().formats("model.layers.1.mlp.down_proj.weight"))
                .isEqualTo(new LinearFormats(new MinifloatFormat(8, 4, 9), fixed, fixed));
        assertThat(corrections(experiment)).extracting(LowRankCorrection::rank).containsExactly(4, 12, 12);
        assertThat(corrected(experiment)).isEqualTo(9);
    }

    @Test
    void warnsWithThePlace() throws IOException {
        assertThat(imported("act").warnings())
                .containsExactly("act.toml:47:5: l_config.linear.rank = 32: approximate.approximator has 16, which"
                        + " counts here");
        assertThat(imported("mixed").warnings())
                .extracting(warning -> warning.substring(0, warning.indexOf(": ", 20)))
                .containsExactly(
                        "mixed.toml:29:13: approximate.approximator.wide.W_quantizer",
                        "mixed.toml:31:13: approximate.approximator.wide.B_quantizer",
                        "mixed.toml:34:5: l_config.linear.rank = 4",
                        "mixed.toml:36:1: q_config.model_layer",
                        "mixed.toml:51:9: q_config.model_layer_1.self_attn.v_proj.name = \"flexible\"");
        for (String sample : List.of("act-int", "weight-only", "svd", "no-lqer", "baseline-gptq", "baseline-int8")) {
            assertThat(imported(sample).warnings()).isEmpty();
        }
    }

    @Test
    void takesAnotherModelPath() throws IOException {
        assertThat(ImportedExperiment.read(sample("act"), List.of(), Optional.of("/models/it's here"))
                        .toml())
                .contains(
                        "# model_name = \"example-org/small-llama\": --model was given instead\n",
                        "path = \"/models/it's here\"\n");
    }

    @Test
    void takesOverridesAsLqersScriptsDo() throws IOException {
        String toml = ImportedExperiment.read(
                        sample("act"),
                        List.of(
                                "--approximate:approximator:default:rank=8",
                                "--l_config:linear:rank=8",
                                "--approximate:approximator:default:A_quantizer:block_size=:ast:[1, 32]",
                                "--approximate:approximator:default:B_quantizer:block_size=:ast:[1,32]",
                                "-q_config:linear:x_quantizer:name=passthrough",
                                "--evaluate:perplexity:num_samples=12",
                                "--enable_harness_downstream_evaluation=:ast:0",
                                "--tags=:ast:['a=b']"),
                        Optional.empty())
                .toml();

        assertThat(toml)
                .doesNotContain("WARNING")
                .contains(
                        "rank = 8\n",
                        "factor = { format = \"mxint\", bits = 8, block_size = [1, 32], exponent_bits = 8 }\n",
                        "activation = { format = \"none\" }\n",
                        "max_samples = 12\n",
                        "# evaluate.harness_downstream.batch_size = 8: enable_harness_downstream_evaluation = false\n",
                        "# tags = [\"a=b\"]: ");
    }

    @Test
    void tasksKeepTheRulesOfLqersHarness() throws IOException {
        Experiment experiment = experiment("act");
        TasksSettings tasks = experiment.evaluation().tasks().orElseThrow();
        assertThat(tasks.profile()).isEqualTo(Profile.LQER);
        assertThat(tasks.names()).containsExactly("arc_easy", "piqa");

        ImportedExperiment other = ImportedExperiment.read(
                sample("act"),
                List.of(
                        "--evaluate:harness_downstream:datasets=:ast:['arc_easy','triviaqa']",
                        "--evaluate:harness_downstream:num_fewshot=5"),
                Optional.empty());
        assertThat(other.toml())
                .contains("[evaluation.tasks]\n", "names = [\"arc_easy\"]\nprofile = \"lqer-0.3\"\nnum_fewshot = 5\n");
        assertThat(other.warnings())
                .hasSize(2)
                .last()
                .asString()
                .contains("evaluate.harness_downstream.datasets", "ptq has no triviaqa; ptq list tasks");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--modle              | expected an option of import-lqer, or --section:key=value",
                "value                | expected an option of import-lqer, or --section:key=value",
                "--l_config:linaer:rank=8 | the file has no section \"linaer\"; did you mean \"linear\"?",
                "--l_config:linear:rnak=8 | the file has no key \"rnak\"; did you mean \"rank\"?",
                "--l_config:linear:rank=x | expected a number, as the file has",
                "--enable_wandb=False     | expected :ast:True or :ast:False; LQER takes any other text as true",
                "--wandb:tags=a           | expected :ast: and a literal of Python, as the file has []",
                "--wandb:tags=:ast:[      | wandb.tags: expected a comma or ] at character 2 of the Python literal"
            })
    void refusesOverridesThatAreWrong(String override, String message) throws IOException {
        Path file = sample("act");
        assertThatThrownBy(() -> ImportedExperiment.read(file, List.of(override), Optional.empty()))
                .isInstanceOf(ConfigException.class)
                .hasMessageStartingWith(override + ": ")
                .hasMessageContaining(override.endsWith("[") ? "wandb.tags: expected" : message);
    }

    @Test
    void reportsAllProblemsInTheirOrder() {
        assertRefused(
                """
                model_name = 7
                [profile]
                    dataset = ["a"]
                    num_samples = "many"
                [approximate]
                    name = "lqer-atc"
                    [approximate.approximator]
                        '(' = "default"
                        'model\\..*' = "defualt"
                        [approximate.approximator.default]
                            rank = 0
                            W_quantizer = { name = "block_pf", width = 4 }
                            A_quantizer = { name = "minifloat", width = 4, exponent_width = 9 }
                            B_quantizer = { name = "integer", width = 8 }
                [q_config.linear]
                    x_quantizer = { name = "block_fp", width = 40, block_size = [0, 16] }
                    w_quantizer = "block_fp"
                    is_ptq = "yes"
                """,
                "1:1: model_name: expected a text, got 7",
                "1:1: model_name: expected a text, but it is missing; --model PATH may be given instead",
                "6:5: approximate.name: expected one of [lqer-act, lqer-svd], got \"lqer-atc\"; did you mean"
                        + " \"lqer-act\"?",
                "8:9: approximate.approximator.\"(\": expected a regular expression as the key: Unclosed group",
                "9:9: approximate.approximator.'model\\..*': expected the name of an entry beside it, one of [default],"
                        + " got \"defualt\"; did you mean \"default\"?",
                "11:13: approximate.approximator.default.rank: expected a whole number of at least 1, got 0",
                "12:29: approximate.approximator.default.W_quantizer.name: expected one of [block_fp, integer,"
                        + " minifloat, passthrough], got \"block_pf\"; did you mean \"block_fp\"?",
                "13:60: approximate.approximator.default.A_quantizer.exponent_width: expected a whole number from 1 to"
                        + " 8, got 9",
                "14:13: approximate.approximator.default.B_quantizer.frac_width: expected a whole number, but it is"
                        + " missing",
                "16:40: q_config.linear.x_quantizer.width: expected a whole number from 2 to 23, got 40",
                "16:52: q_config.linear.x_quantizer.block_size: expected one or two numbers, each at least 1 or -1 for"
                        + " the whole dimension, got [0, 16]",
                "17:5: q_config.linear.w_quantizer: expected a table, got \"block_fp\"",
                "18:5: q_config.linear.is_ptq: expected true or false, got \"yes\"");
    }

    @Test
    void reportsAllLiteralsThatAreNone() {
        assertRefused(
                """
                tags = ":ast:['a', 'b'"
                [profile]
                    device_map = ":ast:__import__('os')"
                """,
                "1:1: tags: expected a comma or ] at character 10 of the Python literal, got its end",
                "3:5: profile.device_map: expected a value at character 1 of the Python literal, got"
                        + " \"__import__('os')\"");
    }

    @Test
    void refusesWhatIsNotToml() {
        assertThatThrownBy(() -> read("[profile\nname = 1\n"))
                .isInstanceOf(ConfigException.class)
                .hasMessageStartingWith(folder.resolve("lqer.toml") + ":1:9: ");
    }

    @Test
    void refusesOtherFiles() {
        assertRefused(
                "seed = 0\n[model]\npath = \"reference\"\n",
                "1:1: expected an experiment file of LQER, with at least one of the sections profile, approximate,"
                        + " q_config, evaluate");
    }

    @Test
    void baselinesAreLoadedAsTheFileSays() throws IOException {
        for (String packed : List.of("gptq", "autogptq", "awq", "fp16", "fp32")) {
            assertThat(read(BASELINE.formatted(packed)).toml().lines().filter(line -> !line.startsWith("#")))
                    .containsExactly("", "[model]", "path = \"m\"", "", "", "[evaluation]", "baselines = []");
        }
        assertThat(read(BASELINE.formatted("fp32")).toml()).contains("in float32, and so does ptq\n");
        assertThat(read(BASELINE.formatted("llm_int8")).toml())
                .contains("activation = { format = \"llm_int8\", bits = 8, threshold = 6.0, per = \"batch\" }\n");
        ImportedExperiment four = read(BASELINE.formatted("llm_int4"));
        assertThat(four.toml()).contains("weight = { format = \"nf4\", block_size = 64 }\n");
        assertThat(four.warnings()).singleElement().asString().contains(":4:1: ", "FP4", "NF4");
        // a flag that is off is a file like any other
        assertThat(read(BASELINE.formatted("gptq").replace("true", "false")).warnings())
                .anyMatch(warning -> warning.contains("q_config"));
    }

    @Test
    void refusesBaselinesThatItDoesNotKnow() {
        String names =
                "evaluate.hf_quant_method: expected one of [fp32, fp16, gptq, autogptq, awq, llm_int8, llm_int4], ";
        assertRefused(BASELINE.formatted("awk"), "4:1: " + names + "got \"awk\"; did you mean \"awq\"?");
        assertRefused(BASELINE.formatted("GPTQ"), "4:1: " + names + "got \"GPTQ\"; did you mean \"gptq\"?");
        assertRefused(BASELINE.formatted("NA"), "4:1: " + names + "but it is missing");
        assertRefused(
                BASELINE.replace("hf_quant_method = \"%s\"\n", "").replace("model_name = \"m\"\n", ""),
                "1:1: model_name: expected a text, but it is missing; --model PATH may be given instead",
                "1:1: " + names + "but it is missing");
        assertRefused(BASELINE.replace("\"%s\"", "4"), "4:1: evaluate.hf_quant_method: expected a text, got 4");
    }

    /** What LQER itself would stop at, but which says enough. */
    @Test
    void makesDoWithLittle() throws IOException {
        ImportedExperiment imported = read("""
            model_name = "m"
            [approximate]
            name = "act"
            [approximate.approximator.default]
            rank = 4
            W_quantizer = { name = "block_fp", width = 4, block_size = [1, 16], skip_first_dim = false }
            A_quantizer = { name = "passthrough" }
            B_quantizer = { name = "passthrough" }
            """);

        assertThat(imported.toml().lines().filter(line -> !line.startsWith("#")))
                .containsExactly(
                        "",
                        "[model]",
                        "path = \"m\"",
                        "",
                        "[calibration]",
                        "dataset = \"train.txt\"",
                        "sample = \"start\"",
                        "",
                        "",
                        "[[approximation]]",
                        "method = \"l2qer\"",
                        "rank = 4",
                        "factor = { format = \"none\" }",
                        "pattern = \".*\"",
                        "",
                        "[quantization]",
                        "weight = { format = \"mxint\", bits = 4, block_size = [1, 16], exponent_bits = 8 }",
                        "activation = { format = \"none\" }",
                        "bias = { format = \"none\" }",
                        "",
                        "[evaluation]",
                        "baselines = []");
        assertThat(imported.warnings()).hasSize(3);
    }

    @Test
    void takesPatternsOfLinearsToo() throws IOException {
        ImportedExperiment imported = read("""
            model_name = "m"
            [q_config.linear]
            'model\\.layers\\.0\\.mlp\\.up_proj' = "eight"
            'model\\.layers\\.[1-9]\\..*' = "default"
            [q_config.linear.default]
            name = "flexible"
            x_quantizer = { name = "passthrough" }
            w_quantizer = { name = "integer", width = 4, frac_width = 3 }
            [q_config.linear.eight]
            w_quantizer = { name = "integer", width = 8, frac_width = 7 }
            [evaluate]
            disable_lqer = true
            """);

        assertThat(imported.toml()).contains("""
            # q_config.linear.'model\\.layers\\.0\\.mlp\\.up_proj' = "eight": LQER itself reads no patterns here
            # q_config.linear.'model\\.layers\\.[1-9]\\..*' = "default": the formats of all linears
            weight = { format = "fixed", bits = 4, fraction_bits = 3, signed = true }
            activation = { format = "none" }
            """, """
            [[quantization.override]]
            pattern = '(model\\.layers\\.0\\.mlp\\.up_proj)\\.weight'
            weight = { format = "fixed", bits = 8, fraction_bits = 7, signed = true }
            """);
    }

    /** Comments are lines: nothing that a file holds may end one. */
    @Test
    void commentsStayComments() throws IOException {
        String toml = read("""
            model_name = "m"
            "line\\nend = 1" = "one\\ntwo = 2\\u0085three"
            tags = ":ast:['a\\\\nb = 3']"
            [q_config.linear]
            w_quantizer = { name = "passthrough", "a\\nb" = "c\\nd" }
            x_quantizer = { name = "passthrough" }
            [evaluate]
            disable_lqer = true
            """).toml();

        assertThat(toml.lines().filter(line -> !line.isEmpty() && !line.startsWith("#")))
                .containsExactly(
                        "[model]",
                        "path = \"m\"",
                        "[quantization]",
                        "weight = { format = \"none\" }",
                        "activation = { format = \"none\" }",
                        "bias = { format = \"none\" }",
                        "[quantization.attention]",
                        "left = { format = \"none\" }",
                        "right = { format = \"none\" }",
                        "[evaluation]",
                        "baselines = []");
    }

    private ImportedExperiment read(String lqer) throws IOException {
        return ImportedExperiment.read(
                Files.writeString(folder.resolve("lqer.toml"), lqer), List.of(), Optional.empty());
    }

    private void assertRefused(String lqer, String... problems) {
        assertThatThrownBy(() -> read(lqer))
                .isInstanceOfSatisfying(
                        ConfigException.class,
                        refusal -> assertThat(refusal.problems())
                                .map(problem -> problem.replace(folder.resolve("lqer.toml") + ":", ""))
                                .containsExactly(problems));
    }

    private ImportedExperiment imported(String sample) throws IOException {
        ImportedExperiment imported = ImportedExperiment.read(sample(sample), List.of(), Optional.empty());
        return new ImportedExperiment(
                imported.toml(),
                imported.warnings().stream()
                        .map(warning -> warning.replace(folder + "/", ""))
                        .toList());
    }

    private Path sample(String name) throws IOException {
        return Files.writeString(folder.resolve(name + ".toml"), resource(name + ".toml"));
    }

    private static String resource(String name) throws IOException {
        try (InputStream in = Objects.requireNonNull(ImportedExperimentTest.class.getResourceAsStream(name), name)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    /** The sample on a model of random weights and a text of one's own. */
    private Experiment experiment(String sample) throws IOException {
        String toml = imported(sample).toml();
        boolean opt = toml.contains("decoder");
        Path model = folder.resolve(opt ? "opt" : "llama");
        if (!Files.exists(model)) {
            (opt ? SyntheticModel.opt() : SyntheticModel.llama())
                    .positions(2048)
                    .vocabulary(259)
                    .tokenizer()
                    .write(model);
        }
        Path text = folder.resolve("text");
        for (String name :
                List.of("train.txt", "test.txt", "wikitext-2-raw-v1/train.txt", "wikitext-2-raw-v1/test.txt")) {
            Files.createDirectories(text.resolve("wikitext-2-raw-v1"));
            Files.writeString(text.resolve(name), "a quiet lamp\n");
        }
        List<String> overrides = new ArrayList<>();
        overrides.add("model.path='" + model + "'");
        overrides.add("evaluation.perplexity.0.dataset='" + text + "'");
        if (toml.contains("[evaluation.tasks]")) {
            Map<String, String> tasks = Map.of(
                    "arc_easy/test.jsonl",
                    "{\"question\":\"q\",\"choices\":{\"text\":[\"a\",\"b\"],\"label\":[\"A\",\"B\"]},\"answerKey\":\"A\"}",
                    "piqa/validation.jsonl",
                    "{\"goal\":\"g\",\"sol1\":\"a\",\"sol2\":\"b\",\"label\":0}",
                    "boolq/validation.jsonl",
                    "{\"passage\":\"p\",\"question\":\"q\",\"label\":1}");
            for (Map.Entry<String, String> task : tasks.entrySet()) {
                Path file = folder.resolve("tasks").resolve(task.getKey());
                Files.createDirectories(file.resolveSibling(""));
                Files.writeString(file, task.getValue() + "\n");
            }
            overrides.add("evaluation.tasks.data='" + folder.resolve("tasks") + "'");
        }
        if (toml.contains("[calibration]")) {
            overrides.add("calibration.dataset='" + text + "'");
        }
        return Experiment.read(Files.writeString(folder.resolve("experiment.toml"), toml), overrides);
    }

    private static List<LowRankCorrection> corrections(Experiment experiment) {
        return experiment.steps().steps().stream()
                .map(LowRankCorrection.class::cast)
                .toList();
    }

    /** How many linears of the model get a path. */
    private static long corrected(Experiment experiment) {
        return LanguageModel.linears(experiment.shape()).stream()
                .filter(linear -> corrections(experiment).stream().anyMatch(correction -> correction.matches(linear)))
                .count();
    }

    private static NumberFormat mxint(int bits, Integer... block) {
        return new BlockFloatFormat(bits, List.of(block), 8, 127);
    }
}
