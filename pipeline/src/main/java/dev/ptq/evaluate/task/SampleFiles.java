package dev.ptq.evaluate.task;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The sample logs of a run, one file per task. */
final class SampleFiles {
    private final Path folder;
    private final Profile profile;

    SampleFiles(Path folder, Profile profile) {
        this.folder = folder;
        this.profile = profile;
    }

    private Path file(Task task) {
        return folder.resolve(Sample.file(task));
    }

    /**
     * Returns the documents of completed passes from an earlier attempt, and cuts off the rest of the files. A line
     * counts only if its scores now give exactly that line.
     *
     * @param documents of all tasks, task by task
     * @param passEnds where each pass ends, as a number of documents
     */
    List<ScoredDocument> takeOver(List<Document> documents, List<Integer> passEnds) throws IOException {
        Map<Task, List<Document>> byTask = new LinkedHashMap<>();
        documents.forEach(document -> byTask.computeIfAbsent(document.task(), task -> new ArrayList<>())
                .add(document));
        List<ScoredDocument> found = new ArrayList<>();
        List<Long> lineEnds = new ArrayList<>();
        for (Map.Entry<Task, List<Document>> task : byTask.entrySet()) {
            if (!read(file(task.getKey()), task.getValue(), found, lineEnds)) {
                break;
            }
        }
        int complete = passEnds.stream()
                .mapToInt(end -> end)
                .filter(end -> end <= found.size())
                .max()
                .orElse(0);
        Map<Task, Long> kept = new LinkedHashMap<>();
        for (int i = 0; i < complete; i++) {
            kept.put(documents.get(i).task(), lineEnds.get(i));
        }
        for (Task task : byTask.keySet()) {
            cut(file(task), kept.getOrDefault(task, 0L));
        }
        return found.subList(0, complete);
    }

    /** Reads the lines of documents up to the first wrong one; returns whether all are right. */
    private boolean read(Path file, List<Document> documents, List<ScoredDocument> found, List<Long> lineEnds)
            throws IOException {
        if (!Files.exists(file)) {
            return false;
        }
        long end = 0;
        try (InputStream in = new BufferedInputStream(Files.newInputStream(file))) {
            for (Document document : documents) {
                Optional<byte[]> line = line(in);
                Optional<ScoredDocument> answered = line.flatMap(
                        bytes -> Sample.read(new String(bytes, StandardCharsets.UTF_8), document, profile));
                if (answered.isEmpty()) {
                    return false;
                }
                end += line.orElseThrow().length + 1;
                found.add(answered.get());
                lineEnds.add(end);
            }
        }
        return true;
    }

    /** Returns the next line without its end; empty if it has no end. */
    private static Optional<byte[]> line(InputStream in) throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        for (int next = in.read(); next != '\n'; next = in.read()) {
            if (next < 0) {
                return Optional.empty();
            }
            line.write(next);
        }
        return Optional.of(line.toByteArray());
    }

    private static void cut(Path file, long size) throws IOException {
        if (size == 0) {
            Files.deleteIfExists(file);
            return;
        }
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.truncate(size);
        }
    }

    /** Adds the lines of a pass. */
    void append(List<ScoredDocument> answers) throws IOException {
        Map<Task, StringBuilder> texts = new LinkedHashMap<>();
        for (ScoredDocument answered : answers) {
            texts.computeIfAbsent(answered.document().task(), task -> new StringBuilder())
                    .append(Sample.line(answered, profile))
                    .append('\n');
        }
        for (Map.Entry<Task, StringBuilder> text : texts.entrySet()) {
            Files.writeString(
                    file(text.getKey()), text.getValue(), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        }
    }
}
