package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.cli.TinyExperiment.Outcome;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the program says when it cannot do what it is asked, and that it leaves nothing behind. */
class BadInputTest {
    @TempDir
    Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
    }

    @Test
    void reportsAllProblemsAtOnceInTheirOrder() throws IOException {
        assertRefused(
                2,
                """
                seed = -1
                [model]
                path = "DIR/llama"
                memroy = "auto"
                [quantization.weight]
                format = "mxitn"
                bits = 1
                [quantization.activation]
                format = "int"
                bits = "8"
                granularity = "channel"
                [[quantization.override]]
                pattern = 'no\\.such\\.layer'
                weight = { format = "none" }
                [[quantization.override]]
                pattern = '('
                [evaluation]
                baselines = ["fp16"]
                [[evaluation.perplexity]]
                name = "a/b"
                dataset = "DIR/absent.txt"
                protocol = "qptq"
                seq_len = 128
                extra = 1
                """,
                "DIR/config.toml:1:1: seed: expected a whole number of at least 0, got -1",
                "DIR/config.toml:4:1: model.memroy: unknown key; did you mean \"memory\"?",
                "DIR/config.toml:6:1: quantization.weight.format: expected one of [fixed, fp8_e4m3, fp8_e5m2, hqq,"
                        + " int, llm_int8, minifloat, mxfp4, mxfp6_e2m3, mxfp6_e3m2, mxfp8_e4m3, mxfp8_e5m2, mxint,"
                        + " mxint8, nf2, nf3, nf4, none, nvfp4, ternary], got \"mxitn\"; did you mean \"mxint\"?",
                "DIR/config.toml:7:1: quantization.weight.bits: expected a whole number from 2 to 23, got 1",
                "DIR/config.toml:10:1: quantization.activation.bits: expected a whole number from 2 to 16, got \"8\"",
                "DIR/config.toml:11:1: quantization.activation.granularity: expected one of [group, tensor, token], got"
                        + " \"channel\"",
                "DIR/config.toml:13:1: quantization.override.0.pattern: 'no\\.such\\.layer' matches no weight; there"
                        + " are such as model.layers.0.self_attn.q_proj.weight",
                "DIR/config.toml:15:1: quantization.override.1: expected a weight, activation, bias or output format,"
                        + " got none of them",
                "DIR/config.toml:16:1: quantization.override.1.pattern: expected a regular expression, got '(':"
                        + " Unclosed group",
                "DIR/config.toml:18:14: evaluation.baselines.0: expected one of [full_precision, round_to_nearest], got"
                        + " \"fp16\"",
                "DIR/config.toml:20:1: evaluation.perplexity.0.name: expected letters, digits, - and _, got \"a/b\"",
                "DIR/config.toml:21:1: evaluation.perplexity.0.dataset: no such file: \"DIR/absent.txt\" (a path in a"
                        + " file starts at its folder, others at the current directory)",
                "DIR/config.toml:22:1: evaluation.perplexity.0.protocol: expected one of [gptq, lqer, omniquant,"
                        + " rolling], got \"qptq\"; did you mean \"gptq\"?",
                "DIR/config.toml:23:1: evaluation.perplexity.0.seq_len: expected at most the model's 64 positions, got"
                        + " 128",
                "DIR/config.toml:24:1: evaluation.perplexity.0.extra: unknown key; expected one of [dataset, layout,"
                        + " name, batch_size, protocol, max_samples, divergence, seq_len]");
    }

    @Test
    void datasetsAreFilesOrKnownByName() throws IOException {
        assertRefused(
                2,
                TinyExperiment.CONFIG
                        .replaceFirst("DIR/text.txt\"", "DIR/text.txt\"\nsplit = \"train\"")
                        .replaceFirst("(?s)(.*)DIR/text.txt\"", "$1wordnt\"\nsplit = \"test\""),
                "DIR/config.toml:6:1: calibration.split: a file has no splits; remove it",
                "DIR/config.toml:22:1: evaluation.perplexity.0.dataset: expected a corpus, one of [dickens, europarl,"
                        + " wordnet], a file that ends in one of [.parquet, .jsonl, .json, .jsonl.gz, .json.gz, .txt], a"
                        + " folder of such files, or owner/name on the hub, got \"wordnt\"; did you mean \"wordnet\"?");
        assertRefused(
                2,
                TinyExperiment.CONFIG.replaceFirst(
                        "(?s)(.*name = )\"tales\"\ndataset = \"DIR/text.txt\"", "$1\"tales\"\ndataset = \"\""),
                "DIR/config.toml:21:1: evaluation.perplexity.0.dataset: expected a corpus, one of [dickens, europarl,"
                        + " wordnet], a file that ends in one of [.parquet, .jsonl, .json, .jsonl.gz, .json.gz, .txt], a"
                        + " folder of such files, or owner/name on the hub, got \"\"");
        assertRefused(
                2,
                TinyExperiment.CONFIG.replaceFirst("DIR/text.txt\"", "dickens\"\nlayout = \"lines\"\nsplit = \"all\""),
                "DIR/config.toml:6:1: calibration.layout: unknown key",
                "DIR/config.toml:7:1: calibration.split: expected one of [test, train, validation], got \"all\"");
    }

    @Test
    void aCorpusMayBeTooShortToo() throws IOException {
        assertRefused(
                2,
                TinyExperiment.CONFIG
                        .replaceFirst("DIR/text.txt\"", "dickens\"\nsplit = \"validation\"")
                        .replace("num_samples = 4", "num_samples = 40000"),
                "dickens/validation: has 4070 chunks of 24 tokens, calibration asks for 40000; lower num_samples or"
                        + " seq_len, or take a longer text");
    }

    /** What stands in for a wrong value is not the user's. */
    @Test
    void aWrongValueIsOneProblem() throws IOException {
        assertRefused(
                2,
                TinyExperiment.CONFIG.replaceAll("seq_len = 24", "seq_len = 25.6"),
                "DIR/config.toml:7:1: calibration.seq_len: expected a whole number from 2 to 1048576, got 25.6",
                "DIR/config.toml:22:1: evaluation.perplexity.0.seq_len: expected a whole number from 2 to 1048576, got"
                        + " 25.6");
    }

    @Test
    void listsOfNamesSayWhatWasMeant() throws IOException {
        assertRefused(
                2,
                TinyExperiment.CONFIG
                        .replace("[evaluation]", "[evaluation]\nbaselines = [\"full_precison\"]")
                        .replace("\"l2qer\"\nrank = 4", "\"smoothquant\"\nmappings = [\"mlp_in\", \"atn_in\"]"),
                "DIR/config.toml:11:23: approximation.0.mappings.1: expected one of [attn_in, mlp_in, mlp_mid, v_o],"
                        + " got \"atn_in\"; did you mean \"attn_in\"?",
                "DIR/config.toml:19:14: evaluation.baselines.0: expected one of [full_precision, round_to_nearest], got"
                        + " \"full_precison\"; did you mean \"full_precision\"?");
    }

    /** What was meant stands in, so keys that go with it are known. */
    @Test
    void aWrongNameInAListHidesNoKeys() throws IOException {
        String step = "\"omniquant\"\nlet_learning_rate = 1e-3\nmappings = [\"%s\"]";
        for (String name : List.of("atn_in", "zzz")) {
            Outcome outcome = tiny.run(
                    TinyExperiment.CONFIG
                            .replace("\"l2qer\"\nrank = 4", step.formatted(name))
                            .replace("\"mxint\"\nbits = 3", "\"int\"\nbits = 3"),
                    "x");

            assertThat(outcome.code()).isEqualTo(2);
            assertThat(outcome.err().lines())
                    .hasSize(1)
                    .allMatch(line ->
                            line.startsWith("DIR/config.toml:12:13: approximation.0.mappings.0: expected one of"));
        }
    }

    /** In {@code evaluate/results.json} one of them would be lost. */
    @ParameterizedTest
    @ValueSource(strings = {"copa", "tasks", "mmlu_stem"})
    void textsAndTasksHaveNamesOfTheirOwn(String name) throws IOException {
        TinyExperiment.writeTasks(folder);
        String tasks = name.startsWith("mmlu") ? "mmlu" : "copa";
        Outcome outcome = tiny.run(
                TinyExperiment.CONFIG.replace("\"tales\"", "\"" + name + "\"")
                        + TinyExperiment.TASKS.replace("\"arc_easy\", \"copa\"", "\"" + tasks + "\""),
                "x");

        assertThat(outcome)
                .isEqualTo(new Outcome(
                        2,
                        "",
                        "DIR/config.toml:20:1: evaluation.perplexity.0.name: \"" + name
                                + "\" is a name in the results of tasks; give the text another\n"));
    }

    @Test
    void allDamagedFilesAreNamedAtOnce() throws IOException {
        Files.write(folder.resolve("latin.txt"), new byte[] {(byte) 0xe9, 'a'});
        Files.writeString(folder.resolve("rows.jsonl"), "{\"text\": \"one\"}\n{\"txt\": \"two\"}\n");
        Files.writeString(folder.resolve("broken.jsonl"), "{\"text\": \"one\"}\n{\"text\": \n");
        String text = "[[evaluation.perplexity]]\nseq_len = 24\ndataset = \"DIR/";
        assertRefused(
                2,
                TinyExperiment.CONFIG.replaceFirst("text.txt", "latin.txt") + text + "rows.jsonl\"\n" + text
                        + "broken.jsonl\"\n",
                "DIR/latin.txt: expected text in UTF-8",
                "DIR/rows.jsonl:2: expected a text under \"text\", found only [txt]",
                "DIR/broken.jsonl:2: not valid JSON: Unexpected end-of-input within/between Object entries");
    }

    @Test
    void methodsAreCheckedAgainstTheModel() throws IOException {
        assertRefused(
                2,
                TinyExperiment.CONFIG.replace("rank = 4", "rank = 33"),
                "DIR/config.toml:11:1: approximation.0.rank: expected at most 32, the smaller side of"
                        + " model.layers.0.self_attn.k_proj.weight [32, 64], got 33");
        assertRefused(
                2,
                TinyExperiment.CONFIG.replace("rank = 4", "rank = 4\npattern = 'q_proj'"),
                "DIR/config.toml:12:1: approximation.0.pattern: 'q_proj' matches no weight; there are such as"
                        + " model.layers.0.self_attn.q_proj.weight");
        assertRefused(
                2,
                TinyExperiment.CONFIG.replace("l2qer", "l3qer"),
                "DIR/config.toml:10:1: approximation.0.method: expected one of [affinequant, autoround, awq, eora,"
                        + " flexround, gptq, l2qer, lqer, lrq, lrquant, omniquant, qera_approx, qera_exact, quarot,"
                        + " smoothquant, spinquant, srr, svdquant], got \"l3qer\"; did you mean \"l2qer\"?");
        assertRefused(
                2,
                TinyExperiment.CONFIG.replaceAll("(?s)\\[calibration].*?\\[\\[", "[["),
                "DIR/config.toml:5:1: approximation.0.method: l2qer needs statistics: add a [calibration] section");
    }

    @Test
    void anInputThatIsTooWideForItsHessianIsRefused() throws IOException {
        Path file = folder.resolve("llama/config.json");
        String config = Files.readString(file);
        Files.writeString(file, config.replaceFirst("(\"intermediate_size\"\\s*:\\s*)\\d+", "$128672"));
        assertRefused(
                2,
                TinyExperiment.CONFIG.replace("l2qer", "qera_exact"),
                "DIR/config.toml:3:1: model.path: DIR/llama/model.safetensors: tensor"
                        + " model.layers.0.mlp.gate_proj.weight: config.json implies shape [28672, 64], found [112, 64]",
                "DIR/config.toml:9:1: approximation.0.pattern: expected weights of at most 23170 input features,"
                        + " model.layers.0.mlp.down_proj.weight has 28672; leave it to a step qera_approx,"
                        + " or one with metric = \"second_moment\"");
    }

    @Test
    void anEmptyFileLacksAModel() throws IOException {
        assertRefused(2, "", "DIR/config.toml:1:1: model: expected a table, but it is missing");
        assertRefused(2, "[model]", "DIR/config.toml:1:1: model.path: expected a string, but it is missing");
    }

    @Test
    void whatIsNoTomlIsNamedWithItsPlace() throws IOException {
        Outcome outcome = tiny.run("[model\npath = 3", "x");

        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err()).startsWith("DIR/config.toml:1:7: ");
        assertNothingLeft();
    }

    @Test
    void theConfigMustBeThere() throws IOException {
        tiny.config(TinyExperiment.CONFIG);
        assertThat(tiny.execute("run", "DIR/none.toml", "x", "--results", "DIR/results"))
                .isEqualTo(new Outcome(2, "", "DIR/none.toml: no such file\n"));
        assertThat(tiny.execute("run", "DIR/confg.toml", "x", "--results", "DIR/results"))
                .isEqualTo(new Outcome(2, "", "DIR/confg.toml: no such file; did you mean \"DIR/config.toml\"?\n"));
        assertNothingLeft();
    }

    @Test
    void settingsOfTheCommandLineAreChecked() throws IOException {
        Outcome outcome = tiny.run(
                TinyExperiment.CONFIG,
                "x",
                "--set",
                "quantization.weight.bits=99",
                "--set",
                "approximation.lqer.rank=2",
                "--set",
                "sed=4");

        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err().lines())
                .containsExactlyInAnyOrder(
                        "--set quantization.weight.bits=99: quantization.weight.bits: expected a whole number from 2 to"
                                + " 23, got 99",
                        "--set approximation.lqer.rank=2: approximation: expected one of [0 (l2qer)], got \"lqer\"; did"
                                + " you mean \"l2qer\"?",
                        "--set sed=4: sed: unknown key; did you mean \"seed\"?");
        assertNothingLeft();
    }

    @Test
    void theModelFolderMustHoldAModel() throws IOException {
        assertRefused(
                2,
                TinyExperiment.CONFIG.replace("DIR/llama", "DIR/absent"),
                "DIR/config.toml:3:1: model.path: expected the name of a shipped model (reference), the path of a"
                        + " Hugging Face model folder or of a GGUF file, or owner/name on the hub, got \"DIR/absent\" (a"
                        + " path in a file starts at its folder, others at the current directory)");
        assertRefused(
                2,
                TinyExperiment.CONFIG.replace("DIR/llama", "refrence"),
                "DIR/config.toml:3:1: model.path: expected the name of a shipped model (reference), the path of a"
                        + " Hugging Face model folder or of a GGUF file, or owner/name on the hub, got \"refrence\" (a"
                        + " path in a file starts at its folder, others at the current directory); did you mean"
                        + " \"reference\"?");
        assertRefused(
                2,
                TinyExperiment.CONFIG.replace("DIR/llama", ""),
                "DIR/config.toml:3:1: model.path: expected the name of a shipped model (reference), the path of a"
                        + " Hugging Face model folder or of a GGUF file, or owner/name on the hub, got \"\" (a path in a"
                        + " file starts at its folder, others at the current directory)");
        Files.createDirectory(folder.resolve("empty"));
        assertRefused(
                2,
                TinyExperiment.CONFIG.replace("DIR/llama", "DIR/empty"),
                "DIR/config.toml:3:1: model.path: DIR/empty/config.json: no such file; expected a Hugging Face model"
                        + " folder");
        Files.delete(folder.resolve("llama/tokenizer.json"));
        Files.writeString(folder.resolve("llama/tokenizer_config.json"), "{}");
        assertRefused(
                2,
                TinyExperiment.CONFIG,
                "DIR/config.toml:3:1: model.path: DIR/llama/tokenizer.json: no such file; a model folder needs its"
                        + " tokenizer in this form");
    }

    @Test
    void theModelMustBeOfAKnownFamily() throws IOException {
        Path config = folder.resolve("llama/config.json");
        Files.writeString(config, Files.readString(config).replace("\"llama\"", "\"mamba\""));
        tiny.config(TinyExperiment.CONFIG);
        Outcome outcome = tiny.execute("validate", "DIR/config.toml");
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err())
                .startsWith(
                        "DIR/config.toml:3:1: model.path: DIR/llama/config.json: model_type: expected one of [bloom, ")
                .endsWith(", starcoder2], got \"mamba\"; nothing was computed\n");
    }

    @Test
    void weightsMustBeThere() throws IOException {
        Files.delete(folder.resolve("llama/model.safetensors"));
        assertRefused(
                2,
                TinyExperiment.CONFIG,
                "DIR/config.toml:3:1: model.path: DIR/llama: expected model.safetensors or"
                        + " model.safetensors.index.json, found neither");
    }

    @Test
    void aTruncatedCheckpointIsNamed() throws IOException {
        Path file = folder.resolve("llama/model.safetensors");
        byte[] whole = Files.readAllBytes(file);
        Files.write(file, Arrays.copyOf(whole, whole.length - 100));
        Outcome outcome = tiny.run(TinyExperiment.CONFIG, "x");

        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err())
                .matches("DIR/config.toml:3:1: model.path: DIR/llama/model\\.safetensors: tensor lm_head\\.weight"
                        + " claims bytes \\d+ to \\d+ of \\d+ there are; the file is truncated or its header is"
                        + " wrong\n");
        assertNothingLeft();
        Files.write(file, new byte[] {1, 2, 3});
        assertThat(tiny.run(TinyExperiment.CONFIG, "x").err())
                .startsWith("DIR/config.toml:3:1: model.path: DIR/llama/model.safetensors: ");
        assertNothingLeft();
    }

    @Test
    void aHeaderThatLiesIsNamed() throws IOException {
        Path file = folder.resolve("llama/model.safetensors");
        byte[] whole = Files.readAllBytes(file);
        String text = new String(whole, StandardCharsets.ISO_8859_1);
        // as long as before
        String lie = text.replaceFirst("\"shape\":\\[64,112\\]", "\"shape\":[65,112]");
        Files.write(file, lie.getBytes(StandardCharsets.ISO_8859_1));
        assertRefused(
                2,
                TinyExperiment.CONFIG,
                "DIR/config.toml:3:1: model.path: DIR/llama/model.safetensors: tensor"
                        + " model.layers.0.mlp.down_proj.weight: F32 [65, 112] does not fill 28672 bytes");
        String turned = text.replaceFirst("\"shape\":\\[64,112\\]", "\"shape\":[112,64]");
        Files.write(file, turned.getBytes(StandardCharsets.ISO_8859_1));
        assertRefused(
                2,
                TinyExperiment.CONFIG,
                "DIR/config.toml:3:1: model.path: DIR/llama/model.safetensors: tensor"
                        + " model.layers.0.mlp.down_proj.weight: config.json implies shape [64, 112], found [112, 64]");
    }

    @Test
    void aWeightThatIsNoNumberIsNamed() throws IOException {
        Path file = folder.resolve("llama/model.safetensors");
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            ByteBuffer size = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
            channel.read(size, 0);
            // the second tensor of the first block comes after the embedding and the query's weight
            long at = 8 + size.getLong(0) + 4L * (259 * 64 + 64 * 64);
            channel.write(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(0, Float.NaN), at);
        }
        assertRefused(
                1,
                TinyExperiment.CONFIG,
                "ptq: DIR/llama/model.safetensors: tensor model.layers.0.self_attn.k_proj.weight has a value that is"
                        + " NaN or infinite; the checkpoint is damaged");
    }

    @Test
    void shortTextsAreNoticedBeforeAnythingIsComputed() throws IOException {
        Files.writeString(folder.resolve("short.txt"), "once");
        String config = TinyExperiment.CONFIG
                .replace("num_samples = 4", "num_samples = 400")
                .replace("tales\"\ndataset = \"DIR/text.txt", "tales\"\ndataset = \"DIR/short.txt");
        assertRefused(
                2,
                config,
                "DIR/text.txt: has 25 chunks of 24 tokens, calibration asks for 400; lower num_samples or seq_len, or"
                        + " take a longer text",
                "DIR/short.txt: the text is shorter than one chunk of 24 tokens; lower seq_len or take a longer text");
        Outcome validated = tiny.execute("validate", "DIR/config.toml", "--results", "DIR/results");
        assertThat(validated.code()).isEqualTo(2);
        assertThat(validated.err()).contains("DIR/short.txt: the text is shorter");
        assertThat(tiny.result(".cache")).doesNotExist();
    }

    @Test
    void aLinearIsCorrectedOnce() throws IOException {
        assertRefused(
                2,
                TinyExperiment.CONFIG.replace(
                        "[[approximation]]\n", "[[approximation]]\nmethod = \"lqer\"\nrank = 2\n\n[[approximation]]\n"),
                "DIR/config.toml:13:1: approximation.1.pattern: model.layers.0.self_attn.q_proj.weight is corrected by"
                        + " step 0 (lqer) already; give the steps patterns that do not overlap");
    }

    @Test
    void calibrationMustFitTheModelToo() throws IOException {
        assertRefused(
                2,
                TinyExperiment.CONFIG.replaceFirst("seq_len = 24", "seq_len = 65"),
                "DIR/config.toml:7:1: calibration.seq_len: expected at most the model's 64 positions, got 65");
    }

    @Test
    void brokenLinesOfATextAreNamed() throws IOException {
        Files.writeString(folder.resolve("rows.jsonl"), "{\"text\": \"a\"}\n{\"tale\": \"b\"}\n");
        assertRefused(
                2,
                TinyExperiment.CONFIG.replace("text.txt", "rows.jsonl"),
                "DIR/rows.jsonl:2: expected a text under \"text\", found only [tale]");
    }

    @ParameterizedTest
    @ValueSource(strings = {"../x", "/x", "a b", ".hidden", "x.partial", "a//b", "a/../../b"})
    void tagsStayInTheResultsFolder(String tag) throws IOException {
        Outcome outcome = tiny.run(TinyExperiment.CONFIG, tag);

        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err())
                .startsWith("tag \"" + tag + "\": expected letters, digits, '.', '_' and '-', starting with a letter or"
                        + " digit and not ending in .partial, in each part between slashes, got \"");
        assertThat(folder.resolve("x")).doesNotExist();
        assertNothingLeft();
    }

    @Test
    void theResultsFolderMustBeAFolder() throws IOException {
        Files.writeString(folder.resolve("results"), "");
        Outcome outcome = tiny.run(TinyExperiment.CONFIG, "x");

        assertThat(outcome)
                .isEqualTo(new Outcome(
                        2, "", "DIR/results: expected a folder for results, found something else of that name\n"));
    }

    @Test
    void aForeignFolderUnderTheTagIsLeftAlone() throws IOException {
        Files.createDirectories(tiny.result("x"));
        Files.writeString(tiny.result("x/notes.txt"), "mine");
        Outcome outcome = tiny.run(TinyExperiment.CONFIG, "x");

        assertThat(outcome)
                .isEqualTo(new Outcome(
                        2,
                        "",
                        "DIR/results/x: exists and is not a run with a readable manifest; use another tag or remove"
                                + " it\n"));
        assertThat(tiny.result("x/notes.txt")).hasContent("mine");
    }

    @Test
    void anUnknownCommandSuggestsOne() {
        Outcome outcome = tiny.execute("runn", "a", "b");

        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err()).contains("runn").contains("Did you mean: ptq run");
    }

    @Test
    void missingArgumentsAreNamed() {
        Outcome outcome = tiny.execute("run", "DIR/config.toml");

        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err())
                .startsWith("Missing required parameter: 'TAG'\n")
                .contains("Usage: ptq run");
    }

    private void assertRefused(int code, String config, String... problems) throws IOException {
        Outcome outcome = tiny.run(config, "x");

        assertThat(outcome.err().lines()).containsExactly(problems);
        assertThat(outcome.code()).isEqualTo(code);
        assertThat(outcome.out()).isEmpty();
        assertNothingLeft();
    }

    /** Neither a run nor a stage that is not complete. */
    private void assertNothingLeft() {
        assertThat(tiny.result("x")).doesNotExist();
        assertThat(tiny.result("x.partial")).doesNotExist();
        if (Files.isDirectory(tiny.result(".cache"))) {
            try (Stream<Path> entries = Files.list(tiny.result(".cache"))) {
                List<Path> unfinished = entries.filter(Files::isDirectory)
                        .filter(entry -> !Files.exists(entry.resolve("done.json")))
                        .toList();
                assertThat(unfinished).isEmpty();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
