package dev.ptq.cli;

import dev.ptq.config.ConfigException;
import dev.ptq.config.TomlWriter;
import dev.ptq.progress.Progress;
import dev.ptq.report.MetricsTable;
import dev.ptq.run.Plan;
import dev.ptq.run.Provenance;
import dev.ptq.run.Run;
import dev.ptq.run.Runs;
import dev.ptq.stage.Experiment;
import dev.ptq.stage.ExperimentPlan;
import dev.ptq.stage.Workspace;
import dev.ptq.tensor.Parallel;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code ptq run CONFIG TAG}. */
@Command(
        name = "run",
        mixinStandardHelpOptions = true,
        description = "Calibrates, approximates, quantizes and evaluates as CONFIG says, into DIR/TAG.")
final class RunCommand implements Callable<Integer> {
    @Spec
    CommandSpec spec;

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
        Runs.tagProblem(tag).ifPresent(problem -> {
            throw new ConfigException(problem);
        });
        if (Files.exists(options.results) && !Files.isDirectory(options.results)) {
            throw new ConfigException(
                    options.results + ": expected a folder for results, found something else of that name");
        }
        Experiment experiment = options.read();
        try (Workspace workspace = new Workspace(experiment, Progress.Reporter.forTerminal());
                LogFile logFile = LogFile.open()) {
            Plan plan = ExperimentPlan.of(workspace);
            Runs runs = new Runs(options.results);
            checkForce(plan);
            runs.conflict(tag, plan).ifPresent(conflict -> {
                throw new ConfigException(conflict);
            });
            if (force != null
                    || !runs.cached(plan)
                            .keySet()
                            .containsAll(plan.fingerprints().keySet())) {
                workspace.check();
            }
            Run run = runs.run(
                    tag,
                    plan,
                    Optional.ofNullable(force),
                    new Provenance(Version.version(), Version.commit(), Parallel.THREADS, workspace.sources()),
                    (directory, manifest) -> {
                        Files.copy(options.config, directory.resolve("config.toml"));
                        Files.writeString(directory.resolve("resolved.toml"), TomlWriter.write(experiment.resolved()));
                        ExperimentPlan.writeResults(experiment, directory);
                        logFile.copyTo(directory.resolve("log.txt"));
                    });
            Map<String, Object> metrics = ExperimentPlan.metrics(experiment, run.directory());
            spec.commandLine().getOut().print(MetricsTable.render(metrics));
            spec.commandLine().getOut().println("results: " + run.directory());
            spec.commandLine().getOut().flush();
        }
        return 0;
    }

    private void checkForce(Plan plan) {
        if (force != null) {
            try {
                plan.from(force);
            } catch (IllegalArgumentException e) {
                throw new ConfigException("--force: " + e.getMessage());
            }
        }
    }
}
