package dev.ptq.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.UUID;

/** Writes files that are complete at any time, even after their process was killed. */
public final class AtomicFile {
    private AtomicFile() {}

    /** Writes a text to a file in an existing directory; the old contents stay until the new ones are complete. */
    public static void replace(Path file, String text) throws IOException {
        Path partial = file.resolveSibling(file.getFileName() + ".partial-" + UUID.randomUUID());
        try {
            Files.writeString(partial, text);
            Files.move(partial, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(partial);
        }
    }
}
