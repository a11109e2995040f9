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
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every experiment file that comes with the program. */
class ConfigsTest {
    static List<Path> files() throws IOException {
        try (Stream<Path> files = Files.walk(Shared.root().resolve("configs"))) {
            // those of reproductions change models that are not here: ReproductionTest
            return files.filter(file -> file.toString().endsWith(".toml")
                            && !file.toString().contains(Reproduction.FOLDER))
                    .sorted()
                    .toList();
        }
    }

    /** Each is meant to be used where it is: paths in it start at its folder. */
    @ParameterizedTest
    @MethodSource("files")
    void canBePlanned(Path file) throws IOException {
        assumeTrue(
                Shared.find("").isPresent() || !Files.readString(file).contains("\"../../shared"),
                "no folder ../shared with models and texts");

        Experiment experiment = Experiment.read(file, List.of());
        assertThat(experiment.located().warnings()).isEmpty();
        try (Workspace workspace = new Workspace(experiment, Progress.Reporter.none())) {
            assertThat(ExperimentPlan.of(workspace).stages()).isNotEmpty();
        }
    }
}
