package dev.ptq.cli;

import dev.ptq.config.ConfigException;
import dev.ptq.stage.Experiment;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** What every command on an experiment file takes. */
final class ExperimentOptions {
    @Parameters(index = "0", paramLabel = "CONFIG", description = "the experiment file, TOML")
    Path config;

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

    Experiment read() throws IOException {
        if (!Files.isRegularFile(config)) {
            throw new ConfigException(config + ": no such file");
        }
        return Experiment.read(config, overrides);
    }
}
