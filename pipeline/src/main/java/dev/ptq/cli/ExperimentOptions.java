package dev.ptq.cli;

import dev.ptq.config.Assignment;
import dev.ptq.experiment.Downloads;
import dev.ptq.hub.Hub;
import dev.ptq.stage.Experiment;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options that all commands on an experiment file share. */
final class ExperimentOptions {
    static final String CONFIG = "the experiment file, TOML";

    @Option(
            names = "--set",
            paramLabel = "KEY=VALUE",
            description = "replace a value of the file, such as quantization.weight.bits=3; may be repeated")
    List<String> overrides = new ArrayList<>();

    @Mixin
    ResultsOption results;

    @Mixin
    OnlineOption online;

    Experiment read(Path config) throws IOException {
        InputFile.require(config);
        fetch(config, List.of());
        return Experiment.read(config, overrides);
    }

    /** Fetches the experiment's missing inputs, if the user allows it. */
    void fetch(Path config, List<Assignment> assignments) throws IOException {
        Optional<Hub> hub = online.hub();
        if (hub.isPresent()) {
            new Downloads(hub.get()).fetch(config, overrides, assignments);
        }
    }
}
