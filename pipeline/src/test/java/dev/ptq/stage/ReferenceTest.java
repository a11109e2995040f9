package dev.ptq.stage;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.config.ReferenceFile;
import dev.ptq.evaluate.task.Tasks;
import dev.ptq.format.Formats;
import dev.ptq.method.Methods;
import dev.ptq.tensor.Shared;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** The documents say what the code declares. */
class ReferenceTest {
    private static final Path CONFIGS = Shared.root().resolve("configs/README.md");

    @Test
    void theConfigReferenceHasAllKeys() throws IOException {
        ReferenceFile.check(CONFIGS, ExperimentKeys.SECTION);
    }

    @Test
    void theReadmeHasARowForEachMethod() throws IOException {
        assertThat(Files.readAllLines(Shared.root().resolve("README.md")).stream()
                        .filter(line -> Methods.descriptions().keySet().stream()
                                .anyMatch(name -> line.startsWith("| `" + name + "` |")))
                        .map(line -> line.split("`", -1)[1]))
                .as("methods in the README's table")
                .containsExactlyElementsOf(Methods.descriptions().keySet());
    }

    @Test
    void theConfigReferenceNamesAllTasksAndFormats() throws IOException {
        String text = Files.readString(CONFIGS);
        assertThat(Tasks.descriptions().keySet())
                .allSatisfy(task -> assertThat(text).contains("`" + task + "`"));
        assertThat(Formats.descriptions().keySet())
                .allSatisfy(format -> assertThat(text).contains("`\"" + format + "\"`"));
    }
}
