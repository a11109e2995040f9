package dev.ptq.hub;

import dev.ptq.config.ConfigException;
import dev.ptq.lock.LockFile;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.function.LongConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Fetches files of the hub into its cache. All connections start here, and only at the user's request. */
public final class Hub {
    private static final Logger log = LoggerFactory.getLogger(Hub.class);
    /** Disk space left for others. */
    private static final long SPARE_BYTES = 256L << 20;

    private final HubSettings settings;
    private final HubCache cache;
    private final HubClient client;
    private final Progress.Reporter reporter;

    /**
     * Prepares to fetch; opens no connection yet.
     *
     * @throws ConfigException if the environment forbids it
     */
    public Hub(HubSettings settings, Progress.Reporter reporter) {
        if (settings.offline()) {
            throw new ConfigException("HF_HUB_OFFLINE is set: nothing may be fetched; unset it, or leave out --online");
        }
        this.settings = settings;
        this.cache = new HubCache(settings);
        this.client = new HubClient(settings);
        this.reporter = reporter;
    }

    /** Returns the cache for fetched files. */
    public HubCache cache() {
        return cache;
    }

    /**
     * Lists the files of a repository.
     *
     * @throws ConfigException saying what to do, if there is none of that name or it is closed to this user
     */
    public HubListing list(HubRepo repo) throws IOException {
        return client.list(repo);
    }

    /**
     * Fetches files that are not in the cache. Only one process at a time fetches for a repository; a file gets its
     * name once it is complete and its digest is right, and partial downloads of a killed process are resumed.
     */
    public HubSnapshot fetch(HubListing listing, List<String> names) throws IOException {
        if (!listing.names().containsAll(names)) {
            throw new IllegalArgumentException(names + " are not all in " + listing.names());
        }
        Path locks = cache.locks(listing.repo());
        Files.createDirectories(locks);
        return new LockFile(locks, "ptq").hold(() -> fetchLocked(listing, names));
    }

    private HubSnapshot fetchLocked(HubListing listing, List<String> names) throws IOException {
        HubRepo repo = listing.repo();
        Path folder = cache.folder(repo);
        HubSnapshot snapshot = cache.snapshot(repo, listing.commit());
        Map<String, HubClient.Remote> files = new LinkedHashMap<>();
        for (String name : names) {
            if (!snapshot.has(name)) {
                files.put(name, client.look(repo, client.address(listing, name)));
            }
        }
        download(listing, folder.resolve("blobs"), files);
        // with the names of all files, a partial snapshot can be told from a complete one
        write(snapshot.listing(), String.join("\n", listing.names()));
        Files.createDirectories(snapshot.folder());
        for (Map.Entry<String, HubClient.Remote> file : files.entrySet()) {
            link(
                    snapshot.folder(),
                    file.getKey(),
                    folder.resolve("blobs").resolve(file.getValue().digest()));
        }
        if (!repo.isCommit()) {
            write(folder.resolve("refs").resolve(repo.revision()), listing.commit());
        }
        return snapshot;
    }

    private void download(HubListing listing, Path blobs, Map<String, HubClient.Remote> files) throws IOException {
        Files.createDirectories(blobs);
        Map<String, Blob> missing = new LinkedHashMap<>();
        files.forEach((name, remote) -> {
            Blob blob = new Blob(blobs, remote);
            if (!blob.exists()) {
                missing.put(name, blob);
            }
        });
        long bytes = missing.values().stream().mapToLong(Blob::bytesToCome).sum();
        if (missing.isEmpty()) {
            return;
        }
        long free = Files.getFileStore(blobs).getUsableSpace();
        if (bytes > free - SPARE_BYTES) {
            throw new IOException(cache.root() + ": " + mebibytes(bytes) + " are to be fetched, and only "
                    + mebibytes(free) + " are free; make room, or set HF_HUB_CACHE to a folder elsewhere");
        }
        log.info(
                "{}: fetching {} files, {}, from {} into {}",
                listing.repo().label(),
                missing.size(),
                mebibytes(bytes),
                settings.endpoint(),
                cache.root());
        try (Progress progress = reporter.start("fetch " + listing.repo().label(), wholeMebibytes(bytes), "MiB")) {
            long[] done = {0};
            LongConsumer note = count -> {
                done[0] += count;
                progress.step(wholeMebibytes(Math.max(0, done[0])));
            };
            for (Map.Entry<String, Blob> file : missing.entrySet()) {
                file.getValue()
                        .download(client, settings, listing.repo(), client.address(listing, file.getKey()), note);
            }
        }
    }

    /** Puts a file under its name: as a link where the system has them, as other programs do, else as a copy. */
    private static void link(Path snapshot, String name, Path blob) throws IOException {
        Path file = snapshot.resolve(name);
        Path folder = Objects.requireNonNull(file.getParent());
        Files.createDirectories(folder);
        Path partial = folder.resolve(".ptq-" + UUID.randomUUID());
        try {
            try {
                Files.createSymbolicLink(
                        partial,
                        folder.toAbsolutePath()
                                .normalize()
                                .relativize(blob.toAbsolutePath().normalize()));
            } catch (UnsupportedOperationException | FileSystemException e) {
                Files.copy(blob, partial);
            }
            move(partial, file);
        } finally {
            Files.deleteIfExists(partial);
        }
    }

    private static void write(Path file, String text) throws IOException {
        Files.createDirectories(file.getParent());
        Path partial = file.resolveSibling(".ptq-" + UUID.randomUUID());
        try {
            Files.writeString(partial, text);
            move(partial, file);
        } finally {
            Files.deleteIfExists(partial);
        }
    }

    static void move(Path from, Path to) throws IOException {
        try {
            Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException e) {
            Files.move(from, to, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    private static long wholeMebibytes(long bytes) {
        return (bytes + (1 << 20) - 1) >> 20;
    }

    static String mebibytes(long bytes) {
        return String.format(Locale.ROOT, "%.1f MiB", bytes / 0x1p20);
    }
}
