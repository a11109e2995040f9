package dev.ptq.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;

/** The age of folders by the clock of their own file system: that of this machine may differ. */
final class FolderAge {
    private FolderAge() {}

    /** Returns whether nothing in any of these sibling folders was written for that long; absent ones do not count. */
    static boolean isOver(Duration age, List<Path> folders) throws IOException {
        Instant newest = Instant.MIN;
        for (Path folder : folders) {
            if (Files.exists(folder, LinkOption.NOFOLLOW_LINKS)) {
                try {
                    Instant modified = DiskUsage.of(folder).modified();
                    newest = modified.isAfter(newest) ? modified : newest;
                } catch (NoSuchFileException e) {
                    return false; // whoever made it is at it
                }
            }
        }
        return newest.isBefore(
                now(folders.get(0).toAbsolutePath().resolveSibling("")).minus(age));
    }

    /** The time by the file system's clock, from a file touched there. */
    private static Instant now(Path folder) throws IOException {
        Path touched = Files.createTempFile(folder, ".now-", "");
        try {
            return Files.getLastModifiedTime(touched).toInstant();
        } finally {
            Files.deleteIfExists(touched);
        }
    }
}
