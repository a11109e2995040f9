package dev.ptq.evaluate.task;

import dev.ptq.config.ConfigException;
import dev.ptq.data.Digests;
import dev.ptq.data.Row;
import dev.ptq.data.Rows;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/** A folder with a folder for each task, {@code TASK/SPLIT.jsonl}; the parts of a group share a file. */
public final class TaskFolder implements TaskData {
    private final Path folder;

    /** The parts of a group ask for the same files. */
    private final Map<Path, List<Row>> read = new HashMap<>();

    private final Map<Path, String> digests = new HashMap<>();

    public TaskFolder(Path folder) {
        this.folder = folder;
    }

    @Override
    public List<Row> rows(Task task, String split) throws IOException {
        Path file = file(task, split);
        List<Row> rows = read.get(file);
        if (rows == null) {
            rows = Rows.read(file);
            read.put(file, rows);
        }
        return task.part().isPresent() ? part(rows, task.part().get()) : rows;
    }

    private static List<Row> part(List<Row> rows, Task.Part part) {
        List<Row> found = new ArrayList<>();
        for (Row row : rows) {
            JsonNode value = row.fields().path(part.field());
            if (!value.isString()) {
                throw new ConfigException(row.place() + ": expected a text under \"" + part.field() + "\"");
            }
            if (value.asString().equals(part.value())) {
                found.add(row);
            }
        }
        return found;
    }

    @Override
    public String sha256(Task task, String split) throws IOException {
        Path file = file(task, split);
        String digest = digests.get(file);
        if (digest == null) {
            digest = Digests.of(file);
            digests.put(file, digest);
        }
        return digest;
    }

    private Path file(Task task, String split) {
        Path file = folder.resolve(task.folder()).resolve(split + ".jsonl");
        if (!Files.isRegularFile(file)) {
            throw new ConfigException(file + ": no such file; task " + task.name() + " needs it");
        }
        return file;
    }
}
