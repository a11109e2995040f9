package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.cli.TinyExperiment.Outcome;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The command {@code reproduce}. */
class ReproduceCommandTest {
    @TempDir
    Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
        tiny.config(TinyExperiment.CONFIG);
    }

    private void rows(double expected) throws IOException {
        Files.createDirectories(folder.resolve("rows"));
        Files.writeString(folder.resolve("rows/tales.toml"), """
                paper = "A paper"
                table = "table 2"
                config = "../config.toml"
                protocol = "gptq: chunks of 24 tokens"
                metric = "perplexity/tales"
                model = "made by the test"

                [rows.two-bits]
                row = "L2QER, 2 bits"
                set = ["quantization.weight.bits=2"]
                expected = %s
                tolerance = 1.5
                traps = ["The text is short."]

                [rows.three-bits]
                row = "L2QER, 3 bits"
                expected = 97.25
                tolerance = 0.5
                here = 97.5
                """.formatted(expected));
    }

    private Outcome reproduce(String... arguments) throws IOException {
        String[] all = new String[arguments.length + 5];
        all[0] = "reproduce";
        System.arraycopy(arguments, 0, all, 1, arguments.length);
        System.arraycopy(
                new String[] {"--from", "DIR/rows", "--results", "DIR/results"}, 0, all, arguments.length + 1, 4);
        return tiny.execute(all);
    }

    @Test
    void listsWhatThereIs() throws IOException {
        rows(100);
        Outcome outcome = reproduce("list");
        assertThat(outcome.code()).isZero();
        assertThat(outcome.out()).isEqualTo("""
                        name        published  within     here  metric            source
                        three-bits      97.25     0.5     97.5  perplexity/tales  A paper: L2QER, 3 bits
                        two-bits          100     1.5  not run  perplexity/tales  A paper: L2QER, 2 bits
                        """);
    }

    @Test
    void saysByHowMuchARowIsMissedOrReached() throws IOException {
        rows(1000);
        Outcome missed = reproduce("two-bits");
        assertThat(missed.code()).isEqualTo(1);
        String last = missed.out().lines().reduce((a, b) -> b).orElseThrow();
        assertThat(last)
                .matches("perplexity/tales: [0-9.]+; published 1000; difference -[0-9.]+"
                        + " \\(-[0-9.]+ %\\), allowed 1\\.5: not reached");

        rows(Double.parseDouble(last.split("[ ;]", -1)[1]));
        Outcome reached = reproduce("two-bits");
        assertThat(reached.code()).isZero();
        assertThat(reached.out()).endsWith("allowed 1.5: reached\n");
        assertThat(Files.readString(folder.resolve("results/reproduce-two-bits/resolved.toml")))
                .contains("bits = 2");
    }

    @Test
    void anUnknownNameIsAnErrorWithASuggestion() throws IOException {
        rows(100);
        Outcome outcome = reproduce("two-bit");
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err())
                .contains("got \"two-bit\"; did you mean \"two-bits\"?; \"ptq reproduce list\" shows them");
    }
}
