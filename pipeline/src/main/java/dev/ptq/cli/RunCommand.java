package dev.ptq.cli;

import dev.ptq.artifact.RunFiles;
import dev.ptq.experiment.ExperimentRun;
import dev.ptq.experiment.Measurements;
import dev.ptq.progress.Progress;
import dev.ptq.report.LedgerLines;
import dev.ptq.report.MetricsTable;
import dev.ptq.run.Run;
import dev.ptq.stage.Experiment;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The command {@code ptq run CONFIG TAG}. */
@Command(
        name = "run",
        mixinStandardHelpOptions = true,
        description = "Calibrates, approximates, quantizes and evaluates as CONFIG says, into DIR/TAG.")
final class RunCommand implements Callable<Integer> {
    @Spec
    CommandSpec spec;

    @Parameters(index = "0", paramLabel = "CONFIG", description = ExperimentOptions.CONFIG)
    Path config;

    @Mixin
    ExperimentOptions options;

    @Parameters(index = "1", paramLabel = "TAG", description = "name of the run's directory")
    String tag;

    @Option(
            names = "--force",
            paramLabel = "STAGE",
            description = "make this stage again, and those that depend on it, though they were made before")
    @Nullable
    String force;

    @Override
    public Integer call() throws IOException {
        ExperimentRun.requirePlace(options.results.folder, tag);
        Experiment experiment = options.read(config);
        byte[] text = Files.readAllBytes(config); // it may be edited while it runs
        Optional<String> again = Optional.ofNullable(force);
        try (ExperimentRun prepared = ExperimentRun.prepare(
                        experiment, options.results.folder, tag, Progress.Reporter.forTerminal());
                LogFile logFile = LogFile.open()) {
            prepared.check(again);
            Run run = prepared.run(again, Version.version(), Version.commit(), (directory, manifest) -> {
                Files.write(directory.resolve(RunFiles.CONFIG), text);
                logFile.copyTo(directory.resolve(RunFiles.LOG));
            });
            Measurements measurements = Measurements.of(experiment, run.directory());
            spec.commandLine().getOut().print(MetricsTable.render(measurements.metrics()));
            if (experiment.evaluation().perplexities().isEmpty()) {
                experiment
                        .checkpointNote()
                        .ifPresent(note -> spec.commandLine().getOut().println("* " + note));
            }
            spec.commandLine().getOut().print(LedgerLines.render(measurements.ledger()));
            spec.commandLine().getOut().println("results: " + run.directory());
            spec.commandLine().getOut().flush();
        }
        return 0;
    }
}
