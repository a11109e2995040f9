package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.experiment.ExperimentPlan;
import dev.ptq.model.SyntheticModel;
import dev.ptq.progress.Progress;
import dev.ptq.run.Stage;
import dev.ptq.stage.Experiment;
import dev.ptq.stage.MemoryEstimate;
import dev.ptq.stage.Workspace;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Adaptation of the last block to the text that is scored. */
class TestTimeAdaptationTest {
    private static final String STEP = """
            [[approximation]]
            method = "lrquant"
            epochs = 2
            """;

    private static final String REST = """
            [model]
            path = "DIR/llama"
            [calibration]
            dataset = "DIR/text.txt"
            num_samples = 4
            seq_len = 24
            batch_size = 2
            [quantization.weight]
            format = "int"
            bits = 3
            symmetric = false
            [quantization.activation]
            format = "int"
            bits = 4
            [evaluation]
            baselines = []
            """;

    private static final String TALES = """
            [[evaluation.perplexity]]
            name = "tales"
            dataset = "DIR/tales.txt"
            seq_len = 24
            max_samples = 6
            batch_size = 4
            """;

    private static final String PLAIN = STEP + REST + TALES;

    @TempDir
    private Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
        String text = Files.readString(folder.resolve("text.txt"));
        Files.writeString(folder.resolve("tales.txt"), text.substring(300).replace("heron", "kettle"));
        Files.writeString(folder.resolve("others.txt"), text.toUpperCase(Locale.ROOT));
    }

    private static String adapted(String keys, String texts) {
        return STEP + "test_time_adaptation = { " + keys + " }\n" + REST + texts;
    }

    private void succeeds(String toml, String tag) throws IOException {
        succeeds(toml, tag, "results");
    }

    private void succeeds(String toml, String tag, String results) throws IOException {
        tiny.config(toml);
        Outcome outcome = tiny.execute("run", "DIR/config.toml", tag, "--results", "DIR/" + results);
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
    }

    /** What the row of adaptation has below a header. */
    private double layer(String tag, String column) throws IOException {
        return number(tag + "/evaluate/adapted/tales/layers.csv", 1, column);
    }

    /** The number in the last of so many rows, below a header. */
    private double number(String file, int rows, String column) throws IOException {
        List<String> lines = Files.readAllLines(tiny.result(file));
        assertThat(lines).hasSize(1 + rows);
        List<String> header = List.of(lines.get(0).split(",", -1));
        return Double.parseDouble(lines.get(rows).split(",", -1)[header.indexOf(column)]);
    }

    @ParameterizedTest
    @CsvSource({
        "lqer, llama, ''",
        "gptq, opt, 'shift = \"mid_range\"\naugmented_loss = true\nshuffle = true'",
        "gptq, one block, 'mappings = [\"mlp_in\", \"mlp_mid\"]'"
    })
    void noEpochsGiveTheUnadaptedResultToTheLastBit(String protocol, String model, String keys) throws IOException {
        requireUnadaptedResult(protocol, model, keys);
    }

    @ParameterizedTest
    @Tag("slow")
    @CsvSource({
        "gptq, llama, ''",
        "omniquant, llama, 'q_k = \"free\"'",
        "gptq, llama, 'lwc = false\nbatch_size = 3'",
        "gptq, ranges found beforehand, 'mappings = []'"
    })
    void noEpochsGiveItWithOtherSettings(String protocol, String model, String keys) throws IOException {
        requireUnadaptedResult(protocol, model, keys);
    }

    private void requireUnadaptedResult(String protocol, String model, String keys) throws IOException {
        SyntheticModel other = model.equals("opt") ? SyntheticModel.opt() : SyntheticModel.llama();
        if (model.equals("opt") || model.equals("one block")) {
            other.layers(model.equals("opt") ? 2 : 1)
                    .vocabulary(259)
                    .positions(64)
                    .tokenizer()
                    .write(folder.resolve("llama"));
        }
        String rest = model.equals("ranges found beforehand")
                ? REST.replace("bits = 4\n", "bits = 8\ngranularity = \"tensor\"\ndynamic = false\n")
                : REST;
        succeeds(
                STEP.replace("epochs = 2", "epochs = 12") + keys + "\ntest_time_adaptation = { epochs = 0 }\n" + rest
                        + TALES + "divergence = true\nprotocol = \"" + protocol + "\"\n",
                "run");

        Map<String, Double> metrics = tiny.metrics("run");
        for (String measure : List.of("", "/loss", "/kl_divergence", "/top1_agreement")) {
            assertThat(metrics.get("adapted/perplexity/tales" + measure))
                    .isNotNull()
                    .isEqualTo(metrics.get("perplexity/tales" + measure));
        }
        for (String file : List.of("chunks.csv", "divergences.csv")) {
            assertThat(tiny.result("run/evaluate/adapted/tales/" + file))
                    .hasSameBinaryContentAs(tiny.result("run/evaluate/quantized/tales/" + file));
        }
        int blocks = model.equals("one block") ? 1 : 2;
        String parameters = "parameters/block-" + (blocks - 1) + ".safetensors";
        assertThat(tiny.result("run/evaluate/adapted/tales/" + parameters))
                .hasSameBinaryContentAs(tiny.result("run/approximate/" + parameters));
        assertThat(layer("run", "loss_final")).isEqualTo(layer("run", "loss_initial"));
        assertThat(layer("run", "steps")).isZero();
        assertThat(number("run/approximate/layers.csv", blocks, "best_step"))
                .as("calibration left other parameters than it began with")
                .isPositive();
    }

    @Test
    void lowersTheLossOfTheLastBlockAndSaysSoWithANote() throws IOException {
        succeeds(adapted("epochs = 8, let_learning_rate = 5e-3", TALES), "run");
        succeeds(adapted("epochs = 0", TALES), "start");

        assertThat(layer("run", "loss_initial")).isEqualTo(layer("start", "loss_initial"));
        assertThat(layer("run", "loss_final")).isLessThan(layer("run", "loss_initial"));
        assertThat(layer("run", "steps")).isEqualTo(8 * 6);
        assertThat(layer("run", "best_step")).isPositive();
        assertThat(tiny.metrics("run").get("adapted/perplexity/tales"))
                .isNotEqualTo(tiny.metrics("run").get("perplexity/tales"));
        assertThat(tiny.result("run/evaluate/adapted/tales/parameters/block-1.safetensors"))
                .content(StandardCharsets.ISO_8859_1)
                .isNotEqualTo(Files.readString(
                        tiny.result("run/approximate/parameters/block-1.safetensors"), StandardCharsets.ISO_8859_1));
        String note = "transductive: uses unlabelled test inputs";
        assertThat(tiny.json("run/metrics.json")
                        .get("adapted/perplexity/tales/note")
                        .asString())
                .isEqualTo(note);
        assertThat(tiny.json("run/evaluate/adapted/tales/scores.json")
                        .get("note")
                        .asString())
                .isEqualTo(note);
        assertThat(tiny.execute("run", "DIR/config.toml", "start", "--results", "DIR/results")
                        .out())
                .contains("adapted *", "* " + note, "adapted * over this run");
        assertThat(tiny.execute("collect", "DIR/results", "--format", "markdown")
                        .out())
                .contains("| adapted/perplexity/tales |");
    }

    /** On the calibration text, inputs and targets of the last block are those that calibration ended with. */
    @Test
    void trainsOnWhatReachesTheLastBlockOnBothPaths() throws IOException {
        String text = TALES.replace("tales.txt", "text.txt").replace("max_samples = 6", "max_samples = 4");
        succeeds(adapted("epochs = 0", text).replace("[calibration]\n", "[calibration]\nsample = \"start\"\n"), "run");

        String calibrated = "run/approximate/layers.csv";
        assertThat(layer("run", "loss_rtn")).isEqualTo(number(calibrated, 2, "loss_rtn"));
        assertThat(layer("run", "loss_initial")).isEqualTo(number(calibrated, 2, "loss_final"));
    }

    /** Adapting to one text leaves every other as it is, before it and behind it. */
    @Test
    void eachTextStartsFromTheCalibratedParameters() throws IOException {
        String others = TALES.replace("tales", "others");
        succeeds(adapted("epochs = 3", TALES), "run", "alone");
        succeeds(adapted("epochs = 3", others + TALES), "run", "behind");
        succeeds(adapted("epochs = 3", TALES + others), "run", "before");

        for (String file : List.of("scores.json", "chunks.csv", "parameters/block-1.safetensors")) {
            Path alone = folder.resolve("alone/run/evaluate/adapted/tales/" + file);
            assertThat(folder.resolve("behind/run/evaluate/adapted/tales/" + file))
                    .hasSameBinaryContentAs(alone);
            assertThat(folder.resolve("before/run/evaluate/adapted/tales/" + file))
                    .hasSameBinaryContentAs(alone);
        }
        assertThat(folder.resolve("behind/run/evaluate/adapted/others/chunks.csv"))
                .hasSameBinaryContentAs(folder.resolve("before/run/evaluate/adapted/others/chunks.csv"));
    }

    @Test
    void isAStageOfItsOwnThatNoOtherDependsOn() throws IOException {
        succeeds(PLAIN, "plain");
        succeeds(adapted("epochs = 1", TALES), "one");
        succeeds(adapted("epochs = 2", TALES), "two");
        succeeds(adapted("epochs = 2", TALES), "again");

        Map<String, String> plain = tiny.stages("plain", "fingerprint");
        Map<String, String> one = new TreeMap<>(tiny.stages("one", "fingerprint"));
        Map<String, String> two = new TreeMap<>(tiny.stages("two", "fingerprint"));
        assertThat(tiny.stages("again", "fingerprint")).isEqualTo(two);
        assertThat(one.remove("evaluate/adapted/tales")).isNotEqualTo(two.remove("evaluate/adapted/tales"));
        assertThat(one).isEqualTo(plain);
        assertThat(two).isEqualTo(plain);
        assertThat(reused("two")).containsExactlyInAnyOrderElementsOf(plain.keySet());
        assertThat(reused("again")).contains("evaluate/adapted/tales");
        assertThat(tiny.metrics("plain").keySet()).noneMatch(name -> name.contains("adapted"));
    }

    private Set<String> reused(String tag) throws IOException {
        return tiny.json(tag + "/manifest.json").get("stages").properties().stream()
                .filter(stage -> stage.getValue().get("reused").asBoolean())
                .map(Map.Entry::getKey)
                .collect(Collectors.toSet());
    }

    @Test
    void keysLeftOutAreThoseOfTheStep() throws IOException {
        String step = STEP + "batch_size = 3\nlet_learning_rate = 2e-3\nlwc_learning_rate = 3e-2\n";
        tiny.config(step + "test_time_adaptation = {}\n" + REST + TALES);

        Outcome outcome = tiny.execute("validate", "DIR/config.toml", "--results", "DIR/results");

        assertThat(outcome.code()).isZero();
        assertThat(outcome.out()).contains("""
                        [approximation.test_time_adaptation]
                        epochs = 5
                        batch_size = 3
                        let_learning_rate = 0.002
                        lwc_learning_rate = 0.03
                        """).contains("# evaluate/adapted/tales");
    }

    @Test
    void theEstimateOfMemoryTakesTheChunksForSamples() throws IOException {
        assertThat(estimate(adapted("epochs = 1", TALES)) - estimate(PLAIN)).isEqualTo(4 * (6 - 4) * 24L * 64 * 4);
    }

    private long estimate(String toml) throws IOException {
        Experiment experiment = Experiment.read(tiny.config(toml), List.of());
        try (Workspace workspace = new Workspace(experiment, Progress.Reporter.none())) {
            workspace.check();
            return new MemoryEstimate(workspace).bytes();
        }
    }

    @Test
    void withoutATextItIsNotUsed() throws IOException {
        tiny.config(adapted("epochs = 1", ""));

        assertThat(tiny.execute("validate", "DIR/config.toml").out())
                .contains("# test_time_adaptation ignored: there is no text to adapt to")
                .doesNotContain("evaluate/adapted");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{ epoch = 3 } | test_time_adaptation.epoch: unknown key; did you mean \"epochs\"?",
                "{ epochs = -1 } | test_time_adaptation.epochs: expected a whole number from 0 to 1048576, got -1",
                "{ batch_size = 0 } | test_time_adaptation.batch_size: expected a whole number from 1 to 65536, got 0",
                "{ let_learning_rate = nan } | test_time_adaptation.let_learning_rate: expected a finite number from 0 to"
                        + " 10, got nan",
                "true | test_time_adaptation: expected a table, got true",
                "'{ lwc_learning_rate = 1 }\nlwc = false' | test_time_adaptation.lwc_learning_rate: unknown key",
                "'{}\n[[approximation]]\nmethod = \"l2qer\"\nrank = 2' | test_time_adaptation: changes weights that l2qer"
                        + " was made for; leave out one of the two",
            })
    void whatCannotBeIsRefused(String value, String problem) throws IOException {
        Outcome outcome = tiny.run(STEP + "test_time_adaptation = " + value + "\n" + REST + TALES, "run");

        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err()).contains("approximation.0." + problem);
        assertThat(tiny.result("run")).doesNotExist();
    }

    @Test
    void otherMethodsStepsBeforeAndDocumentsAreRefused() throws IOException {
        String table = "test_time_adaptation = { epochs = 1 }\n";
        Outcome method = tiny.run(STEP.replace("lrquant", "omniquant") + table + REST + TALES, "run");
        Outcome before = tiny.run(
                "[[approximation]]\nmethod = \"smoothquant\"\nmappings = [\"mlp_mid\"]\n" + STEP + table + REST + TALES,
                "run");
        Outcome documents = tiny.run(STEP + table + REST + TALES + "protocol = \"rolling\"\n", "run");

        assertThat(List.of(method.code(), before.code(), documents.code())).containsOnly(2);
        assertThat(method.err()).contains("approximation.0.test_time_adaptation: unknown key");
        assertThat(before.err())
                .contains("approximation.1.test_time_adaptation: starts from the last block of the model, not from what"
                        + " smoothquant made of it; leave out one of the two");
        assertThat(documents.err())
                .contains("evaluation.perplexity.0.protocol: expected gptq, lqer or omniquant with"
                        + " test_time_adaptation, which trains on chunks of one length; got rolling, which has none");
    }

    /** Where a first attempt was left: in the midst of training, after it, and with a damaged file. */
    @ParameterizedTest
    @ValueSource(strings = {"training", "scoring", "damaged"})
    void goesOnWhereItWasLeft(String left) throws Exception {
        requireGoingOn(left);
    }

    @ParameterizedTest
    @Tag("slow")
    @ValueSource(strings = "blocks")
    void goesOnWhereItWasLeftBeforeTraining(String left) throws Exception {
        requireGoingOn(left);
    }

    private void requireGoingOn(String left) throws Exception {
        succeeds(adapted("epochs = 2", TALES), "run");
        Path unfinished = Files.createDirectories(folder.resolve("unfinished"));
        assertThatThrownBy(() -> adapt(unfinished, "first", (what, done) -> {
                    boolean training = what.startsWith("adapt");
                    if ((left.equals("blocks") && done == 1) || (left.equals("training") && done == 7) || !training) {
                        throw new IllegalStateException("left");
                    }
                }))
                .hasMessage("left");
        if (left.equals("damaged")) {
            Files.writeString(unfinished.resolve("weights-1.safetensors"), "damaged");
        }

        List<String> started = new ArrayList<>();
        Path second = adapt(unfinished, "second", (what, done) -> started.add(what));

        assertThat(started.contains("adapt to tales")).isEqualTo(!left.equals("scoring"));
        for (String file : List.of("scores.json", "chunks.csv", "parameters/block-1.safetensors")) {
            assertThat(second.resolve(file)).hasSameBinaryContentAs(tiny.result("run/evaluate/adapted/tales/" + file));
        }
    }

    /** Sees what is done, and how far. */
    private interface Watcher {
        void see(String what, long done);
    }

    private Path adapt(Path unfinished, String output, Watcher watcher) throws IOException {
        Progress.Reporter reporter = (what, total, unit) -> new Progress() {
            @Override
            public void step(long done) {
                watcher.see(what, done);
            }

            @Override
            public void close() {}
        };
        Path to = Files.createDirectories(folder.resolve(output));
        try (Workspace workspace = new Workspace(Experiment.read(folder.resolve("config.toml"), List.of()), reporter)) {
            Stage stage = ExperimentPlan.of(workspace).stages().stream()
                    .filter(each -> each.name().equals("evaluate/adapted/tales"))
                    .findFirst()
                    .orElseThrow();
            Map<String, Path> inputs = new TreeMap<>();
            stage.inputs().forEach(name -> inputs.put(name, tiny.result("run/" + name)));
            stage.run(inputs, to, unfinished);
        }
        return to;
    }
}
