package dev.ptq.hub;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * The local files of a repository at one commit.
 *
 * @param folder of the files that were fetched
 * @param listing has the names of all of its files, if this program fetched it
 */
public record HubSnapshot(Path folder, String commit, Path listing) {
    private static final int DEEPEST = 10;

    /** Returns whether the names of all files are known, including those not fetched. */
    public boolean isListed() {
        return Files.isRegularFile(listing);
    }

    /** Returns the names of all files if they are known, else of the fetched ones. */
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

    /** Returns whether a file is there. */
    public boolean has(String name) {
        return Files.isRegularFile(folder.resolve(name));
    }
}
