package dev.ptq.sweep;

import dev.ptq.run.Run;
import dev.ptq.run.Runs;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs each point in its own process, with the command that would run it alone.
 *
 * <p>So a crash or a lack of memory affects no other point, the tensor engine's memory is released after each, and no
 * global state is shared. Shared stages are still made only once: processes share the stage cache.
 */
public final class PointProcesses implements PointRunner, AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(PointProcesses.class);

    /** Exit code of a process killed for lack of memory. */
    private static final int KILLED = 128 + 9;

    /** Exit codes of a process told to end, often together with this one: from the keyboard, by a scheduler. */
    private static final Set<Integer> ENDED = Set.of(128 + 2, 128 + 15);

    private static final int SECONDS_UNTIL_ENDING = 1;

    private final Sweep sweep;
    private final List<String> program;
    private final Map<String, String> environment;
    private final Set<Process> running = ConcurrentHashMap.newKeySet();
    private final Thread atExit = new Thread(this::end, "end points");
    private final CountDownLatch ending = new CountDownLatch(1);

    /**
     * Prepares to start processes. They do not outlive this one unless it is killed: then the current point is
     * finished, and running it again waits for that.
     *
     * @param program the command line up to the subcommand
     * @param environment added to that of this process
     */
    public PointProcesses(Sweep sweep, List<String> program, Map<String, String> environment) {
        this.sweep = sweep;
        this.program = List.copyOf(program);
        this.environment = Map.copyOf(environment);
        Runtime.getRuntime().addShutdownHook(atExit);
    }

    @Override
    public Outcome run(CheckedPoint point) throws InterruptedException {
        long start = System.nanoTime();
        try {
            Process process = start(point.point());
            String last = forward(process, point.point().name());
            int code = process.waitFor();
            running.remove(process);
            if (isEnding() || (ENDED.contains(code) && ending.await(SECONDS_UNTIL_ENDING, TimeUnit.SECONDS))) {
                throw new InterruptedException(point.point().name());
            }
            if (code != 0) {
                return new Outcome(Optional.of(reason(code, last)), secondsSince(start));
            }
            Optional<Run> run = new Runs(sweep.results()).complete(sweep.tagOf(point.point()), point.fingerprint());
            if (run.isPresent()) {
                return new Outcome(Optional.empty(), run.get().manifest().seconds());
            }
            String changed = "is another experiment than was checked: a config, a model or a text changed meanwhile";
            return new Outcome(Optional.of(changed), secondsSince(start));
        } catch (IOException e) {
            return new Outcome(Optional.of(String.valueOf(e.getMessage())), secondsSince(start));
        }
    }

    private Process start(Point point) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(program);
        command.addAll(List.of("run", sweep.config().toString(), sweep.tagOf(point)));
        command.addAll(List.of("--results", sweep.results().toString()));
        for (List<String> overrides : List.of(sweep.overrides(), point.overrides())) {
            overrides.forEach(override -> command.addAll(List.of("--set", override)));
        }
        ProcessBuilder builder = new ProcessBuilder(command).redirectOutput(ProcessBuilder.Redirect.DISCARD);
        builder.environment().putAll(environment);
        if (isEnding()) {
            throw new InterruptedException(point.name());
        }
        Process process = builder.start();
        running.add(process);
        if (isEnding()) { // between the two checks
            process.destroy();
        }
        return process;
    }

    /** Logs the output of the process; returns the last line, frames of a stack trace left out. */
    private static String forward(Process process, String name) throws IOException {
        String last = "";
        try (BufferedReader lines = process.errorReader(StandardCharsets.UTF_8)) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                log.info("{}: {}", name, line);
                if (!line.isBlank() && !Character.isWhitespace(line.charAt(0))) {
                    last = line;
                }
            }
        }
        return last;
    }

    /**
     * The reason of a failure: the program exits with 1 or 2 after a message; any other code means that it was ended.
     */
    static String reason(int code, String last) {
        if (code == 1 || code == 2) {
            return last.isEmpty() ? "ended with code " + code : last.replaceFirst("^ptq: ", "");
        }
        return "ended with code " + code + (code == KILLED ? ", killed, maybe for want of memory" : "")
                + (last.isEmpty() ? "" : "; it last said: " + last);
    }

    private static double secondsSince(long start) {
        return TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start) / 1000.0;
    }

    private boolean isEnding() {
        return ending.getCount() == 0;
    }

    private void end() {
        ending.countDown();
        running.forEach(Process::destroy);
    }

    /** Ends the processes still running. */
    @Override
    public void close() {
        try {
            Runtime.getRuntime().removeShutdownHook(atExit);
        } catch (IllegalStateException e) {
            log.debug("the program is ending", e);
        }
        end();
    }
}
