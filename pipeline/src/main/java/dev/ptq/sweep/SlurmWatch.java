package dev.ptq.sweep;

import dev.ptq.run.Run;
import dev.ptq.run.Runs;
import dev.ptq.slurm.ExitCode;
import dev.ptq.slurm.Slurm;
import dev.ptq.slurm.SlurmSettings;
import dev.ptq.slurm.TaskState;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.channels.Channels;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks at a submission again and again until every run is complete or will never be.
 *
 * <p>A run is done when it is complete on disk, whatever Slurm says of its task. A Slurm that does not answer says
 * nothing.
 */
final class SlurmWatch {
    private static final Logger log = LoggerFactory.getLogger(SlurmWatch.class);
    private static final Duration SILENCE = Duration.ofMinutes(10);
    private static final long FIRST_PAUSE = 250;
    private static final TaskState FORGOTTEN = new TaskState("COMPLETED", "");
    private static final int MOST_BYTES = 1 << 16;

    private final Launch launch;
    private final SlurmSettings settings;
    private final Slurm slurm;
    private final Submission submission;
    private final boolean failFast;
    private final Launcher.Listener listener;
    private final Runs runs;
    private final long began = System.nanoTime();
    private final Map<Integer, Long> endedAt = new HashMap<>();
    private final Set<Integer> started = new HashSet<>();
    private long answered = System.nanoTime();
    private boolean silent;
    private boolean cancelled;
    private String progress = "";

    SlurmWatch(
            Launch launch,
            SlurmSettings settings,
            Slurm slurm,
            Submission submission,
            boolean failFast,
            Launcher.Listener listener) {
        this.launch = launch;
        this.settings = settings;
        this.slurm = slurm;
        this.submission = submission;
        this.failFast = failFast;
        this.listener = listener;
        this.runs = new Runs(launch.results());
    }

    /**
     * Watches until the end.
     *
     * @param taskOf index among the submitted points for the index of a run
     */
    void run(List<PlannedRun> all, Map<Integer, Integer> taskOf) throws IOException {
        Map<Integer, Integer> open = new TreeMap<>(taskOf);
        long poll = poll();
        long pause = FIRST_PAUSE; // what goes wrong at once is told at once
        while (true) {
            noteComplete(all, open);
            Optional<Map<String, TaskState>> states = open.isEmpty() ? Optional.empty() : states();
            if (states.isPresent()) {
                noteComplete(all, open); // those that ended before Slurm was asked
                look(open, states.get());
            }
            if (open.isEmpty()) {
                return;
            }
            try {
                TimeUnit.MILLISECONDS.sleep(pause);
                pause = Math.min(2 * pause, poll);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new InterruptedIOException("interrupted");
            }
        }
    }

    /** A task that ended must be seen before Slurm forgets it. */
    private long poll() {
        long wanted = TimeUnit.SECONDS.toMillis(settings.pollSeconds());
        try {
            return Math.min(wanted, Math.max(1000, slurm.limits().remembers().toMillis() / 3));
        } catch (IOException e) {
            return wanted;
        }
    }

    private void noteComplete(List<PlannedRun> all, Map<Integer, Integer> open) throws IOException {
        for (Iterator<Integer> each = open.keySet().iterator(); each.hasNext(); ) {
            int index = each.next();
            PlannedRun run = all.get(index);
            if (endedAt.containsKey(index)) {
                runs.lookAgain(run.tag());
            }
            Optional<Run> complete = runs.complete(run.tag(), run.fingerprint());
            if (complete.isPresent()) {
                listener.ended(
                        index,
                        new PointRunner.Outcome(
                                Optional.empty(), complete.get().manifest().seconds()));
                each.remove();
            }
        }
    }

    /** The states of all tasks; empty if Slurm does not answer. */
    private Optional<Map<String, TaskState>> states() {
        try {
            Map<String, TaskState> states = slurm.states(submission.ids());
            answered = System.nanoTime();
            silent = false;
            return Optional.of(states);
        } catch (IOException e) {
            log.debug("squeue", e);
            if (!silent && System.nanoTime() - answered > SILENCE.toNanos()) {
                silent = true;
                log.warn("Slurm has not answered for {} minutes: {}", SILENCE.toMinutes(), e.getMessage());
            }
            return Optional.empty();
        }
    }

