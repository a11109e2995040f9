package dev.ptq.hub;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * What is there of a repository at one commit.
 *
 * @param folder has its files, those that were fetched
 * @param listing has the names of all of its files, where this program fetched it
 */
public record HubSnapshot(Path folder, String commit, Path listing) {
    private static final int DEEPEST = 10;

    /** Whether the names of all files are known, also of those that are not there. */
    public boolean isListed() {
        return Files.isRegularFile(listing);
    }

    /** The names of all files if they are known, else of those that are there. */
    public List<String> names() throws IOException {
        if (isListed()) {
            return Files.readAllLines(listing);
        }
        try (Stream<Path> files = Files.walk(folder, DEEPEST)) {
            return files.filter(Files::isRegularFile)
                    .map(file -> folder.relativize(file).toString().replace('\\', '/'))
                    .toList();
        }
    }

    /** Whether a file is there. */
    public boolean has(String name) {
        return Files.isRegularFile(folder.resolve(name));
    }
}
