package dev.ptq.sweep;

import dev.ptq.config.ConfigFiles;
import dev.ptq.run.Json;
import dev.ptq.slurm.SlurmScript;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Everything that tasks need which wait for a scheduler: the list of them, the config, and a command that starts the
 * program as it is now. Changes to a checkout or a config do not reach them.
 *
 * @param path {@code launch/N}
 */
record LaunchFolder(Path path) {
    private static final String CONFIG = "config";
    private static final String START = "ptq";
    private static final String JOBS = "jobs.json";

    /**
     * The contents of {@code jobs.json}: what was submitted.
     *
     * @param jobs in order
     */
    record Jobs(List<Job> jobs) {}

    /**
     * An array of tasks in a scheduler's queue.
     *
     * @param first index of its first task among those of the kind
     */
    record Job(String id, String kind, int first, int count) {
        boolean has(int index) {
            return index >= first && index < first + count;
        }

        /** The scheduler's name for a task. */
        String task(int index) {
            return id + "_" + (index - first);
        }
    }

    /** Makes the next folder. */
    static LaunchFolder next(Path parent) throws IOException {
        Files.createDirectories(parent);
        int number = numbers(parent).stream().mapToInt(Integer::intValue).max().orElse(0) + 1;
        while (true) {
            Path folder = parent.resolve(String.valueOf(number));
            try {
                return new LaunchFolder(Files.createDirectory(folder));
            } catch (FileAlreadyExistsException e) {
                number++;
            }
        }
    }

    /** Returns the last folder of which something was submitted. */
    static Optional<LaunchFolder> submitted(Path parent) throws IOException {
        if (!Files.isDirectory(parent)) {
            return Optional.empty();
        }
        return numbers(parent).stream()
                .sorted((a, b) -> b - a)
                .map(number -> new LaunchFolder(parent.resolve(String.valueOf(number))))
                .filter(folder -> Files.exists(folder.path.resolve(JOBS)))
                .findFirst();
    }

    private static List<Integer> numbers(Path parent) throws IOException {
        try (Stream<Path> folders = Files.list(parent)) {
            return folders.map(folder -> folder.getFileName().toString())
                    .filter(name -> name.matches("[1-9][0-9]{0,8}"))
                    .map(Integer::valueOf)
                    .toList();
        }
    }

    /**
     * Writes the tasks and what they need.
     *
     * @param directory the working folder of tasks
     * @param environment of tasks
     */
    void write(
            Path directory,
            Path results,
            ConfigFiles config,
            List<TaskList.Kind> kinds,
            Program program,
            Map<String, String> environment)
            throws IOException {
        List<TaskList.Config> configs = new ArrayList<>();
        for (ConfigFiles.Content file : config.files()) {
            String name = CONFIG + (configs.isEmpty() ? "" : "-" + configs.size()) + ".toml";
            Path copy = Files.writeString(path.resolve(name), file.text());
            configs.add(new TaskList.Config(file.path().toString(), copy.toString()));
        }
        Json.replace(tasks(), TaskList.of(directory, results, configs, kinds));
        List<String> lines = new ArrayList<>(List.of(
                "#!/bin/sh",
                "# the program as it was when these tasks were made, in the folder where that was",
                "cd " + SlurmScript.quoted(directory.toString()) + " || exit 1"));
        environment.forEach((name, value) -> lines.add("export " + name + "=" + SlurmScript.quoted(value)));
        lines.add("exec " + program.command().stream().map(SlurmScript::quoted).collect(Collectors.joining(" "))
                + " \"$@\"");
        Files.write(start(), lines);
        Files.setPosixFilePermissions(start(), PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    /** The list of tasks. */
    Path tasks() {
        return path.resolve(TaskList.FILE);
    }

    private Path start() {
        return path.resolve(START);
    }

    /** The command of a task, to which its index is added. */
    List<String> command(String kind) {
        return List.of(start().toString(), "launched", tasks().toString(), kind);
    }

    void writeJobs(List<Job> jobs) throws IOException {
        Json.replace(path.resolve(JOBS), new Jobs(jobs));
    }

    List<Job> jobs() throws IOException {
        return Json.read(path.resolve(JOBS), Jobs.class).jobs();
    }

    /** Writes the script of an array. */
    Path script(String kind, int first, String text) throws IOException {
        return Files.writeString(path.resolve(first == 0 ? kind + ".sh" : kind + "-" + first + ".sh"), text);
    }
}