    private void look(Map<Integer, Integer> open, Map<String, TaskState> states) throws IOException {
        int queued = 0;
        int running = 0;
        for (Iterator<Map.Entry<Integer, Integer>> each = open.entrySet().iterator(); each.hasNext(); ) {
            Map.Entry<Integer, Integer> entry = each.next();
            int index = entry.getKey();
            String task = submission.task(TaskKinds.POINTS, entry.getValue());
            Optional<TaskState> told = Slurm.of(task, states);
            TaskState state = told.orElse(FORGOTTEN);
            if (!state.ended()) {
                endedAt.remove(index);
                queued += state.queued() ? 1 : 0;
                running += state.running() ? 1 : 0;
                if (state.running() && started.add(index)) {
                    listener.started(index);
                }
            } else if (state.cancelled() || (told.isEmpty() && settled(index) && neverStarted(entry.getValue()))) {
                log.warn("{}: cancelled", task);
                each.remove();
            } else if (!state.completed() || settled(index)) {
                fail(index, entry.getValue(), task, state, states);
                each.remove();
            }
        }
        String now = open.size() + " points to go, " + queued + " queued, " + running + " running";
        if (!now.equals(progress) && !open.isEmpty()) {
            progress = now;
            log.info("{}: {}", launch.tag(), now);
        }
    }

    /** Whether the results of a task that ended had time to become visible. */
    private boolean settled(int index) {
        long since = endedAt.computeIfAbsent(index, first -> System.nanoTime());
        return System.nanoTime() - since >= TimeUnit.SECONDS.toNanos(settings.settleSeconds());
    }

    /** Slurm opens the log of a task when it starts it, and may forget at once one that is cancelled before. */
    private boolean neverStarted(int position) {
        return !Files.exists(submission.log(TaskKinds.POINTS, position));
    }

    private void fail(int index, int position, String task, TaskState state, Map<String, TaskState> states)
            throws IOException {
        Path file = submission.log(TaskKinds.POINTS, position);
        String reason = state.dependencyFailed()
                ? failedBefore(states)
                : state.failure(exit(task), lastLine(file)) + " (" + file + ")";
        double seconds = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began) / 1000.0;
        listener.ended(index, new PointRunner.Outcome(Optional.of(reason), seconds));
        if (failFast && !cancelled) {
            cancelled = true;
            slurm.cancel(submission.ids(TaskKinds.POINTS), true);
        }
    }

    private Optional<ExitCode> exit(String task) {
        try {
            return slurm.exit(task);
        } catch (IOException e) {
            log.debug("scontrol", e);
            return Optional.empty();
        }
    }

    /** The failure of a task that points wait for. */
    private String failedBefore(Map<String, TaskState> states) {
        for (TaskList.Kind kind : submission.tasks().kinds()) {
            if (kind.name().equals(TaskKinds.POINTS)) {
                continue;
            }
            for (int i = 0; i < kind.tasks().size(); i++) {
                String task = submission.task(kind.name(), i);
                TaskState state = Slurm.of(task, states).orElse(FORGOTTEN);
                if (state.ended() && !state.completed() && !state.dependencyFailed()) {
                    Path file = submission.log(kind.name(), i);
                    String what = kind.tasks().get(i).stage().orElse(kind.name());
                    return what + " failed: "
                            + (state.cancelled() ? "cancelled" : state.failure(exit(task), lastLine(file))) + " ("
                            + file
                            + ")";
                }
            }
        }
        return "a stage that it needs failed, see " + submission.folder().path();
    }

    /** What a task last said, frames of a stack trace and words of Slurm left out; may be empty. */
    private static String lastLine(Path file) {
        try {
            byte[] all = Files.exists(file) ? tail(file) : new byte[0];
            String last = "";
            for (String line : new String(all, StandardCharsets.UTF_8).split("\\R", -1)) {
                if (!line.isBlank() && !Character.isWhitespace(line.charAt(0)) && !line.startsWith("slurmstepd: ")) {
                    last = line;
                }
            }
            return last.replaceFirst("^ptq: ", "");
        } catch (IOException e) {
            log.debug("{}", file, e);
            return "";
        }
    }

    private static byte[] tail(Path file) throws IOException {
        try (SeekableByteChannel channel = Files.newByteChannel(file)) {
            channel.position(Math.max(0, channel.size() - MOST_BYTES));
            return Channels.newInputStream(channel).readNBytes(MOST_BYTES);
        }
    }
}
