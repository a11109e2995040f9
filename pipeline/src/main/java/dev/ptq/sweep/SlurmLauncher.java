package dev.ptq.sweep;

import dev.ptq.config.ConfigException;
import dev.ptq.run.Run;
import dev.ptq.run.Runs;
import dev.ptq.slurm.Slurm;
import dev.ptq.slurm.SlurmScript;
import dev.ptq.slurm.SlurmSettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hands runs to Slurm and watches them. Slurm schedules; what is done is decided by the results folder.
 *
 * <p>Jobs go on when this process ends. Started again, it watches those that there are, and submits what is missing.
 */
public final class SlurmLauncher {
    private static final Logger log = LoggerFactory.getLogger(SlurmLauncher.class);

    private final Launch launch;
    private final SlurmSettings settings;
    private final Slurm slurm;
    private final OptionalInt parallel;

    /**
     * Prepares to submit.
     *
     * @param parallel tasks at once, before what the settings say
     */
    public SlurmLauncher(Launch launch, SlurmSettings settings, Slurm slurm, OptionalInt parallel) {
        this.launch = launch;
        this.settings = settings;
        this.slurm = slurm;
        this.parallel = parallel.isPresent() ? parallel : settings.parallel();
    }

    /** Returns a launcher of the points of a sweep. */
    public Launcher ofPoints(Sweep sweep, boolean detach) {
        return (points, failFast, listener) ->
                run(points.stream().map(sweep::planned).toList(), failFast, detach, listener);
    }

    /**
     * Makes sure that nothing that tasks need is on this machine alone.
     *
     * @param places by what they are
     * @throws ConfigException with all that are
     */
    public void check(Map<String, List<Path>> places) throws IOException {
        Map<String, List<Path>> all = new LinkedHashMap<>();
        all.put("the results folder", List.of(launch.results()));
        all.put("the working folder", List.of(launch.directory()));
        all.putAll(places);
        if (settings.java().isEmpty()) {
            all.put("Java", List.of(Path.of(launch.program().java().get(0))));
        }
        List<String> problems = new NodeLocal(settings.nodeLocal()).problems(all);
        if (!problems.isEmpty()) {
            throw new ConfigException(problems);
        }
    }

    /** Returns the scripts for runs, with words for the ids of jobs, and what Slurm says of each; nothing is kept. */
    public List<String> dryRun(List<PlannedRun> runs) throws IOException {
        List<String> texts = new ArrayList<>();
        Path folder = launch.folder().resolve("N");
        boolean present = slurm.present();
        for (TaskList.Kind kind : launch.kinds(runs)) {
            SlurmScript script = script(
                    new LaunchFolder(folder),
                    kind,
                    0,
                    kind.tasks().size(),
                    kind.after().stream().map(SlurmLauncher::word).toList());
            texts.add("# " + kind.name() + ": " + kind.tasks().size() + " tasks\n" + script.text(settings));
            if (present) {
                texts.add("# sbatch --test-only: " + test(kind, script) + "\n");
            }
        }
        if (!present) {
            texts.add("# there is no sbatch here to ask\n");
        }
        return texts;
    }

    private static String word(String kind) {
        return kind.toUpperCase(Locale.ROOT);
    }

    private String test(TaskList.Kind kind, SlurmScript script) throws IOException {
        Path file = Files.createTempFile("ptq-" + kind.name(), ".sh");
        try {
            // asked of one task, without the jobs that it waits for, which do not exist
            SlurmScript alone = new SlurmScript(
                    script.name(),
                    script.kind(),
                    0,
                    1,
                    List.of(),
                    parallel,
                    script.program(),
                    script.logs(),
                    script.workingFolder());
            return slurm.test(Files.writeString(file, alone.text(settings)));
        } catch (Slurm.CommandException e) {
            return String.valueOf(e.getMessage());
        } finally {
            Files.deleteIfExists(file);
        }
    }

    /**
     * Has runs done.
     *
     * @param runs none of which is complete; the listener counts them from 0
     * @param failFast whether to cancel what has not started when a run has failed
     * @param detach whether to return when all is submitted
     * @return whether it waited for all of them
     */
    public boolean run(List<PlannedRun> runs, boolean failFast, boolean detach, Launcher.Listener listener)
            throws IOException {
        return launch.lock().hold(() -> {
            Set<Integer> open = new TreeSet<>();
            for (int i = 0; i < runs.size(); i++) {
                open.add(i);
            }
            Optional<Submission> live = live();
            if (live.isPresent()) {
                log.info(
                        "{}: jobs {} go on, watching them",
                        launch.tag(),
                        String.join(", ", live.get().ids()));
                Map<Integer, Integer> watched = live.get().indexOf(runs, open);
                if (!follow(live.get(), runs, watched, failFast, detach, listener)) {
                    return false;
                }
                open.removeAll(watched.keySet());
                open.removeIf(index -> isComplete(runs.get(index)));
            }
            if (open.isEmpty()) {
                return true;
            }
            List<PlannedRun> missing = open.stream().map(runs::get).toList();
            Submission submitted = submit(missing);
            return follow(submitted, runs, submitted.indexOf(runs, open), failFast, detach, listener);
        });
    }

