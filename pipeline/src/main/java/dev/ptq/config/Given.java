package dev.ptq.config;

import java.io.IOException;
import java.nio.file.FileSystemException;

/** Something that is made of files that the user gave. */
public interface Given<T> {
    /** Reads the files. */
    T read() throws IOException;

    /**
     * Reads the files of which a damaged one is the user's mistake.
     *
     * @throws ConfigException if what is in a file is wrong
     * @throws IOException if a file cannot be read, which says nothing of what is in it
     */
    static <T> T of(Given<T> given) throws IOException {
        try {
            return given.read();
        } catch (FileSystemException e) {
            throw e;
        } catch (IOException e) {
            throw new ConfigException(String.valueOf(e.getMessage()));
        }
    }
}
