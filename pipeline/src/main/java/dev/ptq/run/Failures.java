package dev.ptq.run;

import dev.ptq.lock.LockFile;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;

/** Failures of the system that do not say where, such as "No space left on device". */
final class Failures {
    private Failures() {}

    /** Works, and adds what is being made to a failure that names no file. */
    static <T> T at(Path place, LockFile.Work<T> work) throws IOException {
        try {
            return work.run();
        } catch (IOException e) {
            String message = e.getMessage();
            // our own messages start with a file and a colon
            if (e instanceof FileSystemException || (message != null && message.contains(": "))) {
                throw e;
            }
            throw new IOException(place + ": " + (message == null ? e : message), e);
        }
    }
}
