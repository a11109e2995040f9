package dev.ptq.cli;

import dev.ptq.artifact.RunFiles;
import dev.ptq.config.ConfigException;
import dev.ptq.report.Results;
import dev.ptq.run.Manifest;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** Finds and reads runs for the commands that look at them. */
final class FoundRuns {
    private FoundRuns() {}

    /** Returns the problem with a folder of runs, if any. */
    static Optional<String> problem(Path folder) {
        return Files.isDirectory(folder)
                ? Optional.empty()
                : Optional.of(folder + ": no such folder" + InputFile.hint(folder, Files::isDirectory));
    }

    /**
     * Reads the runs and reports those that cannot be read.
     *
     * @throws ConfigException if there is none
     */
    static Results read(List<Path> folders, PrintWriter err) throws IOException {
        Results results = Results.read(folders);
        results.warnings().forEach(warning -> err.println("warning: " + warning));
        if (results.rows().isEmpty()) {
            throw new ConfigException(folders.stream()
                    .map(folder -> folder + ": no runs in it; a run is a folder with " + Manifest.FILE + " and "
                            + RunFiles.METRICS)
                    .toList());
        }
        return results;
    }
}
