package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.ptq.cli.TinyExperiment.Outcome;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class VerifyCommandTest {
    private static final String AGREE = "all 27 metrics agree to 1e-06; the largest difference is 0.0e+00\n";

    @TempDir
    Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
        tiny.run(TinyExperiment.CONFIG, "first");
    }

    private Outcome verify(String... options) {
        return tiny.execute(Stream.concat(Stream.of("verify", "first", "--results", "DIR/results"), Stream.of(options))
                .toArray(String[]::new));
    }

    private void replace(String file, String regex, String replacement) throws IOException {
        Path path = tiny.result("first").resolve(file);
        String text = Files.readString(path);
        String changed = text.replaceFirst(regex, replacement);
        assertThat(changed).isNotEqualTo(text);
        Files.delete(path); // it may be a link into the cache
        Files.writeString(path, changed);
    }

    private Map<Path, FileTime> files() throws IOException {
        Map<Path, FileTime> times = new TreeMap<>();
        try (Stream<Path> paths = Files.walk(tiny.result(""))) {
            for (Path path : paths.toList()) {
                times.put(path, Files.getLastModifiedTime(path));
            }
        }
        return times;
    }

    private static long temporaries() throws IOException {
        try (Stream<Path> paths = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
            return paths.filter(path -> path.getFileName().toString().startsWith("ptq-results-"))
                    .count();
        }
    }

    /** Even a cache that lies has no part in it. */
    @Test
    void anIntactRunAgreesToTheLastBit() throws IOException {
        try (Stream<Path> entries = Files.walk(tiny.result(".cache"))) {
            for (Path file :
                    entries.filter(path -> path.endsWith("scores.json")).toList()) {
                Files.delete(file);
                Files.writeString(file, "{\"perplexity\": 1, \"loss\": 0}");
            }
        }
        Map<Path, FileTime> before = files();
        long temporaries = temporaries();

        assertThat(verify()).isEqualTo(new Outcome(0, AGREE, ""));
        assertThat(tiny.execute("verify", "DIR/results/first").out()).isEqualTo(AGREE);
        assertThat(files()).isEqualTo(before);
        assertThat(temporaries()).isEqualTo(temporaries);
    }

    @Test
    void numbersThatDoNotComeOutAreShown() throws IOException {
        replace("metrics.json", "\"perplexity/tales\" : [0-9.]+", "\"perplexity/tales\" : 1000000.0");
        replace("metrics.json", "\"gptq\"", "\"g\\\\u001bptq\"");
        replace("metrics.json", "\"bits_per_weight\"", "\"gone\" : 1, \"bits_per_weight\"");
        Outcome outcome = verify();

        assertThat(outcome.code()).isEqualTo(1);
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.out().replaceAll("[1-9][0-9]*\\.[0-9]{3,}", "NOW").lines())
                .map(line -> line.replaceAll(" +", " "))
                .containsExactly(
                        "metric then now difference",
                        "perplexity/tales 1000000.0 NOW 1.0e+00",
                        "perplexity/tales/protocol g ptq gptq -",
                        "gone 1.0 - -",
                        "3 of 28 metrics do not agree to 1e-06");
        assertThat(verify("--tolerance", "1e9").out()).contains("2 of 28").doesNotContain("perplexity/tales ");
    }

    @Test
    void saysFirstThatTheFilesChanged() throws IOException {
        Path model = folder.resolve("llama/model.safetensors");
        byte[] bytes = Files.readAllBytes(model);
        bytes[bytes.length - 2] ^= 0x40; // the last weight of the head
        Files.write(model, bytes);
        Path text = folder.resolve("text.txt");
        Files.writeString(text, "heron " + Files.readString(text));
        Outcome outcome = verify();

        assertThat(outcome.code()).isEqualTo(1);
        assertThat(outcome.out().replaceAll("[0-9a-f]{12}…", "DIGEST"))
                .startsWith("""
                the model changed: sha256 DIGEST, was DIGEST
                the text DIR/text.txt changed: sha256 DIGEST, was DIGEST
                the run was made from other files: its numbers cannot agree
                metric  \
                """)
                .endsWith(" of 27 metrics do not agree to 1e-06\n");
    }

    @Test
    void dataOfTasksAreFilesToo() throws IOException {
        TinyExperiment.writeTasks(folder);
        assertThat(tiny.run(TinyExperiment.CONFIG + TinyExperiment.TASKS, "tasks")
                        .code())
                .isZero();
        Path data = folder.resolve("tasks/copa/validation.jsonl");
        Files.writeString(data, Files.readString(data) + "\n");

        assertThat(tiny.execute("verify", "DIR/results/tasks").out())
                .matches("(?s)the data of copa, file 1 changed: sha256 \\p{XDigit}{12}…, was \\p{XDigit}{12}…\n.*");
    }

    @Test
    void notesAnotherProgram() throws IOException {
        replace("manifest.json", "\"version\" : \"[^\"]*\"", "\"version\" : \"0.0.\\\\u001b[2J1\"");
        replace("manifest.json", "\"threads\" : \\d+", "\"threads\" : 999");
        replace("manifest.json", "\"version\" : \\d+,", "\"version\" : 99,");
        Outcome outcome = verify();

        assertThat(outcome.code()).isZero();
        assertThat(outcome.out()).matches("""
                note: the program's version: \\S+, was 0\\.0\\. \\[2J1
                note: the version of stage calibrate: \\d+, was 99
                """ + AGREE.replace("+", "\\+"));
    }

    @Test
    void notesAnotherProcessor() throws IOException {
        assumeThat(Path.of("/proc/cpuinfo")).exists();
        replace("manifest.json", "\"cpu\" : \"[^\"]*\"", "\"cpu\" : \"Z80\"");
        Outcome outcome = verify();

        assertThat(outcome.code()).isZero();
        assertThat(outcome.out()).matches("note: the processor: .+, was Z80\n" + AGREE.replace("+", "\\+"));
    }

    @Test
    void keepsWhatItMadeIfAsked() throws IOException {
        Outcome outcome = verify("--keep");

        assertThat(outcome.code()).isZero();
        Path kept =
                Path.of(outcome.out().lines().reduce("", (first, last) -> last).replace("made again: ", ""));
        assertThat(kept.resolve("again/metrics.json")).hasSameTextualContentAs(tiny.result("first/metrics.json"));
        try (Stream<Path> paths = Files.walk(kept)) {
            for (Path path : paths.sorted((a, b) -> b.compareTo(a)).toList()) {
                Files.delete(path);
            }
        }
    }

    @Test
    void readsOnlySmallPlainFiles() throws IOException {
        for (String file : new String[] {"manifest.json", "metrics.json", "resolved.toml"}) {
            Path path = tiny.result("first").resolve(file);
            Path aside = Files.move(path, folder.resolve(file));
            Files.createSymbolicLink(path, aside);
            assertThat(verify())
                    .isEqualTo(new Outcome(1, "", "ptq: DIR/results/first/" + file + ": expected a plain file\n"));
            Files.delete(path);
            Files.writeString(path, " ".repeat((16 << 20) + 1));
            assertThat(verify())
                    .isEqualTo(new Outcome(
                            1,
                            "",
                            "ptq: DIR/results/first/" + file + ": expected at most 16 MiB, found 16 MiB or more\n"));
            Files.delete(path);
            Files.move(aside, path);
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            value = {
                "{; not valid JSON: ",
                "''; expected numbers and words by name, found none",
                "[1]; expected numbers and words by name, found none",
                "null; expected numbers and words by name, found none",
                "{\"a\": [1], \"b\": null}; expected numbers and words by name, found none"
            })
    void metricsThatAreNoneAreNamed(String text, String problem) throws IOException {
        Files.delete(tiny.result("first/metrics.json"));
        Files.writeString(tiny.result("first/metrics.json"), text);
        Outcome outcome = verify();

        assertThat(outcome.code()).isEqualTo(1);
        assertThat(outcome.err()).startsWith("ptq: DIR/results/first/metrics.json: " + problem.strip());
    }

    @Test
    void theConfigIsCheckedAsAnyOther() throws IOException {
        replace("resolved.toml", "name = \"tales\"", "name = \"../../tales\"");
        assertThat(verify().err())
                .matches("DIR/results/first/resolved.toml:\\d+:1: evaluation.perplexity.0.name: .*\n");
        replace("resolved.toml", "path = \".*\"", "path = \"/nowhere\"");
        assertThat(verify().code()).isEqualTo(2);
    }

    @ParameterizedTest
    @CsvSource({"--tolerance,-1", "--tolerance,NaN", "--tolerance,Infinity", "--tolerance,x"})
    void theToleranceIsANumber(String option, String value) {
        Outcome outcome = verify(option, value);

        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err()).contains("--tolerance");
    }

    @Test
    void theRunMustBeThere() {
        assertThat(tiny.execute("verify", "none", "--results", "DIR/results"))
                .isEqualTo(new Outcome(
                        2,
                        "",
                        "none: expected the directory of a run, or its tag in DIR/results; found no manifest.json\n"));
    }
}
