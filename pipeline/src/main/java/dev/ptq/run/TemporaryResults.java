package dev.ptq.run;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A temporary results folder with an empty cache.
 *
 * @param keep whether it stays when it is closed
 */
public record TemporaryResults(Path folder, boolean keep) implements Closeable {
    /** Makes an empty folder among the system's temporary files. */
    public static TemporaryResults create(boolean keep) throws IOException {
        return new TemporaryResults(Files.createTempDirectory("ptq-results-"), keep);
    }

    @Override
    public void close() throws IOException {
        if (!keep) {
            Trees.delete(folder);
        }
    }
}
