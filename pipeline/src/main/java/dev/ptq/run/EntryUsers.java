package dev.ptq.run;

import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Finds the finished runs in a results folder, by their manifests, and the cache entries they use. */
final class EntryUsers extends SimpleFileVisitor<Path> {
    private static final Logger log = LoggerFactory.getLogger(EntryUsers.class);

    private final Path results;
    private final Map<String, List<String>> users = new HashMap<>();

    private EntryUsers(Path results) {
        this.results = results;
    }

    /** The tags of the runs that use each entry, sorted, by entry name. */
    static Map<String, List<String>> in(Path results) throws IOException {
        EntryUsers visitor = new EntryUsers(results);
        Files.walkFileTree(results, visitor);
        visitor.users.values().forEach(tags -> tags.sort(null));
        return visitor.users;
    }

    @Override
    public FileVisitResult preVisitDirectory(Path directory, BasicFileAttributes attributes) {
        if (directory.equals(results)) {
            return FileVisitResult.CONTINUE;
        }
        String name = directory.getFileName().toString();
        // the cache, and incomplete runs
        if (name.startsWith(".") || name.endsWith(".partial") || name.endsWith(".partial~")) {
            return FileVisitResult.SKIP_SUBTREE;
        }
        if (!Files.exists(directory.resolve(Manifest.FILE), LinkOption.NOFOLLOW_LINKS)) {
            return FileVisitResult.CONTINUE;
        }
        note(directory);
        return FileVisitResult.SKIP_SUBTREE;
    }

    private void note(Path run) {
        String tag = results.relativize(run)
                .toString()
                .replace(run.getFileSystem().getSeparator(), "/")
                .replaceAll("\\p{Cc}", " ");
        try {
            Manifest.read(run).stages().forEach((stage, entry) -> {
                // anyone may have written it
                if (Objects.nonNull(entry) && entry.fingerprint().matches("[0-9a-f]{64}")) {
                    users.computeIfAbsent(StageCache.entryName(stage, entry.fingerprint()), name -> new ArrayList<>())
                            .add(tag);
                }
            });
        } catch (IOException e) {
            log.warn("{}: what it uses of the cache is not known: {}", run, e.getMessage());
        }
    }

    @Override
    public FileVisitResult visitFileFailed(Path file, IOException reason) {
        if (!(reason instanceof NoSuchFileException)) { // deleted meanwhile
            log.warn("{}: cannot be read: {}", file, reason.toString());
        }
        return FileVisitResult.CONTINUE;
    }

    @Override
    public FileVisitResult postVisitDirectory(Path directory, @Nullable IOException reason) {
        return FileVisitResult.CONTINUE;
    }
}
