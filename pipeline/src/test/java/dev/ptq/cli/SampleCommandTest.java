package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.cli.TinyExperiment.Outcome;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SampleCommandTest {
    @TempDir
    Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
    }

    private Outcome sample(String... options) {
        String[] arguments = new String[options.length + 3];
        System.arraycopy(new String[] {"sample", "--model", "DIR/llama"}, 0, arguments, 0, 3);
        System.arraycopy(options, 0, arguments, 3, options.length);
        return tiny.execute(arguments);
    }

    @Test
    void printsThePromptAndWhatFollows() {
        Outcome outcome = sample("--prompt", "the heron", "--tokens", "20");

        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        assertThat(outcome.out()).startsWith("the heron").endsWith("\n").hasSizeGreaterThan(20);
        assertThat(sample("--prompt", "the heron", "--tokens", "20")).isEqualTo(outcome);
        assertThat(sample(
                        "--prompt",
                        "the heron",
                        "--tokens",
                        "20",
                        "--seed",
                        "0",
                        "--temperature",
                        "0.8",
                        "--top-p",
                        "1"))
                .isEqualTo(outcome);
    }

    /** Random bytes are hardly ever characters; that the texts differ is for the sampler's own test. */
    @Test
    void goesOnBeyondTheModelsPositions() {
        Outcome outcome = sample("--prompt", "", "--tokens", "80", "--temperature", "0");

        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        assertThat(outcome.out().length()).isBetween(60, 82);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--tokens|0|expected a whole number of at least 1, got 0",
                "--temperature|-0.5|expected a number of at least 0, got -0.5",
                "--temperature|NaN|expected a number of at least 0, got NaN",
                "--temperature|Infinity|expected a number of at least 0, got Infinity",
                "--top-p|0|expected a number above 0 and at most 1, got 0.0",
                "--top-p|1.5|expected a number above 0 and at most 1, got 1.5",
                "--seed|-1|expected a whole number of at least 0, got -1"
            })
    void refusesWrongNumbers(String option, String value, String message) {
        assertThat(sample("--prompt", "a", option, value))
                .isEqualTo(new Outcome(2, "", option + ": " + message + "\n"));
    }

    @Test
    void namesEveryWrongNumber() {
        assertThat(sample("--prompt", "a", "--tokens", "-1", "--top-p", "2")
                        .err()
                        .lines())
                .hasSize(2);
        Outcome outcome = sample("--prompt", "a", "--tokens", "many");
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err()).startsWith("Invalid value for option '--tokens': 'many' is not an int");
    }

    @Test
    void thePromptMustBeGiven() {
        Outcome outcome = sample();

        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err()).startsWith("Missing required option: '--prompt=TEXT'");
    }

    @Test
    void theModelMustBeOne() throws IOException {
        assertThat(tiny.execute("sample", "--prompt", "a", "--model", "refrence"))
                .isEqualTo(new Outcome(
                        2,
                        "",
                        "--model: expected the name of a shipped model (reference), the path of a Hugging Face model"
                                + " folder or of a GGUF file, or owner/name on the hub, got \"refrence\" (a path in a file"
                                + " starts at its folder, others at the current directory); did you mean"
                                + " \"reference\"?\n"));
        Files.delete(folder.resolve("llama/tokenizer.json"));
        assertThat(sample("--prompt", "a"))
                .isEqualTo(new Outcome(
                        2,
                        "",
                        "--model: DIR/llama/tokenizer.json: no such file; a model folder needs its tokenizer in this"
                                + " form\n"));
        Files.delete(folder.resolve("llama/config.json"));
        assertThat(sample("--prompt", "a"))
                .isEqualTo(new Outcome(
                        2, "", "--model: DIR/llama/config.json: no such file; expected a Hugging Face model folder\n"));
    }
}
