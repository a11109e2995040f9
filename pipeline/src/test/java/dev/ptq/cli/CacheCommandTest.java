package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.experiment.ExperimentPlan;
import dev.ptq.progress.Progress;
import dev.ptq.run.Plan;
import dev.ptq.run.Provenance;
import dev.ptq.run.Runs;
import dev.ptq.stage.Experiment;
import dev.ptq.stage.Workspace;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CacheCommandTest {
    @TempDir
    Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
    }

    /** What is explained of the written config; fingerprints, digests and times left out. */
    private String explain(String... settings) {
        List<String> arguments =
                new ArrayList<>(List.of("cache", "explain", "DIR/config.toml", "--results", "DIR/results"));
        for (String setting : settings) {
            arguments.addAll(List.of("--set", setting));
        }
        Outcome outcome = tiny.execute(arguments.toArray(String[]::new));
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        return outcome.out()
                .replaceAll("made [-0-9T:.]+Z in [0-9.]+ s", "made TIME")
                .replaceAll("-[0-9a-f]{16}", "-…")
                .replaceAll("[0-9a-f]{12}…", "DIGEST");
    }

    private List<String> madeAgain(String tag) throws IOException {
        return tiny.stages(tag, "reused").entrySet().stream()
                .filter(stage -> stage.getValue().equals("false"))
                .map(Map.Entry::getKey)
                .collect(Collectors.toList());
    }

    @Test
    void explainsEveryStage() throws IOException {
        tiny.config(TinyExperiment.CONFIG);
        assertThat(explain()).isEqualTo("""
                calibrate: not made; no entry of this stage
                approximate: not made; no entry of this stage
                quantize: not made; no entry of this stage
                cost: not made; no entry of this stage
                evaluate/full_precision/tales: not made; no entry of this stage
                evaluate/round_to_nearest/tales: not made; no entry of this stage
                evaluate/quantized/tales: not made; no entry of this stage
                """);
        assertThat(tiny.result("")).doesNotExist();

        tiny.run(TinyExperiment.CONFIG, "first");
        assertThat(explain("calibration.num_samples=3", "quantization.activation.bits=7"))
                .isEqualTo("""
                calibrate: not made; nearest entry calibrate-…: num_samples 3, was 4
                approximate: not made; nearest entry approximate-…: input calibrate differs (see above)
                quantize: not made; nearest entry quantize-…: input approximate differs (see above)
                cost: not made; nearest entry cost-…: quantization.linear.activation.bits 7, was 8;\
                 quantization.linear.bias.bits 7, was 8; input approximate differs (see above); input quantize differs\
                 (see above)
                evaluate/full_precision/tales: cached, made TIME
                evaluate/round_to_nearest/tales: not made; nearest entry evaluate-round_to_nearest-tales-…:\
                 quantization.linear.activation.bits 7, was 8; quantization.linear.bias.bits 7, was 8
                evaluate/quantized/tales: not made; nearest entry evaluate-quantized-tales-…:\
                 quantization.linear.activation.bits 7, was 8; quantization.linear.bias.bits 7, was 8; input quantize\
                 differs (see above); input approximate differs (see above)
                """);
        assertThat(explain("quantization.weight={ format = 'int', bits = 3 }"))
                .contains("quantize: not made; nearest entry quantize-…: weights.linear.weight IntegerFormat(bits=3, ");
    }

    @Test
    void aByteOfTheModelConcernsEveryStage() throws IOException {
        tiny.run(TinyExperiment.CONFIG, "first");
        Path model = folder.resolve("llama/model.safetensors");
        byte[] bytes = Files.readAllBytes(model);
        bytes[bytes.length - 4] ^= 1; // the last bit of the last weight
        Files.write(model, bytes);

        String changed = "model.sha256 DIGEST, was DIGEST (the model's files changed, or it is another)";
        assertThat(explain()).isEqualTo("""
                calibrate: not made; nearest entry calibrate-…: CHANGED
                approximate: not made; nearest entry approximate-…: CHANGED; input calibrate differs (see above)
                quantize: not made; nearest entry quantize-…: CHANGED; input approximate differs (see above)
                cost: not made; nearest entry cost-…: CHANGED; input approximate differs (see above); input quantize\
                 differs (see above)
                evaluate/full_precision/tales: not made; nearest entry evaluate-full_precision-tales-…: CHANGED
                evaluate/round_to_nearest/tales: not made; nearest entry evaluate-round_to_nearest-tales-…: CHANGED
                evaluate/quantized/tales: not made; nearest entry evaluate-quantized-tales-…: CHANGED; input\
                 quantize differs (see above); input approximate differs (see above)
                """.replace("CHANGED", changed));
        tiny.run(TinyExperiment.CONFIG, "second");
        assertThat(madeAgain("second")).hasSize(7);
    }

    @Test
    void aByteOfATextConcernsTheStagesThatReadIt() throws IOException {
        Path text = Files.copy(folder.resolve("text.txt"), folder.resolve("other.txt"));
        String config =
                TinyExperiment.CONFIG.replace("\"tales\"\ndataset = \"DIR/text", "\"tales\"\ndataset = \"DIR/other");
        tiny.run(config, "first");
        Files.writeString(text, Files.readString(text) + "x");

        assertThat(explain()).isEqualTo("""
                calibrate: cached, made TIME
                approximate: cached, made TIME
                quantize: cached, made TIME
                cost: cached, made TIME
                evaluate/full_precision/tales: not made; nearest entry evaluate-full_precision-tales-…: CHANGED
                evaluate/round_to_nearest/tales: not made; nearest entry evaluate-round_to_nearest-tales-…: CHANGED
                evaluate/quantized/tales: not made; nearest entry evaluate-quantized-tales-…: CHANGED
                """.replace(
                        "CHANGED", "text.sha256 DIGEST, was DIGEST (the text changed, or it is another)"));
        tiny.run(config, "second");
        assertThat(madeAgain("second"))
                .containsExactly(
                        "evaluate/full_precision/tales", "evaluate/quantized/tales", "evaluate/round_to_nearest/tales");
    }

    @Test
    void listsEntriesAndPrunesWhatIsNotUsed() throws IOException {
        tiny.run(TinyExperiment.CONFIG, "first");
        tiny.run(TinyExperiment.CONFIG, "second", "--set", "approximation.l2qer.rank=2");
        Files.createDirectories(tiny.result(".cache/calibrate-0123456789abcdef.unfinished"));
        Map<String, Double> metrics = tiny.metrics("first");
        Outcome listed = tiny.execute("cache", "list", "--results", "DIR/results");

        assertThat(listed.err()).isEmpty();
        assertThat(listed.code()).isZero();
        assertThat(listed.out()
                        .replaceAll("[-0-9]{10}T[0-9:.]+Z", "TIME")
                        .replaceAll("[0-9]+\\.[0-9]", "N")
                        .lines())
                .map(line -> line.replaceAll(" +", " ").replaceAll(" [0-9a-f]{16} ", " … "))
                .containsExactly(
                        "stage fingerprint size made seconds used by",
                        "approximate … N KiB TIME N first",
                        "approximate … N KiB TIME N second",
                        "calibrate … N KiB TIME N first, second",
                        "calibrate … N KiB TIME - (unfinished, a run goes on from there)",
                        "cost … N KiB TIME N first",
                        "cost … N KiB TIME N second",
                        "evaluate/full_precision/tales … N KiB TIME N first, second",
                        "evaluate/quantized/tales … N KiB TIME N first",
                        "evaluate/quantized/tales … N KiB TIME N second",
                        "evaluate/round_to_nearest/tales … N KiB TIME N first, second",
                        "quantize … N KiB TIME N first",
                        "quantize … N KiB TIME N second",
                        "12 entries, N KiB; 1 of them, N KiB, used by no run");

        remove(tiny.result("second"));
        Outcome dry = tiny.execute("cache", "prune", "--dry-run", "--results", "DIR/results");
        assertThat(tiny.execute("cache", "prune", "--older-than", "30d", "--results", "DIR/results")
                        .out())
                .startsWith("0.0 KiB freed: 0 entries");
        Outcome pruned = tiny.execute("cache", "prune", "--results", "DIR/results");
        assertThat(dry.out().replaceAll("\\d+ lock files", "N"))
                .isEqualTo(pruned.out()
                        .replaceAll("\\d+ lock files", "N")
                        .replace("deleted", "would delete")
                        .replace("freed", "would be freed"));
        assertThat(pruned.out().replaceAll("[0-9a-f]{16}", "…").replaceAll("[0-9]+\\.[0-9]", "N"))
                .matches("""
                        deleted approximate-…, N KiB
                        deleted calibrate-….unfinished, N KiB
                        deleted cost-…, N KiB
                        deleted evaluate-quantized-tales-…, N KiB
                        deleted quantize-…, N KiB
                        N KiB freed: 5 entries and \\d+ lock files
                        """);
        tiny.run(TinyExperiment.CONFIG, "third");
        assertThat(madeAgain("third")).isEmpty();

        Outcome all = tiny.execute("cache", "prune", "--all", "--results", "DIR/results");
        assertThat(all.out())
                .matches("(?s).* KiB freed: 7 entries and \\d+ lock files; [0-9.]+ KiB stay, runs hold them\n");
        assertThat(tiny.metrics("first")).isEqualTo(metrics);
        assertThat(tiny.rows("first/quantize/layers.csv")).hasSize(14);
        assertThat(tiny.execute("cache", "list", "--results", "DIR/results").out())
                .isEqualTo("0 entries, 0.0 KiB; 0 of them, 0.0 KiB, used by no run\n");
        tiny.run(TinyExperiment.CONFIG, "fourth");
        assertThat(tiny.metrics("fourth")).isEqualTo(metrics);
    }

    private static void remove(Path directory) throws IOException {
        try (Stream<Path> paths = Files.walk(directory)) {
            for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        }
    }

    @Test
    void anEmptyFolderHasAnEmptyCache() {
        assertThat(tiny.execute("cache", "list", "--results", "DIR/none").out()).startsWith("0 entries");
        assertThat(tiny.execute("cache", "prune", "--results", "DIR/none").out())
                .startsWith("0.0 KiB freed: 0 entries");
        assertThat(folder.resolve("none")).doesNotExist();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "30", "d", "-1d", "1.5d", "30 d", "9999999d", "2w"})
    void agesAreNumbersWithAUnit(String age) {
        assertThat(tiny.execute("cache", "prune", "--older-than", age, "--results", "DIR/results"))
                .isEqualTo(new Outcome(
                        2,
                        "",
                        "--older-than: expected a number of days, hours or minutes such as 30d, 12h or 45m, got \""
                                + age + "\"\n"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ':',
            value = {
                "list: --results",
                "explain: CONFIG, --set, --results",
                "prune: --results, --dry-run, --older-than, --all"
            })
    void helpNamesEveryParameter(String command, String parameters) {
        Outcome outcome = tiny.execute("cache", command, "--help");

        assertThat(outcome.code()).isZero();
        assertThat(outcome.out())
                .startsWith("Usage: ptq cache " + command)
                .contains(parameters.strip().split(", "));
    }

    @Test
    void aSubcommandIsNeeded() {
        Outcome outcome = tiny.execute("cache");

        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err()).contains("Missing required subcommand", "list", "explain", "prune");
    }

    @ParameterizedTest
    @ValueSource(strings = {"model.safetensors", "config.json"})
    void aModelThatVanishesBeforeItIsReadIsNamed(String file) throws IOException {
        Path vanishing = folder.resolve("llama").resolve(file);
        byte[] bytes = Files.readAllBytes(vanishing);
        Experiment experiment = Experiment.read(tiny.config(TinyExperiment.CONFIG), List.of());
        try (Workspace workspace = new Workspace(experiment, Progress.Reporter.none())) {
            Plan plan = ExperimentPlan.of(workspace);
            Files.delete(vanishing);
            Runs runs = new Runs(tiny.result(""));

            assertThatIOException()
                    .isThrownBy(() -> runs.run(
                            "first",
                            plan,
                            Optional.empty(),
                            new Provenance("1", "abc", 1, Map.of()),
                            (directory, manifest) -> {}))
                    .withMessageContaining(folder.resolve("llama").toString())
                    .withMessageContaining(file);
        }
        assertThat(tiny.result("first")).doesNotExist();
        try (Stream<Path> left = Files.walk(tiny.result(""))) {
            assertThat(left.map(path -> path.getFileName().toString()))
                    .noneMatch(name -> name.contains(".partial") || name.equals("done.json"));
        }

        Files.write(vanishing, bytes);
        assertThat(tiny.run(TinyExperiment.CONFIG, "first").code()).isZero();
        assertThat(madeAgain("first")).hasSize(7);
    }

    @Test
    void aFileInPlaceOfTheFolderIsNamed() throws IOException {
        Files.createDirectory(tiny.result(""));
        Files.writeString(tiny.result(".cache"), "");
        assertThat(tiny.run(TinyExperiment.CONFIG, "first"))
                .isEqualTo(new Outcome(
                        1, "", "ptq: DIR/results/.cache: expected a directory, found something else of that name\n"));

        Files.delete(tiny.result(".cache"));
        tiny.config(TinyExperiment.CONFIG);
        Outcome inside = tiny.execute("run", "DIR/config.toml", "first", "--results", "DIR/text.txt/results");
        assertThat(inside.code()).isEqualTo(1);
        assertThat(inside.err()).startsWith("ptq: DIR/text.txt");
    }
}
