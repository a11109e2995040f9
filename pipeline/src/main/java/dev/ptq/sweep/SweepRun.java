package dev.ptq.sweep;

import dev.ptq.artifact.PointState;
import dev.ptq.artifact.RunFiles;
import dev.ptq.run.AtomicFile;
import dev.ptq.run.Json;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Runs the unfinished points of a sweep, and keeps {@code sweep.json} up to date. */
public final class SweepRun {
    private static final Logger log = LoggerFactory.getLogger(SweepRun.class);

    private final Sweep sweep;
    private final List<CheckedPoint> points;
    private final PointRunner runner;
    private final Instant started = now();
    private final List<PointRecord> records = new ArrayList<>();

    /** Prepares to run points, all of them from {@link Sweep#check}. */
    public SweepRun(Sweep sweep, List<CheckedPoint> points, PointRunner runner) {
        this.sweep = sweep;
        this.points = List.copyOf(points);
        this.runner = runner;
        points.forEach(point -> records.add(PointRecord.of(point)));
    }

    /**
     * Runs the unfinished points; a failing point stops no other.
     *
     * @param jobs number of points at once
     * @param failFast whether to start no more points after a failure
     * @return the outcome of each point, in order
     */
    public List<PointRecord> run(int jobs, boolean failFast) throws IOException {
        Files.createDirectories(sweep.directory());
        AtomicFile.replace(sweep.directory().resolve(RunFiles.SWEEP_FILE), Files.readString(sweep.file()));
        write(Optional.empty());
        List<Callable<Void>> tasks = new ArrayList<>();
        for (int i = 0; i < points.size(); i++) {
            int index = i;
            if (points.get(i).complete().isEmpty()) {
                tasks.add(() -> {
                    runPoint(index, failFast);
                    return null;
                });
            }
        }
        log.info("{}: {} points, {} to run", sweep.directory(), points.size(), tasks.size());
        await(tasks, jobs);
        write(Optional.of(now()));
        return List.copyOf(records);
    }

    private void runPoint(int index, boolean failFast) throws IOException, InterruptedException {
        if (failFast && hasFailed()) {
            return;
        }
        String name = points.get(index).point().name();
        log.info("{}: started", name);
        PointRunner.Outcome outcome = runner.run(points.get(index));
        String seconds = String.format(Locale.ROOT, "%.1f", outcome.seconds());
        outcome.error()
                .ifPresentOrElse(
                        error -> log.warn("{}: failed after {} s: {}", name, seconds, error),
                        () -> log.info("{}: done, {} s", name, seconds));
        note(index, outcome);
    }

    private synchronized boolean hasFailed() {
        return records.stream().anyMatch(each -> each.state() == PointState.FAILED);
    }

    private synchronized void note(int index, PointRunner.Outcome outcome) throws IOException {
        records.set(index, records.get(index).after(outcome));
        write(Optional.empty());
    }

    private synchronized void write(Optional<Instant> ended) throws IOException {
        Json.replace(
                sweep.directory().resolve(RunFiles.SWEEP),
                new SweepRecord(
                        sweep.file().toString(),
                        sweep.config().toString(),
                        sweep.overrides(),
                        started,
                        ended,
                        List.copyOf(records)));
    }

    /** Finishes all tasks even if some fail; then throws the first failure. */
    private static void await(List<Callable<Void>> tasks, int jobs) throws IOException {
        ExecutorService workers = Executors.newFixedThreadPool(jobs);
        try {
            for (Future<Void> task : workers.invokeAll(tasks)) {
                task.get();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted");
        } catch (ExecutionException e) {
            Throwable cause = e.getCause();
            if (cause instanceof IOException failed) {
                throw failed;
            }
            if (cause instanceof InterruptedException) {
                throw new InterruptedIOException("interrupted");
            }
            throw new IllegalStateException(cause);
        } finally {
            workers.shutdownNow();
        }
    }

    private static Instant now() {
        return Instant.now().truncatedTo(ChronoUnit.MILLIS);
    }
}
