package dev.ptq.track;

import dev.ptq.run.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sends finished runs to a server, each once, and notes what could not be sent in {@code .unsent} of the results folder.
 *
 * <p>Of two processes that send the same run at the same time, both may; in a sweep only the parent sends.
 */
public final class Tracking {
    /** The folder of notes. */
    static final String UNSENT = ".unsent";

    private static final Logger log = LoggerFactory.getLogger(Tracking.class);
    private static final String FINGERPRINT = "ptq.fingerprint";
    private static final String SWEEP = "ptq.sweep";

    private final Mlflow server;
    private final String place;

    /** What became of runs. */
    public record Outcome(int sent, int known, List<String> problems) {}

    /** The contents of a note: where the run is. */
    private record Note(String directory, String fingerprint) {}

    /** Prepares to send. */
    public Tracking(TrackingSettings settings) {
        this(settings, Duration.ofSeconds(30));
    }

    Tracking(TrackingSettings settings, Duration patience) {
        this.server = new Mlflow(settings, patience);
        this.place = settings.server().toString();
    }

    /**
     * Sends runs, and those noted earlier. A server that fails never is an exception: its reason is in the outcome, and
     * the runs are noted.
     *
     * @param results the folder for notes
     * @param directories of runs
     */
    public Outcome send(Path results, List<Path> directories) throws IOException {
        Set<Path> all = new LinkedHashSet<>();
        directories.forEach(directory -> all.add(directory.toAbsolutePath().normalize()));
        all.addAll(noted(results));
        int sent = 0;
        int known = 0;
        List<String> problems = new ArrayList<>();
        Optional<String> experiment = Optional.empty();
        boolean silent = false;
        for (Path directory : all) {
            FinishedRun run;
            try {
                run = FinishedRun.read(directory);
            } catch (IOException e) {
                problems.add(e.getMessage());
                continue;
            }
            note(results, directory, run);
            if (silent) {
                continue;
            }
            try {
                experiment = Optional.of(experiment.isPresent() ? experiment.get() : server.experiment());
                if (send(experiment.get(), run)) {
                    sent++;
                } else {
                    known++;
                }
                Files.deleteIfExists(noteOf(results, run));
            } catch (IOException e) {
                problems.add(run.name() + ": not sent: " + e.getMessage());
                silent = experiment.isEmpty(); // nothing else will be taken now
            }
        }
        return new Outcome(sent, known, problems);
    }

    /** Returns whether the run was not there yet. */
    private boolean send(String experiment, FinishedRun run) throws IOException {
        String fingerprint = run.manifest().fingerprint();
        Optional<Mlflow.RunId> there = server.find(experiment, FINGERPRINT, fingerprint);
        if (there.isPresent() && there.get().finished()) {
            return false;
        }
        Map<String, String> tags = new LinkedHashMap<>();
        tags.put(FINGERPRINT, fingerprint);
        tags.put("ptq.version", run.manifest().program().version());
        tags.put("mlflow.source.git.commit", run.manifest().program().commit());
        if (run.sweep().isPresent()) {
            tags.put(
                    "mlflow.parentRunId",
                    parent(experiment, run.sweep().get(), run).id());
        }
        // one that is there and not finished was begun by a process that ended
        Mlflow.RunId id = there.isPresent()
                ? there.get()
                : server.create(experiment, run.name(), run.manifest().started(), tags);
        Instant ended = run.manifest().ended();
        Map<String, Double> metrics = new LinkedHashMap<>(run.metrics());
        metrics.put("seconds", run.manifest().seconds());
        server.log(id, metrics, run.parameters(), ended);
        if (Mlflow.keepsFiles(id)) {
            for (Path file : run.files()) {
                server.upload(id, file);
            }
        } else {
            log.warn(
                    "{}: its files stay here: the server keeps files at {}, which only its own client reaches; start it"
                            + " with --serve-artifacts",
                    run.name(),
                    id.artifacts());
        }
        server.finish(id, ended);
        log.info("{}: sent to {}", run.name(), place);
        return true;
    }

    private Mlflow.RunId parent(String experiment, String sweep, FinishedRun child) throws IOException {
        Optional<Mlflow.RunId> there = server.find(experiment, SWEEP, sweep);
        if (there.isPresent()) {
            return there.get();
        }
        Mlflow.RunId made = server.create(experiment, sweep, child.manifest().started(), Map.of(SWEEP, sweep));
        server.finish(made, child.manifest().ended());
        return made;
    }

    private static Path noteOf(Path results, FinishedRun run) {
        return results.resolve(UNSENT).resolve(run.manifest().fingerprint() + ".json");
    }

    private static void note(Path results, Path directory, FinishedRun run) throws IOException {
        Files.createDirectories(results.resolve(UNSENT));
        Json.replace(
                noteOf(results, run),
                new Note(directory.toString(), run.manifest().fingerprint()));
    }

    private static List<Path> noted(Path results) throws IOException {
        Path folder = results.resolve(UNSENT);
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        List<Path> noted = new ArrayList<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.filter(each -> each.toString().endsWith(".json"))
                    .sorted()
                    .toList()) {
                Path directory = Path.of(Json.read(file, Note.class).directory());
                if (Files.isDirectory(directory)) {
                    noted.add(directory);
                } else {
                    log.warn("{}: the run {} is gone, it is not sent", file, directory);
                    Files.delete(file);
                }
            }
        }
        return noted;
    }
}
