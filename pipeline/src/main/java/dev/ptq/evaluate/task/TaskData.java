package dev.ptq.evaluate.task;

import dev.ptq.data.Row;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/** The source of tasks' documents. */
public interface TaskData {
    /**
     * Reads the documents of a split, in the order of the data set.
     *
     * @throws IOException naming the file, and the line that is at fault
     */
    List<Row> rows(Task task, String split) throws IOException;

    /** Returns the commit on the hub that the documents were fetched from. */
    default Optional<String> commit(Task task, String split) throws IOException {
        return Optional.empty();
    }

    /** Returns the digest of the input of {@link #rows}. */
    String sha256(Task task, String split) throws IOException;
}
