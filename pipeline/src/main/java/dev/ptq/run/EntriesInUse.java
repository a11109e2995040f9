package dev.ptq.run;

import dev.ptq.lock.LockFile;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/**
 * A note of the cache entries that a run in progress uses, which protects them from deletion.
 *
 * <p>It is written under the lock of the run, before any entry is looked up. A process that holds an entry's lock and
 * finds no note may delete the entry: a run that notes it later will miss it and make it again. A note without a lock
 * was left by a killed process.
 *
 * @param lock of the run
 */
record EntriesInUse(LockFile lock) {
    /** The ending of note file names. */
    static final String ENDING = ".uses";

    void write(Collection<String> entries) throws IOException {
        Files.write(file(), entries);
    }

    void delete() throws IOException {
        Files.deleteIfExists(file());
    }

    private Path file() {
        return lock.folder().resolve(lock.name() + ENDING);
    }

    /** Returns whether a run in progress uses an entry. */
    static boolean contain(Path folder, String entry) throws IOException {
        for (EntriesInUse note : all(folder)) {
            if (note.names(entry) && !note.lock().isFree()) {
                return true;
            }
        }
        return false;
    }

    /** Deletes the notes of killed processes. */
    static void sweep(Path folder) throws IOException {
        for (EntriesInUse note : all(folder)) {
            note.lock().ifFree(() -> {
                note.delete();
                return note;
            });
        }
    }

    private boolean names(String entry) throws IOException {
        try {
            return Files.readAllLines(file()).contains(entry);
        } catch (NoSuchFileException e) {
            return false; // the run is done
        }
    }

    private static List<EntriesInUse> all(Path folder) throws IOException {
        List<EntriesInUse> notes = new ArrayList<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "*" + ENDING)) {
            for (Path file : files) {
                String name = file.getFileName().toString();
                notes.add(new EntriesInUse(new LockFile(folder, name.substring(0, name.length() - ENDING.length()))));
            }
        }
        return notes;
    }
}
