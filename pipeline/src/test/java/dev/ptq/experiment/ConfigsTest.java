package dev.ptq.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.ptq.progress.Progress;
import dev.ptq.stage.Experiment;
import dev.ptq.stage.Workspace;
import dev.ptq.tensor.Shared;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every experiment file that comes with the program. */
class ConfigsTest {
    @TempDir
    Path folder;

    static List<Path> files() throws IOException {
        try (Stream<Path> files = Files.walk(Shared.root().resolve("configs"))) {
            // those of reproductions change models that are not here: ReproductionTest
            return files.filter(file -> file.toString().endsWith(".toml")
                            && !file.toString().contains(Reproduction.FOLDER))
                    .sorted()
                    .toList();
        }
    }

    /** Its paths start at the root of the checkout, where it is meant to be used. */
    @ParameterizedTest
    @MethodSource("files")
    void canBePlanned(Path file) throws IOException {
        String toml = Files.readString(file);
        Optional<Path> shared = Shared.find("");
        assumeTrue(shared.isPresent() || !toml.contains("\"../shared"));
        String rooted = toml.replace("\"../", "\"" + Shared.root().getParent() + "/");
        Path copy = Files.writeString(folder.resolve("config.toml"), rooted);

        Experiment experiment = Experiment.read(copy, List.of());
        try (Workspace workspace = new Workspace(experiment, Progress.Reporter.none())) {
            assertThat(ExperimentPlan.of(workspace).stages()).isNotEmpty();
        }
    }
}
