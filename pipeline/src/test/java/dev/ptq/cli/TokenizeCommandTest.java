package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.cli.TinyExperiment.Outcome;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizeCommandTest {
    @TempDir
    private Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void write() throws IOException {
        tiny = new TinyExperiment(folder);
    }

    @Test
    void printsIdsPiecesAndPlaces() {
        Outcome outcome = tiny.execute("tokenize", "--text", "a 😀b");
        assertThat(outcome.code()).isZero();
        // the reference model falls back to bytes, and counts a character of two Java chars once
        assertThat(outcome.out().lines())
                .containsExactly(
                        "335\t0\t1\t\"▁a\"",
                        "334\t1\t2\t\"▁\"",
                        "243\t2\t3\t\"<0xF0>\"",
                        "162\t2\t3\t\"<0x9F>\"",
                        "155\t2\t3\t\"<0x98>\"",
                        "131\t2\t3\t\"<0x80>\"",
                        "309\t3\t4\t\"b\"");
        assertThat(outcome.err()).isEqualTo("7 tokens\n");
    }

    @Test
    void readsAFileAndAddsSpecialTokens() throws IOException {
        Files.writeString(folder.resolve("short.txt"), "");
        Outcome outcome = tiny.execute("tokenize", "DIR/short.txt", "--model", "DIR/llama", "--special");
        assertThat(outcome.out()).isEqualTo("1\t0\t0\t\"<s>\"\n");
        assertThat(outcome.err()).isEqualTo("1 token\n");
    }

    @Test
    void refusesWhatIsNotThere() {
        assertThat(tiny.execute("tokenize", "DIR/none.txt").code()).isEqualTo(2);
        assertThat(tiny.execute("tokenize", "--text", "a", "--model", "none").err())
                .contains("--model: expected");
        assertThat(tiny.execute("tokenize").code()).isEqualTo(2);
    }
}
