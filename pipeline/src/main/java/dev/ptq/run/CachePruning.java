package dev.ptq.run;

import dev.ptq.lock.LockFile;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * Deletes unused cache entries and the remains of killed processes. Runs always keep their artifacts, which are
 * separate links. Whatever another process is making or using stays.
 *
 * @param all deletes entries in use by runs too
 * @param madeBefore keeps entries younger than this
 * @param dryRun only reports what would be deleted
 */
public record CachePruning(Path results, boolean all, Instant madeBefore, boolean dryRun) {
    /**
     * The outcome.
     *
     * @param deleted or to be deleted, in a dry run
     * @param busy would have been deleted but for another process
     * @param locks number of lock files deleted because nobody holds them
     */
    public record Result(List<CacheEntry> deleted, List<CacheEntry> busy, int locks) {
        /** The bytes freed; those that runs have links to do not count. */
        public long freedBytes() {
            return deleted.stream().mapToLong(CacheEntry::unshared).sum();
        }

        /** The bytes deleted from the cache that runs still hold. */
        public long sharedBytes() {
            return deleted.stream().mapToLong(CacheEntry::bytes).sum() - freedBytes();
        }
    }

    /** Prunes the cache. */
    public Result run() throws IOException {
        Path folder = Runs.cacheFolder(results);
        List<CacheEntry> deleted = new ArrayList<>();
        List<CacheEntry> busy = new ArrayList<>();
        for (CacheEntry entry : CacheInventory.of(results)) {
            if ((all || entry.runs().isEmpty()) && entry.made().isBefore(madeBefore)) {
                (delete(folder, entry) ? deleted : busy).add(entry);
            }
        }
        if (Files.isDirectory(folder) && !dryRun) {
            EntriesInUse.sweep(folder);
        }
        return new Result(deleted, busy, locks(folder));
    }

    private boolean delete(Path folder, CacheEntry entry) throws IOException {
        LockFile lock = new LockFile(folder, entry.entry());
        Path directory = folder.resolve(entry.name());
        if (dryRun) {
            return lock.isFree() && !EntriesInUse.contain(folder, entry.entry()) && isLeft(entry, directory);
        }
        return lock.ifFree(() -> {
                    if (!isLeft(entry, directory)
                            || EntriesInUse.contain(folder, entry.entry())
                            || !Files.exists(directory, LinkOption.NOFOLLOW_LINKS)) {
                        return false;
                    }
                    // so a process that dies on the way leaves no half of an entry under its name
                    Path doomed = StageCache.partialOf(folder.resolve(entry.entry()));
                    Files.move(directory, doomed, StandardCopyOption.ATOMIC_MOVE);
                    Trees.delete(doomed);
                    return true;
                })
                .orElse(false);
    }

    /** Whether its maker is dead or done: on another machine a free lock alone does not say so. */
    private static boolean isLeft(CacheEntry entry, Path directory) throws IOException {
        return entry.kind() != CacheEntry.Kind.PARTIAL || StageCache.isAbandoned(directory);
    }

    private int locks(Path folder) throws IOException {
        int count = 0;
        if (Files.isDirectory(folder)) {
            try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "*" + LockFile.ENDING)) {
                for (Path file : files) {
                    String name = file.getFileName().toString();
                    LockFile lock = new LockFile(folder, name.substring(0, name.length() - LockFile.ENDING.length()));
                    count += deleteLock(lock) ? 1 : 0;
                }
            }
        }
        return count;
    }

    private boolean deleteLock(LockFile lock) throws IOException {
        return dryRun
                ? lock.isFree()
                : lock.ifFree(() -> {
                            lock.delete();
                            return true;
                        })
                        .orElse(false);
    }
}
