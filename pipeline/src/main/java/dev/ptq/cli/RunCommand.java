package dev.ptq.cli;

import dev.ptq.artifact.RunFiles;
import dev.ptq.config.ConfigException;
import dev.ptq.experiment.ExperimentRun;
import dev.ptq.experiment.Measurements;
import dev.ptq.progress.Progress;
import dev.ptq.report.LedgerLines;
import dev.ptq.report.MetricsTable;
import dev.ptq.run.Manifest;
import dev.ptq.run.Run;
import dev.ptq.stage.Experiment;
import dev.ptq.sweep.Launch;
import dev.ptq.sweep.Launcher;
import dev.ptq.sweep.PlannedRun;
import dev.ptq.sweep.PointRunner;
import dev.ptq.sweep.SlurmLauncher;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
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
    private static final Logger log = LoggerFactory.getLogger(RunCommand.class);

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
            description = "run this stage and those that depend on it again, even if cached")
    @Nullable
    String force;

    @Mixin
    LauncherOptions launcher;

    @Mixin
    TrackOption tracking;

    @Override
    public Integer call() throws IOException {
        launcher.require();
        tracking.require();
        ExperimentRun.requirePlace(options.results.folder, tag);
        Experiment experiment = options.read(config);
        byte[] text = Files.readAllBytes(config); // it may be edited while it runs
        if (launcher.where != LauncherOptions.Where.local) {
            return launch(experiment, text);
        }
        run(
                experiment,
                text,
                options.results.folder,
                tag,
                Optional.ofNullable(force),
                spec.commandLine().getOut());
        return ExitCode.OK;
    }

    /** Has other processes do it. */
    private int launch(Experiment experiment, byte[] text) throws IOException {
        if (force != null) {
            throw new ConfigException("--force: needs --launcher local");
        }
        PlannedRun planned;
        Map<String, List<Path>> files;
        boolean complete;
        try (ExperimentRun prepared =
                ExperimentRun.prepare(experiment, options.results.folder, tag, Progress.Reporter.none())) {
            prepared.check(Optional.empty());
            planned = new PlannedRun(tag, options.overrides, prepared.fingerprint(), prepared.stages());
            files = prepared.files();
            complete = prepared.complete().isPresent();
        }
        Launch launch = launcher.launch(options.results.folder, tag, false, new String(text, StandardCharsets.UTF_8));
        PrintWriter out = spec.commandLine().getOut();
        if (!complete && launcher.where == LauncherOptions.Where.files) {
            launch.files(List.of(planned), false).forEach(out::println);
            out.flush();
            return ExitCode.OK;
        }
        List<String> errors = new ArrayList<>();
        if (!complete) {
            SlurmLauncher slurm = launcher.slurm(launch, OptionalInt.empty(), List.of(files));
            launcher.unpackNatives();
            Launcher.Listener listener = new Launcher.Listener() {
                @Override
                public void started(int index) {
                    log.info("{}: started", tag);
                }

                @Override
                public void ended(int index, PointRunner.Outcome outcome) {
                    outcome.error().ifPresent(errors::add);
                }
            };
            if (!slurm.run(List.of(planned), false, launcher.detach, listener)) {
                return ExitCode.OK;
            }
        }
        if (!errors.isEmpty()) {
            throw new IOException(tag + ": " + errors.get(0));
        }
        Path directory = options.results.folder.resolve(tag);
        if (!Files.exists(directory.resolve(Manifest.FILE))) {
            throw new IOException(tag + ": cancelled");
        }
        print(experiment, directory, out);
        tracking.send(options.results.folder, List.of(directory));
        return ExitCode.OK;
    }

    /** Runs an experiment in this process and prints its results. */
    static void run(
            Experiment experiment, byte[] text, Path results, String tag, Optional<String> again, PrintWriter out)
            throws IOException {
        try (ExperimentRun prepared = ExperimentRun.prepare(experiment, results, tag, Progress.Reporter.forTerminal());
                LogFile logFile = LogFile.open()) {
            prepared.check(again);
            Run run = prepared.run(again, Version.version(), Version.commit(), (directory, manifest) -> {
                Files.write(directory.resolve(RunFiles.CONFIG), text);
                logFile.copyTo(directory.resolve(RunFiles.LOG));
            });
            print(experiment, run.directory(), out);
        }
    }

    private static void print(Experiment experiment, Path directory, PrintWriter out) throws IOException {
        Measurements measurements = Measurements.of(experiment, directory);
        out.print(MetricsTable.render(measurements.metrics()));
        if (experiment.evaluation().perplexities().isEmpty()) {
            experiment.checkpointNote().ifPresent(note -> out.println("* " + note));
        }
        out.print(LedgerLines.render(measurements.ledger()));
        out.println("results: " + directory);
        out.flush();
    }
}
