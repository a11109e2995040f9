package dev.ptq.sweep;

import dev.ptq.config.ConfigFiles;
import dev.ptq.run.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The contents of {@code tasks.json}: everything that {@code ptq launched FILE KIND INDEX} must know. It is what other
 * programs that start tasks read.
 *
 * @param format of this file; grows when a program that reads it would misunderstand it
 * @param directory the working folder, which relative paths in the config start from
 * @param results the folder for tags
 * @param configs the experiment file, then the one that it extends, and so on
 * @param kinds of tasks, in order
 */
public record TaskList(int format, String directory, String results, List<Config> configs, List<Kind> kinds) {
    /** The file's name. */
    public static final String FILE = "tasks.json";

    private static final int FORMAT = 2;

    /**
     * A file.
     *
     * @param path that paths in it are relative to
     * @param copy where it is kept as it was
     */
    public record Config(String path, String copy) {}

    /**
     * Tasks that may run at once.
     *
     * @param name a word
     * @param after names of kinds of which every task must have succeeded before
     */
    public record Kind(String name, List<String> after, List<Task> tasks) {}

    /**
     * A process.
     *
     * @param tag of the run that it belongs to
     * @param set {@code key=value} for the config
     * @param fingerprint of the run's plan: the task must not compute anything else
     * @param stage the only one to be made; absent if the whole run is
     * @param parts of the stage, if not the whole of it
     */
    public record Task(
            String tag, List<String> set, String fingerprint, Optional<String> stage, Optional<Parts> parts) {}

    /** Parts of a stage, the first one and the one after the last. */
    public record Parts(int from, int to) {}

    public TaskList {
        configs = List.copyOf(configs);
        kinds = List.copyOf(kinds);
    }

    static TaskList of(Path directory, Path results, List<Config> configs, List<Kind> kinds) {
        return new TaskList(FORMAT, directory.toString(), results.toString(), configs, kinds);
    }

    /** Reads a file, which anyone may have written. */
    public static TaskList read(Path file) throws IOException {
        TaskList list = Json.read(file, TaskList.class);
        if (list.format != FORMAT) {
            throw new IOException(file + ": expected format " + FORMAT + ", got " + list.format
                    + "; it belongs to another version of the program");
        }
        return list;
    }

    /** Returns the experiment as it was when the list was made. */
    public ConfigFiles files() throws IOException {
        List<ConfigFiles.Content> files = new ArrayList<>();
        for (Config config : configs) {
            files.add(new ConfigFiles.Content(Path.of(config.path), Files.readString(Path.of(config.copy))));
        }
        return new ConfigFiles(files);
    }

    /** Returns the tasks of a kind. */
    public Optional<Kind> kind(String name) {
        return kinds.stream().filter(kind -> kind.name().equals(name)).findFirst();
    }
}
