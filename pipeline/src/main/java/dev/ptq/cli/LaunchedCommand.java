package dev.ptq.cli;

import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigFiles;
import dev.ptq.experiment.ExperimentRun;
import dev.ptq.progress.Progress;
import dev.ptq.stage.Experiment;
import dev.ptq.sweep.Launch;
import dev.ptq.sweep.TaskList;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The command {@code ptq launched FILE KIND INDEX}, which schedulers start. */
@Command(
        name = "launched",
        hidden = true,
        mixinStandardHelpOptions = true,
        description = "Does one task of a list that --launcher wrote.")
final class LaunchedCommand implements Callable<Integer> {
    @Spec
    CommandSpec spec;

    @Parameters(index = "0", paramLabel = "FILE", description = "the list, " + TaskList.FILE)
    Path file;

    @Parameters(index = "1", paramLabel = "KIND", description = "a kind of tasks in it")
    String kind;

    @Parameters(index = "2", paramLabel = "INDEX", description = "which task of the kind, from 0")
    int index;

    @Override
    public Integer call() throws IOException {
        InputFile.require(file);
        TaskList list = TaskList.read(file);
        TaskList.Kind tasks = list.kind(kind)
                .orElseThrow(() -> new ConfigException(file + ": there are no tasks \"" + kind + "\", there are "
                        + list.kinds().stream().map(TaskList.Kind::name).toList()));
        if (index < 0 || index >= tasks.tasks().size()) {
            throw new ConfigException(
                    file + ": " + kind + " has tasks 0 to " + (tasks.tasks().size() - 1) + ", got " + index);
        }
        TaskList.Task task = tasks.tasks().get(index);
        if (index == 0) {
            Launch.requireLocks(list, file);
        }
        ConfigFiles config = list.files();
        Path results = Path.of(list.results());
        ExperimentRun.requirePlace(results, task.tag());
        Experiment experiment = Experiment.read(config, task.set(), List.of());
        try (ExperimentRun prepared =
                ExperimentRun.prepare(experiment, results, task.tag(), Progress.Reporter.forTerminal())) {
            if (!prepared.fingerprint().equals(task.fingerprint())) {
                throw new ConfigException(task.tag()
                        + ": is another experiment than was submitted: the model, a text or the program"
                        + " changed meanwhile");
            }
            if (task.stage().isPresent()) {
                make(prepared, task.stage().get(), task.parts());
                return ExitCode.OK;
            }
        }
        RunCommand.run(
                experiment,
                config,
                results,
                task.tag(),
                false,
                Optional.empty(),
                spec.commandLine().getOut());
        return ExitCode.OK;
    }

    private static void make(ExperimentRun prepared, String stage, Optional<TaskList.Parts> parts) throws IOException {
        if (parts.isPresent()) {
            prepared.runParts(stage, parts.get().from(), parts.get().to());
        } else {
            prepared.obtain(stage);
        }
    }
}
