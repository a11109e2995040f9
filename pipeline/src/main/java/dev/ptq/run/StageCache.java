package dev.ptq.run;

import dev.ptq.lock.LockFile;
import java.io.IOException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
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

    private static final Duration ABANDONED_AFTER = Duration.ofDays(1);

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

    /**
     * As {@link #find}, for a caller that will make what is not there. A network file system may remember for a minute
     * that a name is unknown; listing the folder makes it ask again.
     */
    private Optional<StageRecord> findListed(String stage, String fingerprint) throws IOException {
        Optional<StageRecord> found = find(stage, fingerprint);
        if (found.isPresent()) {
            return found;
        }
        Trees.list(folder);
        return find(stage, fingerprint);
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
            Optional<StageRecord> found = again ? Optional.empty() : findListed(stage.name(), fingerprint);
            return found.isPresent()
                    ? reuse(directory, found.get())
                    : Failures.at(directory, () -> make(stage, fingerprint, inputs, directory));
        });
    }

    /**
     * Does some parts of a stage where its next attempt will find them; nothing if the stage is finished, or another
     * process makes the whole of it.
     */
    void obtainParts(PartedStage stage, String fingerprint, Map<String, Entry> inputs, int from, int to)
            throws IOException {
        String name = entryName(stage.name(), fingerprint);
        if (findListed(stage.name(), fingerprint).isPresent()) {
            log.info("{}: is made already", stage.name());
            return;
        }
        if (!new LockFile(folder, name).isFree()) {
            log.info("{}: another process makes the whole stage", stage.name());
            return;
        }
        Path unfinished = Files.createDirectories(folder.resolve(name + UNFINISHED));
        Map<String, Path> directories = new LinkedHashMap<>();
        inputs.forEach((input, entry) -> directories.put(input, entry.directory()));
        log.info("{}: parts {} to {} of {} started", stage.name(), from, to - 1, stage.parts());
        stage.runParts(from, to, Collections.unmodifiableMap(directories), unfinished);
        log.info("{}: parts {} to {} done", stage.name(), from, to - 1);
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
            Optional<StageRecord> theirs = Optional.empty();
            if (replacing) {
                partial.publish(directory);
            } else {
                theirs = publish(partial, directory, stage.name(), fingerprint);
            }
            Trees.delete(unfinished);
            if (theirs.isPresent()) {
                return reuse(directory, theirs.get());
            }
            return new Entry(directory, done, false);
        }
    }

    /** Publishes an entry, unless another process was faster where locks do not reach; then returns its record. */
    private Optional<StageRecord> publish(PartialDirectory partial, Path directory, String stage, String fingerprint)
            throws IOException {
        Optional<StageRecord> theirs = findListed(stage, fingerprint);
        if (theirs.isPresent()) {
            return theirs;
        }
        try {
            partial.publishNew(directory);
            return Optional.empty();
        } catch (FileSystemException e) { // there is one after all
            theirs = findListed(stage, fingerprint);
            if (theirs.isEmpty()) { // but not a whole one
                log.warn("{}: is there and cannot be used ({}); it is replaced", directory, e.getReason());
                partial.publish(directory);
            }
            return theirs;
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
     * <p>The maker of an entry holds its lock, which the system releases when the process dies. Where locks do not reach
     * other machines a free lock says nothing, so the owner must be dead too, see {@link Owner}; one of another machine
     * counts as dead when nothing was written for a day.
     */
    void sweep() throws IOException {
        try (DirectoryStream<Path> partials = Files.newDirectoryStream(folder, "*" + PARTIAL + "*")) {
            for (Path partial : partials) {
                new LockFile(folder, entryOf(partial)).ifFree(() -> {
                    if (isAbandoned(partial)) {
                        Trees.delete(partial);
                    }
                    return partial;
                });
            }
        }
    }

    /** Whether nobody works on an incomplete entry; to be asked under the lock of the entry. */
    static boolean isAbandoned(Path partial) throws IOException {
        String name = partial.getFileName().toString();
        String label = name.substring(name.indexOf(PARTIAL) + PARTIAL.length());
        Optional<Boolean> dead = Owner.parse(label.replaceFirst(PartialDirectory.ASIDE + "$", ""))
                .flatMap(Owner::dead);
        return dead.isPresent()
                ? dead.get()
                : FolderAge.isOver(
                        ABANDONED_AFTER, List.of(partial, partial.resolveSibling(entryOf(partial) + UNFINISHED)));
    }

    /** The name of the entry that an incomplete one was to become. */
    private static String entryOf(Path partial) {
        String name = partial.getFileName().toString();
        return name.substring(0, name.indexOf(PARTIAL));
    }

    /** A directory name for an incomplete entry, which belongs to this process until it dies. */
    static Path partialOf(Path directory) {
        return directory.resolveSibling(
                directory.getFileName() + PARTIAL + Owner.here().label());
    }

    /** The name of an entry's directory, and of its lock. */
    static String entryName(String stage, String fingerprint) {
        return stage.replace('/', '-') + "-" + fingerprint.substring(0, 16);
    }
}
