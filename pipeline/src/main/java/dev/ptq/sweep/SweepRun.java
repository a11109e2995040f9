package dev.ptq.sweep;

import dev.ptq.artifact.RunFiles;
import dev.ptq.config.Assignment;
import dev.ptq.run.AtomicFile;
import dev.ptq.run.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.IntStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Has the unfinished points of a sweep run, and keeps {@code sweep.json} up to date. */
public final class SweepRun {
    private static final Logger log = LoggerFactory.getLogger(SweepRun.class);

    private final Sweep sweep;
    private final List<CheckedPoint> points;
    private final Launcher launcher;
    private final Instant started = now();
    private final List<PointRecord> records = new ArrayList<>();
    private final int[] open;

    /** Prepares to run points, all of them from {@link Sweep#check}. */
    public SweepRun(Sweep sweep, List<CheckedPoint> points, Launcher launcher) {
        this.sweep = sweep;
        this.points = List.copyOf(points);
        this.launcher = launcher;
        points.forEach(point -> records.add(PointRecord.of(point)));
        open = IntStream.range(0, points.size())
                .filter(index -> points.get(index).complete().isEmpty())
                .toArray();
    }

    /** The points in the order of the launcher. */
    private final class Notes implements Launcher.Listener {
        @Override
        public void submitted(int index, String job) throws IOException {
            note(open[index], records.get(open[index]).in(job));
        }

        @Override
        public void started(int index) {
            log.info("{}: started", name(index));
        }

        @Override
        public void ended(int index, PointRunner.Outcome outcome) throws IOException {
            String seconds = String.format(Locale.ROOT, "%.1f", outcome.seconds());
            outcome.error()
                    .ifPresentOrElse(
                            error -> log.warn("{}: failed after {} s: {}", name(index), seconds, error),
                            () -> log.info("{}: done, {} s", name(index), seconds));
            note(open[index], records.get(open[index]).after(outcome));
        }

        private String name(int index) {
            return points.get(open[index]).point().name();
        }
    }

    /**
     * Runs the unfinished points; a failing point stops no other.
     *
     * @param failFast whether to start no more points after a failure
     * @return the outcome of each point, in order
     */
    public List<PointRecord> run(boolean failFast) throws IOException {
        Files.createDirectories(sweep.directory());
        AtomicFile.replace(sweep.directory().resolve(RunFiles.SWEEP_FILE), sweep.text());
        write(Optional.empty());
        log.info("{}: {} points, {} to run", sweep.directory(), points.size(), open.length);
        List<CheckedPoint> unfinished = IntStream.of(open).mapToObj(points::get).toList();
        if (open.length == 0 || launcher.run(unfinished, failFast, new Notes())) {
            write(Optional.of(now()));
        }
        return List.copyOf(records);
    }

    private synchronized void note(int index, PointRecord record) throws IOException {
        records.set(index, record);
        write(Optional.empty());
    }

    private synchronized void write(Optional<Instant> ended) throws IOException {
        Json.replace(
                sweep.directory().resolve(RunFiles.SWEEP),
                new SweepRecord(
                        sweep.file().map(Path::toString),
                        sweep.config().toString(),
                        sweep.axes().stream().map(Assignment::toString).toList(),
                        sweep.overrides(),
                        started,
                        ended,
                        List.copyOf(records)));
    }

    private static Instant now() {
        return Instant.now().truncatedTo(ChronoUnit.MILLIS);
    }
}
