package dev.ptq.cli;

import dev.ptq.config.ConfigException;
import dev.ptq.stage.Experiment;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/** What every command on an experiment file takes beside the file. */
final class ExperimentOptions {
    static final String CONFIG = "the experiment file, TOML";

    @Option(
            names = "--set",
            paramLabel = "KEY=VALUE",
            description = "replace a value of the file, such as quantization.weight.bits=3; may be repeated")
    List<String> overrides = new ArrayList<>();

    @Option(
            names = "--results",
            paramLabel = "DIR",
            defaultValue = "results",
            description = "where runs and finished stages are kept (default: ${DEFAULT-VALUE})")
    Path results;

    Experiment read(Path config) throws IOException {
        requireFile(config);
        return Experiment.read(config, overrides);
    }

    static void requireFile(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new ConfigException(file + ": no such file");
        }
    }
}
