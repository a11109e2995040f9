package dev.ptq.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.cli.Ptq;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class TrainReferenceTest {
    @TempDir
    private Path folder;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    private int execute(String... arguments) {
        CommandLine commandLine = Ptq.commandLine(new TrainReference());
        commandLine.setOut(new PrintWriter(out));
        commandLine.setErr(new PrintWriter(err));
        return commandLine.execute(arguments);
    }

    @Test
    void helpNamesEveryParameter() {
        assertThat(execute("--help")).isZero();
        assertThat(out.toString()).startsWith("Usage: train-reference").contains("--out=DIR", "--steps", "--seed");
    }

    @Test
    void aFolderThatExistsIsRefused() {
        assertThat(execute("--out", folder.toString())).isEqualTo(2);
        assertThat(err.toString()).contains(folder.toString(), "exists already");
    }

    @Test
    void aTrainingWithoutStepsIsRefused() {
        Path model = folder.resolve("new");

        assertThat(execute("--out", model.toString(), "--steps", "0")).isEqualTo(2);
        assertThat(err.toString()).contains("--steps: expected a whole number of at least 1, got 0");
        assertThat(folder).isEmptyDirectory();
    }
}
