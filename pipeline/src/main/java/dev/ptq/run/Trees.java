package dev.ptq.run;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** Operations on whole directory trees. Symbolic links are never followed. */
final class Trees {
    private Trees() {}

    /** Everything below a directory, parents before children. */
    private static List<Path> below(Path directory) throws IOException {
        try (Stream<Path> paths = Files.walk(directory)) {
            return paths.skip(1).toList();
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    /** The names in a directory; a network file system is asked for them, whatever it remembers of single names. */
    static List<String> list(Path directory) throws IOException {
        try (Stream<Path> paths = Files.list(directory)) {
            return paths.map(path -> path.getFileName().toString()).toList();
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    /** Deletes a directory, or whatever else has that name; does nothing if there is none. */
    static void delete(Path directory) throws IOException {
        if (Files.exists(directory, LinkOption.NOFOLLOW_LINKS)) {
            for (Path path :
                    below(directory).stream().sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
            Files.delete(directory);
        }
    }

    /** Fails on anything but files and directories: a link could lead out of the results folder. */
    static void requirePlain(Path directory) throws IOException {
        for (Path path : below(directory)) {
            if (!Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)
                    && !Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
                throw new IOException(path + ": expected a plain file or a directory");
            }
        }
    }

    /** Makes a second directory with the same files, shared by hard links if the file system has them. */
    static void link(Path directory, Path copy) throws IOException {
        requirePlain(directory);
        Files.createDirectories(copy);
        for (Path path : below(directory)) {
            Path target = copy.resolve(directory.relativize(path).toString());
            if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
                Files.createDirectories(target);
            } else {
                linkFile(path, target);
            }
        }
    }

    private static void linkFile(Path file, Path target) throws IOException {
        try {
            Files.createLink(target, file);
        } catch (UnsupportedOperationException | FileSystemException e) {
            Files.copy(file, target, LinkOption.NOFOLLOW_LINKS); // fails in turn unless only the link was refused
        }
    }
}
