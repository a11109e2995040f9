package dev.ptq.run;

import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * Disk usage of a directory.
 *
 * @param bytes of all files
 * @param unshared bytes of the files to which no other directory has links: deleting this one frees them
 * @param modified when something in it was last written
 */
record DiskUsage(long bytes, long unshared, Instant modified) {
    /** Measures a directory; files deleted meanwhile do not count. */
    static DiskUsage of(Path directory) throws IOException {
        Sum sum = new Sum();
        Files.walkFileTree(directory, sum);
        return new DiskUsage(sum.bytes, sum.unshared, sum.modified);
    }

    private static final class Sum extends SimpleFileVisitor<Path> {
        private long bytes;
        private long unshared;
        private Instant modified = Instant.EPOCH;

        @Override
        public FileVisitResult preVisitDirectory(Path directory, BasicFileAttributes attributes) {
            note(attributes);
            return FileVisitResult.CONTINUE;
        }

        @Override
        public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
            note(attributes);
            bytes += attributes.size();
            if (links(file) == 1) {
                unshared += attributes.size();
            }
            return FileVisitResult.CONTINUE;
        }

        @Override
        public FileVisitResult visitFileFailed(Path file, IOException reason) throws IOException {
            return gone(reason);
        }

        @Override
        public FileVisitResult postVisitDirectory(Path directory, @Nullable IOException reason) throws IOException {
            return reason == null ? FileVisitResult.CONTINUE : gone(reason);
        }

        private void note(BasicFileAttributes attributes) {
            Instant time = attributes.lastModifiedTime().toInstant();
            modified = time.isAfter(modified) ? time : modified;
        }

        private static FileVisitResult gone(IOException reason) throws IOException {
            if (reason instanceof NoSuchFileException) {
                return FileVisitResult.CONTINUE;
            }
            throw reason;
        }

        /** The number of links; one where the system does not tell. */
        private static int links(Path file) throws IOException {
            try {
                return file.getFileSystem().supportedFileAttributeViews().contains("unix")
                        ? (int) Files.getAttribute(file, "unix:nlink", LinkOption.NOFOLLOW_LINKS)
                        : 1;
            } catch (NoSuchFileException e) {
                return 0;
            }
        }
    }
}
