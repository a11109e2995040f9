package dev.ptq.config;

import java.io.IOException;
import java.nio.file.FileSystemException;

/** Something read from files that the user gave. */
public interface Given<T> {
    /** Reads the files. */
    T read() throws IOException;

    /**
     * Reads files in which damage is the user's mistake.
     *
     * @throws ConfigException if the content of a file is wrong
     * @throws IOException if a file cannot be read, which says nothing about its content
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
