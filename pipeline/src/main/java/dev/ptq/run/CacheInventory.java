package dev.ptq.run;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/** Lists the cache of a results folder. Locks nothing and writes nothing. */
public final class CacheInventory {
    private static final Pattern ENTRY = Pattern.compile("[A-Za-z0-9][A-Za-z0-9_-]*-[0-9a-f]{16}");

    private CacheInventory() {}

    /** The entries and the remains of others, by stage, the oldest first. Other files and folders are skipped. */
    public static List<CacheEntry> of(Path results) throws IOException {
        Path folder = Runs.cacheFolder(results);
        List<CacheEntry> found = new ArrayList<>();
        if (Files.isDirectory(folder)) {
            Map<String, List<String>> users = EntryUsers.in(results);
            try (DirectoryStream<Path> paths = Files.newDirectoryStream(folder)) {
                for (Path path : paths) {
                    entry(path, users).ifPresent(found::add);
                }
            }
        }
        found.sort(Comparator.comparing(CacheEntry::stage)
                .thenComparing(CacheEntry::made)
                .thenComparing(CacheEntry::name));
        return found;
    }

    private static Optional<CacheEntry> entry(Path path, Map<String, List<String>> users) throws IOException {
        String name = path.getFileName().toString();
        CacheEntry.Kind kind = CacheEntry.Kind.FINISHED;
        String entry = name;
        if (name.endsWith(StageCache.UNFINISHED)) {
            kind = CacheEntry.Kind.UNFINISHED;
            entry = name.substring(0, name.length() - StageCache.UNFINISHED.length());
        } else if (name.contains(StageCache.PARTIAL)) {
            kind = CacheEntry.Kind.PARTIAL;
            entry = name.substring(0, name.indexOf(StageCache.PARTIAL));
        }
        if (!ENTRY.matcher(entry).matches() || !Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
            return Optional.empty();
        }
        try {
            DiskUsage usage = DiskUsage.of(path);
            Optional<StageRecord> done = kind == CacheEntry.Kind.FINISHED ? StageCache.done(path) : Optional.empty();
            if (kind == CacheEntry.Kind.FINISHED && done.isEmpty()) {
                kind = CacheEntry.Kind.DAMAGED;
            }
            return Optional.of(new CacheEntry(
                    name,
                    entry,
                    kind,
                    done,
                    done.map(StageRecord::started)
                            .orElseGet(() -> usage.modified().truncatedTo(ChronoUnit.MILLIS)),
                    usage.bytes(),
                    usage.unshared(),
                    kind == CacheEntry.Kind.FINISHED ? users.getOrDefault(entry, List.of()) : List.of()));
        } catch (NoSuchFileException e) {
            return Optional.empty(); // whoever made it is done
        }
    }
}
