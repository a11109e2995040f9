package dev.ptq.sweep;

import dev.ptq.artifact.RunFiles;
import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigFiles;
import dev.ptq.run.Runs;
import dev.ptq.slurm.SlurmScript;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * Runs that are handed to a scheduler, and what their processes need of this one.
 *
 * @param results the folder for tags
 * @param tag of the sweep, or of the only run
 * @param sweep whether there are points below the tag
 * @param config the experiment
 * @param directory the working folder
 * @param program this one
 * @param environment that decides where it finds its files
 * @param split ranges of blocks for each run, 1 for none
 */
public record Launch(
        Path results,
        String tag,
        boolean sweep,
        ConfigFiles config,
        Path directory,
        Program program,
        Map<String, String> environment,
        int split) {
    /** The folder of the results for copies of the program. */
    private static final String PROGRAM = ".program";

    /** The folder of the results for launches of single runs, whose own folder appears when they are done. */
    private static final String LAUNCHES = ".launch";

    public Launch {
        results = results.toAbsolutePath().normalize();
        environment = new LinkedHashMap<>(environment);
    }

    /** The folder for everything that was ever launched under the tag. */
    Path folder() {
        return sweep
                ? results.resolve(tag).resolve(RunFiles.LAUNCH)
                : results.resolve(LAUNCHES).resolve(tag);
    }

    LaunchLock lock() {
        return lock(results, tag);
    }

    private static LaunchLock lock(Path results, String tag) {
        return new LaunchLock(Runs.cacheFolder(results), tag);
    }

    /**
     * Divides runs into tasks.
     *
     * @throws ConfigException if they cannot be split as is wanted
     */
    List<TaskList.Kind> kinds(List<PlannedRun> runs) {
        return TaskKinds.of(runs, split);
    }

    /** Writes the next folder, and copies the program, with another command for Java if one is given. */
    LaunchFolder write(List<TaskList.Kind> kinds, String java, List<String> javaOptions) throws IOException {
        Program copied = program.copiedTo(results.resolve(PROGRAM)).with(java, javaOptions);
        LaunchFolder next = LaunchFolder.next(folder());
        next.write(directory, results, config, kinds, copied, environment);
        return next;
    }

    /**
     * Writes the tasks of runs for any program that can start processes.
     *
     * @param dryRun whether to write nothing
     * @return what there is to start, in lines for people
     */
    public List<String> files(List<PlannedRun> runs, boolean dryRun) throws IOException {
        List<TaskList.Kind> kinds = kinds(runs);
        LaunchFolder written = dryRun ? new LaunchFolder(folder().resolve("N")) : write(kinds, "", List.of());
        List<String> lines = new ArrayList<>();
        for (TaskList.Kind kind : kinds) {
            lines.add(kind.name() + ": " + kind.tasks().size() + " tasks, INDEX from 0 to "
                    + (kind.tasks().size() - 1)
                    + (kind.after().isEmpty() ? "" : ", after " + String.join(", ", kind.after())));
        }
        List<String> start = new ArrayList<>(written.command("KIND"));
        start.add("INDEX");
        lines.add("start: " + start.stream().map(SlurmScript::quoted).collect(Collectors.joining(" ")));
        return lines;
    }

    /**
     * Makes sure that the locks of the process that watches a launch reach this one.
     *
     * @param tasks the file of the list
     */
    public static void requireLocks(TaskList list, Path tasks) throws IOException {
        Path results = Path.of(list.results());
        // launch/N/tasks.json below the tag, or .launch/TAG/N/tasks.json
        Path launches = tasks.toAbsolutePath().normalize().resolve("../..").normalize();
        String folder = results.relativize(launches).toString().replace('\\', '/');
        String tag = folder.startsWith(LAUNCHES + "/")
                ? folder.substring(LAUNCHES.length() + 1)
                : folder.replaceFirst("/?" + RunFiles.LAUNCH + "$", "");
        Optional<String> problem = lock(results, tag).problem();
        if (problem.isPresent()) {
            throw new IOException(problem.get());
        }
    }
}
