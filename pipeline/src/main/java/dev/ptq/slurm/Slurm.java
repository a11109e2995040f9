package dev.ptq.slurm;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Slurm's commands, each a process with a time-out.
 *
 * @param commands the folder that they are in; found as usual if absent
 * @param patience with one command
 */
public record Slurm(Optional<Path> commands, Duration patience) {
    private static final Pattern ID = Pattern.compile("([0-9]{1,12})(;.*)?");
    private static final int FIELDS = 4;

    /** The index of the tasks of an array that were not told apart when it was cancelled. */
    private static final String OTHERS = "*";

    /** A command that did not succeed: what it said, on one line. */
    public static final class CommandException extends IOException {
        private static final long serialVersionUID = 1;

        CommandException(String command, String said) {
            super(command + ": " + said);
        }
    }

    /** Limits of the cluster. */
    public record Limits(int arraySize, Duration remembers) {}

    private record Answer(int code, String out, String err) {
        String said() {
            return (err.isBlank() ? out : err).strip().replaceAll("\\s*\\R\\s*", "; ");
        }
    }

    /** Submits a script; returns the id of the job. */
    public String submit(Path script) throws IOException {
        String out = succeed(List.of("sbatch", "--parsable", script.toString())).strip();
        Matcher id = ID.matcher(out);
        if (!id.matches()) {
            throw new CommandException("sbatch", "expected the id of a job, got \"" + out + "\"");
        }
        return id.group(1);
    }

    /** Asks whether a script would be accepted; returns what sbatch says, and nothing is submitted. */
    public String test(Path script) throws IOException {
        Answer answer = run(List.of("sbatch", "--test-only", script.toString()));
        if (answer.code != 0) {
            throw new CommandException("sbatch --test-only", answer.said());
        }
        return answer.said();
    }

    /**
     * Asks for the states of all tasks of jobs, by {@code ID_INDEX}; {@code ID_*} stands for all others of a job. What
     * Slurm has forgotten is not in the answer, nor is every task that was cancelled before it started.
     *
     * @throws CommandException if it cannot be asked now: then nothing is known
     */
    public Map<String, TaskState> states(Collection<String> jobs) throws IOException {
        if (jobs.isEmpty()) {
            return Map.of();
        }
        Answer answer =
                run(List.of("squeue", "-h", "-r", "-t", "all", "-j", String.join(",", jobs), "-o", "%F|%K|%T|%r"));
        if (answer.code != 0) {
            if (answer.err.contains("Invalid job id specified")) {
                return Map.of(); // it has forgotten them all
            }
            throw new CommandException("squeue", answer.said());
        }
        return parse(answer.out);
    }

    /** Finds the state of a task among those of {@link #states}. */
    public static Optional<TaskState> of(String task, Map<String, TaskState> states) {
        return Optional.ofNullable(states.get(task))
                .or(() -> Optional.ofNullable(states.get(task.replaceFirst("_.*", "_") + OTHERS)));
    }

    /** Reads the lines of {@code squeue}; others are skipped. */
    static Map<String, TaskState> parse(String lines) {
        Map<String, TaskState> states = new LinkedHashMap<>();
        for (String line : lines.split("\\R", -1)) {
            String[] fields = line.strip().split("\\|", FIELDS);
            if (fields.length == FIELDS && fields[0].matches("[0-9]+")) {
                String index = fields[1].matches("[0-9]+") ? fields[1] : OTHERS;
                states.put(fields[0] + "_" + index, new TaskState(fields[2], fields[FIELDS - 1]));
            }
        }
        return states;
    }

    /** Asks how a task ended; empty if Slurm has forgotten it or does not answer. */
    public Optional<ExitCode> exit(String task) throws IOException {
        Answer answer = run(List.of("scontrol", "-o", "show", "job", task));
        return answer.code == 0 ? ExitCode.parse(answer.out) : Optional.empty();
    }

    /** Cancels jobs, or only their tasks that have not started. */
    public void cancel(Collection<String> jobs, boolean onlyPending) throws IOException {
        List<String> command = new ArrayList<>(List.of("scancel"));
        if (onlyPending) {
            command.add("--state=PENDING");
        }
        command.addAll(jobs);
        succeed(command);
    }

    /** Asks for the limits of the cluster. */
    public Limits limits() throws IOException {
        String config = succeed(List.of("scontrol", "show", "config"));
        return new Limits(
                number(config, "MaxArraySize").orElse(1001),
                Duration.ofSeconds(number(config, "MinJobAge").orElse(300)));
    }

    private static OptionalInt number(String config, String key) {
        Matcher line =
                Pattern.compile("(?m)^" + key + "\\s*=\\s*([0-9]{1,9})\\b").matcher(config);
        return line.find() ? OptionalInt.of(Integer.parseInt(line.group(1))) : OptionalInt.empty();
    }

    /** Returns whether there is an {@code sbatch}. */
    public boolean present() {
        if (commands.isPresent()) {
            return Files.isExecutable(commands.get().resolve("sbatch"));
        }
        for (String folder : System.getenv().getOrDefault("PATH", "").split(":", -1)) {
            if (!folder.isEmpty() && Files.isExecutable(Path.of(folder, "sbatch"))) {
                return true;
            }
        }
        return false;
    }

    private String succeed(List<String> command) throws IOException {
        Answer answer = run(command);
        if (answer.code != 0) {
            throw new CommandException(command.get(0), answer.said());
        }
        return answer.out;
    }

    private Answer run(List<String> command) throws IOException {
        String name = command.get(0);
        List<String> line = new ArrayList<>(command);
        commands.ifPresent(folder -> line.set(0, folder.resolve(name).toString()));
        Process process;
        try {
            process = new ProcessBuilder(line).start();
        } catch (IOException e) {
            throw new IOException(
                    name + ": cannot be started (" + e.getMessage() + "); is this machine part of a Slurm cluster?", e);
        }
        process.getOutputStream().close();
        CompletableFuture<String> out = CompletableFuture.supplyAsync(() -> read(process, false));
        CompletableFuture<String> err = CompletableFuture.supplyAsync(() -> read(process, true));
        try {
            if (!process.waitFor(patience.toMillis(), TimeUnit.MILLISECONDS)) {
                throw new CommandException(name, "no answer after " + patience.toSeconds() + " s");
            }
            return new Answer(
                    process.exitValue(),
                    out.get(patience.toMillis(), TimeUnit.MILLISECONDS),
                    err.get(patience.toMillis(), TimeUnit.MILLISECONDS));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted");
        } catch (ExecutionException | TimeoutException e) {
            throw new CommandException(name, "its answer cannot be read: " + e);
        } finally {
            process.destroyForcibly();
        }
    }

    private static String read(Process process, boolean errors) {
        try {
            return new String(
                    (errors ? process.getErrorStream() : process.getInputStream()).readAllBytes(),
                    StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
