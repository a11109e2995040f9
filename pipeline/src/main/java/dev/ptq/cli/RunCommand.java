package dev.ptq.cli;

import dev.ptq.artifact.RunFiles;
import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigFiles;
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
        preprocessor = ExperimentOptions.BareOverrides.class,
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

    @Option(
            names = "--overwrite",
            description = "if the tag is that of a run of another config, move that run to TAG.1, or the next number")
    boolean overwrite;

    @Mixin
    LauncherOptions launcher;

    @Mixin
    TrackOption tracking;

    @Override
    public Integer call() throws IOException {
        launcher.require();
        tracking.require();
        ExperimentRun.requirePlace(options.results.folder, tag);
        ConfigFiles files = options.files(config); // read once: they may be edited while it runs
        Experiment experiment = options.read(files);
        if (launcher.where != LauncherOptions.Where.local) {
            return launch(experiment, files);
        }
        run(
                experiment,
                files,
                options.results.folder,
                tag,
                overwrite,
                Optional.ofNullable(force),
                spec.commandLine().getOut());
        return ExitCode.OK;
    }

    /** Has other processes do it. */
    private int launch(Experiment experiment, ConfigFiles configs) throws IOException {
        if (force != null || overwrite) {
            throw new ConfigException((force != null ? "--force" : "--overwrite") + ": needs --launcher local");
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
        Launch launch = launcher.launch(options.results.folder, tag, false, configs, options.overrides);
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
            Experiment experiment,
            ConfigFiles files,
            Path results,
            String tag,
            boolean overwrite,
            Optional<String> again,
            PrintWriter out)
            throws IOException {
        try (ExperimentRun prepared =
                        ExperimentRun.prepare(experiment, results, tag, overwrite, Progress.Reporter.forTerminal());
                LogFile logFile = LogFile.open()) {
            prepared.check(again);
            Run run = prepared.run(again, Version.version(), Version.commit(), (directory, manifest) -> {
                keep(files, directory);
                logFile.copyTo(directory.resolve(RunFiles.LOG));
            });
            print(experiment, run.directory(), out);
        }
    }

    /** Writes a config as it was given, with those that it extends. */
    static void keep(ConfigFiles files, Path directory) throws IOException {
        Files.writeString(directory.resolve(RunFiles.CONFIG), files.text());
        for (int i = 1; i < files.files().size(); i++) {
            ConfigFiles.Content file = files.files().get(i);
            Path folder = Files.createDirectories(directory.resolve(RunFiles.EXTENDED));
            Files.writeString(folder.resolve(i + "-" + file.path().getFileName()), file.text());
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
