package dev.ptq.run;

import java.io.IOException;
import java.nio.file.Path;

/** Adds files that the engine knows nothing of to a run directory, after the stages and before the final rename. */
@FunctionalInterface
public interface Finish {
    /**
     * Writes files such as {@code metrics.json}.
     *
     * <p>Stage artifacts are read-only: they share their bytes with the cache.
     *
     * @param directory holds the artifacts of each stage under its name
     * @param manifest will be written by the engine
     */
    void write(Path directory, Manifest manifest) throws IOException;
}
