package dev.ptq.run;

import dev.ptq.lock.LockFile;
import java.io.IOException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finished stages by fingerprint, shared by all runs and processes that use one results folder.
 *
 * <p>An entry is a directory with the artifacts of a stage and {@code done.json}. It is made under another name and
 * renamed when complete, so an existing entry is whole, even if a process was killed.
 */
final class StageCache {
    private static final Logger log = LoggerFactory.getLogger(StageCache.class);
    static final String DONE = "done.json";
    static final String PARTIAL = ".partial-";
    static final String UNFINISHED = ".unfinished";

    private final Path folder;

    /** An entry, and whether it was reused. */
    record Entry(Path directory, StageRecord done, boolean reused) {
        /** Links the artifacts into a run directory. */
        void linkTo(Path copy) throws IOException {
            Trees.link(directory, copy);
            Files.delete(copy.resolve(DONE));
        }
    }

    StageCache(Path folder) {
        this.folder = folder;
    }

    /** The record of a finished stage; empty if the entry cannot be trusted. */
    Optional<StageRecord> find(String stage, String fingerprint) {
        Path entry = folder.resolve(entryName(stage, fingerprint));
        if (!Files.isDirectory(entry, LinkOption.NOFOLLOW_LINKS)) {
            return Optional.empty();
        }
        try {
            StageRecord done = Json.read(entry.resolve(DONE), StageRecord.class);
            if (done.fingerprint().equals(fingerprint)) {
                return Optional.of(done);
            }
            log.warn(
                    "{}: expected fingerprint {}, got {}; it will be replaced", entry, fingerprint, done.fingerprint());
        } catch (IOException e) {
            log.warn("{}: cannot be read and will be replaced: {}", entry, e.toString());
        }
        return Optional.empty();
    }

    /** The record in an entry's directory, if it is readable and belongs there. */
    static Optional<StageRecord> done(Path entry) {
        try {
            StageRecord done = Json.read(entry.resolve(DONE), StageRecord.class);
            boolean known = done.fingerprint().matches("[0-9a-f]{64}");
            return known && entry.endsWith(entryName(done.name(), done.fingerprint()))
                    ? Optional.of(done)
                    : Optional.empty();
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    /**
     * Returns the entry of a stage, making it if necessary.
     *
     * @param inputs the entries of the stage's inputs
     * @param again whether to make it even if it exists
     */
    Entry obtain(Stage stage, String fingerprint, Map<String, Entry> inputs, boolean again) throws IOException {
        String name = entryName(stage.name(), fingerprint);
        Path directory = folder.resolve(name);
        return new LockFile(folder, name).hold(() -> {
            Optional<StageRecord> found = again ? Optional.empty() : find(stage.name(), fingerprint);
            return found.isPresent()
                    ? reuse(directory, found.get())
                    : Failures.at(directory, () -> make(stage, fingerprint, inputs, directory));
        });
    }

    private static Entry reuse(Path directory, StageRecord done) {
        log.info("{}: reused, made {}", done.name(), done.started());
        return new Entry(directory, done, true);
    }

    private Entry make(Stage stage, String fingerprint, Map<String, Entry> inputs, Path directory) throws IOException {
        boolean replacing = Files.exists(directory, LinkOption.NOFOLLOW_LINKS);
        try (PartialDirectory partial = PartialDirectory.create(partialOf(directory))) {
            Path unfinished = directory.resolveSibling(directory.getFileName() + UNFINISHED);
            if (replacing) {
                // forced, or not to be trusted: an earlier attempt is not reused for either
                Trees.delete(unfinished);
            }
            Files.createDirectories(unfinished);
            StageRecord done = run(stage, fingerprint, inputs, partial.path(), unfinished);
            // where a network file system does not honour locks, another process may have been faster
            Optional<StageRecord> theirs = replacing ? Optional.empty() : find(stage.name(), fingerprint);
            if (theirs.isEmpty()) {
                partial.publish(directory);
            }
            Trees.delete(unfinished);
            if (theirs.isPresent()) {
                return reuse(directory, theirs.get());
            }
            return new Entry(directory, done, false);
        }
    }

    private static void deleteIfEmpty(Path unfinished) throws IOException {
        try {
            Files.deleteIfExists(unfinished);
        } catch (DirectoryNotEmptyException e) {
            log.debug("{}: kept for the next attempt", unfinished);
        }
    }

    private static StageRecord run(
            Stage stage, String fingerprint, Map<String, Entry> inputs, Path output, Path unfinished)
            throws IOException {
        log.info("{}: started", stage.name());
        Instant started = Instant.now().truncatedTo(ChronoUnit.MILLIS);
        long nanos = System.nanoTime();
        Map<String, Path> directories = new LinkedHashMap<>();
        Map<String, String> fingerprints = new LinkedHashMap<>();
        inputs.forEach((input, entry) -> {
            directories.put(input, entry.directory());
            fingerprints.put(input, entry.done().fingerprint());
        });
        try {
            stage.run(Collections.unmodifiableMap(directories), output, unfinished);
        } finally {
            deleteIfEmpty(unfinished);
        }
        Trees.requirePlain(output);
        double seconds = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - nanos) / 1000.0;
        String settings = CanonicalText.of(stage.settings(), stage.name());
        StageRecord done =
                new StageRecord(stage.name(), stage.version(), fingerprint, fingerprints, settings, started, seconds);
        Json.write(output.resolve(DONE), done);
        log.info("{}: done, {} s", stage.name(), String.format(Locale.ROOT, "%.1f", seconds));
        return done;
    }

    /**
     * Deletes the remains of killed processes.
     *
     * <p>The maker of an entry holds its lock, which the system releases when the process dies. That is safer than
     * looking for the process: its number may belong to another by now, or be unknown in this container.
     */
    void sweep() throws IOException {
        try (DirectoryStream<Path> partials = Files.newDirectoryStream(folder, "*" + PARTIAL + "*")) {
            for (Path partial : partials) {
                String name = partial.getFileName().toString();
                new LockFile(folder, name.substring(0, name.indexOf(PARTIAL))).ifFree(() -> {
                    Trees.delete(partial);
                    return partial;
                });
            }
        }
    }

    /** A directory name for an incomplete entry, which belongs to this process until it dies. */
    static Path partialOf(Path directory) {
        return directory.resolveSibling(
                directory.getFileName() + PARTIAL + ProcessHandle.current().pid() + "-" + UUID.randomUUID());
    }

    /** The name of an entry's directory, and of its lock. */
    static String entryName(String stage, String fingerprint) {
        return stage.replace('/', '-') + "-" + fingerprint.substring(0, 16);
    }
}
