package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.cli.TinyExperiment.Outcome;
import java.io.IOException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CompareCommandTest {
    @TempDir
    static Path folder;

    private static TinyExperiment tiny;

    @BeforeAll
    static void run() throws IOException {
        tiny = new TinyExperiment(folder);
        TinyExperiment.writeTasks(folder);
        String config = TinyExperiment.CONFIG + TinyExperiment.TASKS;
        assertThat(tiny.run(config, "first").err()).isEmpty();
        assertThat(tiny.run(config, "second", "--set", "quantization.weight.bits=2")
                        .err())
                .isEmpty();
    }

    /** A run like another whose files may be changed: artifacts of runs are links into the cache. */
    private static void copy(String tag, String copy) throws IOException {
        Path from = tiny.result(tag);
        try (Stream<Path> files = Files.walk(from, FileVisitOption.FOLLOW_LINKS)) {
            for (Path file : files.toList()) {
                Path to = tiny.result(copy).resolve(from.relativize(file).toString());
                if (Files.isDirectory(file)) {
                    Files.createDirectories(to);
                } else {
                    Files.write(to, Files.readAllBytes(file));
                }
            }
        }
    }

    private static Outcome compare(String first, String second, String... more) {
        String[] arguments = new String[5 + more.length];
        System.arraycopy(
                new String[] {"compare", "DIR/results/" + first, second, "--results", "DIR/results"},
                0,
                arguments,
                0,
                5);
        System.arraycopy(more, 0, arguments, 5, more.length);
        return tiny.execute(arguments);
    }

    @Test
    void differencesAreThoseOfTheMetrics() throws IOException {
        Outcome outcome = compare("first", "second", "--all-flips");

        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        for (String metric : new String[] {"arc_easy/acc", "arc_easy/acc_norm", "copa/acc"}) {
            assertThat(outcome.out()).containsPattern(metric.replace("/", " +") + " +" + row(metric));
        }
        assertThat(outcome.out()).containsPattern("tales +" + row("perplexity/tales/loss"));
    }

    /** A pattern for what both runs have, and the difference. */
    private String row(String metric) throws IOException {
        double before = metric("first", metric);
        double after = metric("second", metric);
        return Pattern.quote("%.4f  %.4f  %+.4f ".formatted(before, after, after - before));
    }

    private double metric(String tag, String name) throws IOException {
        return Objects.requireNonNull(tiny.metrics(tag).get(name), name);
    }

    @Test
    void aRunDoesNotDifferFromItself() {
        Outcome outcome = compare("first", "first");

        assertThat(outcome.out())
                .containsPattern("tales .* \\+0\\.0000  \\[\\+0\\.0000, \\+0\\.0000]  1\\.0000 +\\+0\\.00 % +6")
                .containsPattern("arc_easy  acc .* \\+0\\.0000  \\[\\+0\\.0000, \\+0\\.0000]  1\\.0000 +0 +0 +12")
                .doesNotContain("only A right:", "only B right:");
    }

    @Test
    void flipsAreTheDocumentsWhoseAnswersAreRightInOneOnly() throws IOException {
        String log = "/evaluate/quantized/tasks/copa/samples_copa.jsonl";
        copy("second", "wrong");
        Path file = tiny.result("wrong" + log);
        Files.writeString(file, Files.readString(file).replaceAll("\"acc\":[01][.]?[0-9]*}", "\"acc\":0.0}"));
        copy("first", "right");
        Path other = tiny.result("right" + log);
        Files.writeString(
                other,
                Files.readString(other)
                        .lines()
                        .map(line -> line.replaceAll(
                                "\"acc\":[01][.]?[0-9]*}",
                                line.contains("\"doc_id\":1") ? "\"acc\":1.0}" : "\"acc\":0.0}"))
                        .reduce("", (all, line) -> all + line + "\n"));

        assertThat(compare("right", "wrong").out())
                .contains("copa acc, only A right: 1 10 11\n")
                .doesNotContain("copa acc, only B right")
                .containsPattern("copa +acc +0\\.2500  0\\.0000  -0\\.2500 .* 0\\.2500 +3 +0 +12");
    }

    @Test
    void whatWasAskedOtherwiseIsNotCompared() throws IOException {
        String config = TinyExperiment.CONFIG + TinyExperiment.TASKS;
        tiny.run(
                config,
                "other",
                "--set",
                "evaluation.perplexity.tales.seq_len=12",
                "--set",
                "evaluation.tasks.names=['arc_easy']",
                "--set",
                "evaluation.tasks.limit=5");

        Outcome outcome = compare("first", "other");
        assertThat(outcome.code()).isZero();
        assertThat(outcome.out()).isEqualTo("nothing to compare\n");
        assertThat(outcome.err())
                .contains(
                        "tales: not compared, seq_len differs: 24 and 12",
                        "arc_easy: not compared, the documents or their prompts differ: 12 and 5 documents",
                        "copa: only in DIR/results/first");
    }

    @Test
    void saysWhichRunIsNone() {
        assertThat(compare("first", "nothing"))
                .isEqualTo(new Outcome(
                        2,
                        "",
                        "nothing: expected the directory of a run, or its tag in DIR/results; found no"
                                + " manifest.json\n"));
    }

    @Test
    void namesTheFileThatIsDamaged() throws IOException {
        copy("second", "damaged");
        Path file = tiny.result("damaged/evaluate/quantized/tasks/copa/samples_copa.jsonl");
        Files.writeString(file, "{\"doc_id\": 0}\n");
        Outcome outcome = compare("first", "damaged");
        assertThat(outcome.code()).isEqualTo(1);
        assertThat(outcome.err())
                .contains("samples_copa.jsonl:1: not a line of a sample log: expected doc_id and metrics");
    }
}
