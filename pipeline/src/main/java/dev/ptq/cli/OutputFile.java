package dev.ptq.cli;

import dev.ptq.config.ConfigException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** An output file of a command. */
final class OutputFile {
    private OutputFile() {}

    /** Returns the problem with its location, if any. */
    static Optional<String> problem(Path file) {
        if (Files.isDirectory(file)) {
            return Optional.of(file + ": expected a file to write, found a folder");
        }
        return Files.isDirectory(file.toAbsolutePath().resolveSibling(""))
                ? Optional.empty()
                : Optional.of(file + ": there is no such folder to write it to");
    }

    /**
     * Makes sure that it can be written.
     *
     * @throws ConfigException if its location is wrong
     */
    static void require(Path file) {
        problem(file).ifPresent(problem -> {
            throw new ConfigException(problem);
        });
    }
}
