package dev.ptq.cli;

import java.nio.file.Path;
import picocli.CommandLine.Option;

/** The option for a command's results folder. */
final class ResultsOption {
    @Option(
            names = "--results",
            paramLabel = "DIR",
            defaultValue = "results",
            description = "where runs and finished stages are kept (default: ${DEFAULT-VALUE})")
    Path folder;
}
