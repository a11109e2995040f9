package dev.ptq.cli;

import dev.ptq.config.ConfigException;
import dev.ptq.run.Manifest;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Resolves arguments that name runs. */
final class RunDirectory {
    private RunDirectory() {}

    /**
     * Returns the directory that an argument names: itself, or a tag.
     *
     * @param results the folder that tags are in
     */
    static Path of(Path argument, Path results) {
        for (Path directory : List.of(argument, results.resolve(argument))) {
            if (Files.exists(directory.resolve(Manifest.FILE))) {
                return directory;
            }
        }
        throw new ConfigException(argument + ": expected the directory of a run, or its tag in " + results
                + "; found no " + Manifest.FILE);
    }
}
