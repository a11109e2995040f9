package dev.ptq.evaluate.task;

import dev.ptq.config.ConfigException;
import dev.ptq.data.DatasetSplit;
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
import java.util.Optional;
import tools.jackson.databind.JsonNode;

/**
 * Documents in files: {@code TASK/SPLIT.jsonl} in a folder with one folder per task, the tasks' data sets in their
 * layout on the hub, or the hub's cache. The parts of a group share their files.
 */
public final class TaskFolder implements TaskData {
    /** Empty for the hub's cache. */
    private final Optional<Path> folder;

    private final Map<DatasetSplit, DatasetSplit.Found> found = new HashMap<>();

    /** Files read so far: the parts of a group ask for the same ones. */
    private final Map<List<Path>, List<Row>> read = new HashMap<>();

    private final Map<List<Path>, String> digests = new HashMap<>();

    private TaskFolder(Optional<Path> folder) {
        this.folder = folder;
    }

    public TaskFolder(Path folder) {
        this(Optional.of(folder));
    }

    /** Returns the documents in a folder, or, if its name is empty, those fetched from the hub. */
    public static TaskFolder of(String folder) {
        return new TaskFolder(folder.isEmpty() ? Optional.empty() : Optional.of(Path.of(folder)));
    }

    @Override
    public List<Row> rows(Task task, String split) throws IOException {
        List<Path> files = files(task, split).files();
        List<Row> rows = read.get(files);
        if (rows == null) {
            rows = new ArrayList<>();
            for (Path file : files) {
                rows.addAll(Rows.read(file));
            }
            read.put(files, rows);
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
    public Optional<String> commit(Task task, String split) throws IOException {
        return files(task, split).commit();
    }

    @Override
    public String sha256(Task task, String split) throws IOException {
        List<Path> files = files(task, split).files();
        String digest = digests.get(files);
        if (digest == null) {
            digest = files.size() == 1 ? Digests.of(files.get(0)) : Digests.of(files);
            digests.put(files, digest);
        }
        return digest;
    }

    private DatasetSplit.Found files(Task task, String split) throws IOException {
        DatasetSplit onHub = task.onHub(split);
        if (folder.isEmpty()) {
            return found(onHub);
        }
        Path own = folder.get().resolve(task.folder());
        for (String ending : Rows.ENDINGS) {
            Path file = own.resolve(split + ending);
            if (Files.isRegularFile(file)) {
                return new DatasetSplit.Found(List.of(file), Optional.empty());
            }
        }
        for (Path dataset : onHub.folders(folder.get())) {
            if (Files.isDirectory(dataset)) {
                return found(new DatasetSplit(dataset.toString(), onHub.config(), split));
            }
        }
        throw new ConfigException(own.resolve(split + ".jsonl") + ": no such file; task " + task.name() + " needs it");
    }

    private DatasetSplit.Found found(DatasetSplit wanted) throws IOException {
        DatasetSplit.Found files = found.get(wanted);
        if (files == null) {
            files = wanted.find();
            found.put(wanted, files);
        }
        return files;
    }
}
