package dev.ptq.sweep;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Runs points on this machine, and waits for them.
 *
 * @param jobs number of points at once
 */
public record LocalLauncher(PointRunner runner, int jobs) implements Launcher {
    @Override
    public boolean run(List<CheckedPoint> points, boolean failFast, Listener listener) throws IOException {
        AtomicBoolean failed = new AtomicBoolean();
        List<Callable<Void>> tasks = new ArrayList<>();
        for (int i = 0; i < points.size(); i++) {
            int index = i;
            tasks.add(() -> {
                if (!failFast || !failed.get()) {
                    listener.started(index);
                    PointRunner.Outcome outcome = runner.run(points.get(index));
                    if (outcome.error().isPresent()) {
                        failed.set(true);
                    }
                    listener.ended(index, outcome);
                }
                return null;
            });
        }
        await(tasks);
        return true;
    }

    /** Finishes all tasks even if some fail; then throws the first failure. */
    private void await(List<Callable<Void>> tasks) throws IOException {
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
}
