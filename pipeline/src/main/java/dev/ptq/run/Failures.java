package dev.ptq.run;

import dev.ptq.lock.LockFile;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;

/** Adds a place to system errors that name none, such as "No space left on device". */
final class Failures {
    private Failures() {}

    /** Does the work; an error that names no file gets the place being made. */
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
