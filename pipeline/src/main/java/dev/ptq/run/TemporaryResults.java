package dev.ptq.run;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A results folder for one use, with nothing in its cache.
 *
 * @param keep whether it stays when it is closed
 */
public record TemporaryResults(Path folder, boolean keep) implements Closeable {
    /** Makes an empty folder where the system keeps temporary files. */
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