    private boolean isComplete(PlannedRun run) {
        try {
            return new Runs(launch.results())
                    .complete(run.tag(), run.fingerprint())
                    .isPresent();
        } catch (IOException e) {
            log.warn("{}: cannot be read: {}", run.tag(), e.getMessage());
            return false;
        }
    }

    private boolean follow(
            Submission submission,
            List<PlannedRun> runs,
            Map<Integer, Integer> taskOf,
            boolean failFast,
            boolean detach,
            Launcher.Listener listener)
            throws IOException {
        for (Map.Entry<Integer, Integer> entry : taskOf.entrySet()) {
            listener.submitted(entry.getKey(), submission.task(TaskKinds.POINTS, entry.getValue()));
        }
        if (detach) {
            log.info(submission.goesOn());
            return false;
        }
        Thread atExit = new Thread(() -> log.info(submission.goesOn()), "jobs go on");
        Runtime.getRuntime().addShutdownHook(atExit);
        try {
            new SlurmWatch(launch, settings, slurm, submission, failFast, listener).run(runs, taskOf);
        } finally {
            try {
                Runtime.getRuntime().removeShutdownHook(atExit);
            } catch (IllegalStateException e) {
                log.debug("the program is ending", e);
            }
        }
        warnOfMixedProcessors(runs, taskOf.keySet());
        return true;
    }

    /** The last submission, if any of its tasks may still do something. */
    private Optional<Submission> live() throws IOException {
        Optional<LaunchFolder> folder = LaunchFolder.submitted(launch.folder());
        if (folder.isEmpty()) {
            return Optional.empty();
        }
        Submission submission = new Submission(
                folder.get(), TaskList.read(folder.get().tasks()), folder.get().jobs());
        try {
            boolean any = slurm.states(submission.ids()).values().stream().anyMatch(state -> !state.ended());
            return any ? Optional.of(submission) : Optional.empty();
        } catch (Slurm.CommandException e) {
            throw new IOException(
                    launch.tag() + ": was submitted as jobs " + String.join(", ", submission.ids())
                            + ", and Slurm does not say whether they go on (" + e.getMessage()
                            + "); the same command later watches them or submits what is missing",
                    e);
        }
    }

    private Submission submit(List<PlannedRun> runs) throws IOException {
        List<TaskList.Kind> kinds = launch.kinds(runs);
        int longest = slurm.limits().arraySize();
        LaunchFolder folder = launch.write(kinds, settings.java().orElse(""), settings.javaOptions());
        Map<String, List<String>> ids = new LinkedHashMap<>();
        List<LaunchFolder.Job> jobs = new ArrayList<>();
        try {
            for (TaskList.Kind kind : kinds) {
                List<String> after = kind.after().stream()
                        .flatMap(name -> ids.getOrDefault(name, List.of()).stream())
                        .toList();
                for (int first = 0; first < kind.tasks().size(); first += longest) {
                    int count = Math.min(longest, kind.tasks().size() - first);
                    String text = script(folder, kind, first, count, after).text(settings);
                    String id = slurm.submit(folder.script(kind.name(), first, text));
                    ids.computeIfAbsent(kind.name(), name -> new ArrayList<>()).add(id);
                    jobs.add(new LaunchFolder.Job(id, kind.name(), first, count));
                    folder.writeJobs(jobs);
                }
                log.info(
                        "{}: {} tasks as job {}",
                        kind.name(),
                        kind.tasks().size(),
                        String.join(", ", ids.get(kind.name())));
            }
        } catch (IOException e) {
            cancel(jobs);
            throw e;
        }
        return new Submission(folder, TaskList.read(folder.tasks()), jobs);
    }

    private void cancel(List<LaunchFolder.Job> jobs) {
        List<String> ids = jobs.stream().map(LaunchFolder.Job::id).toList();
        try {
            if (!ids.isEmpty()) {
                slurm.cancel(ids, false);
            }
        } catch (IOException e) {
            log.warn("jobs {} cannot be cancelled: {}; scancel them", String.join(", ", ids), e.getMessage());
        }
    }

    private SlurmScript script(LaunchFolder folder, TaskList.Kind kind, int first, int count, List<String> after) {
        return new SlurmScript(
                "ptq:" + launch.tag() + ":" + kind.name(),
                kind.name(),
                first,
                count,
                after,
                parallel,
                folder.command(kind.name()),
                folder.path(),
                launch.directory());
    }

    /** Other processors may give other last bits. */
    private void warnOfMixedProcessors(List<PlannedRun> runs, Set<Integer> of) throws IOException {
        Map<String, Integer> counts = new TreeMap<>();
        for (int index : of) {
            PlannedRun run = runs.get(index);
            Optional<Run> complete = new Runs(launch.results()).complete(run.tag(), run.fingerprint());
            complete.flatMap(done -> done.manifest().machine().cpu())
                    .ifPresent(cpu -> counts.merge(cpu, 1, Integer::sum));
        }
        if (counts.size() > 1) {
            log.warn(
                    "points were made on different processors, whose last bits may differ: {}; constraint in the launcher's"
                            + " settings asks for one kind",
                    counts);
        }
    }
}
