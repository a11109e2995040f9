package dev.ptq.evaluate.task;

import dev.ptq.data.Row;
import java.io.IOException;
import java.util.List;

/** Where the documents of tasks are. */
public interface TaskData {
    /**
     * The documents of a split, in the order of the data set.
     *
     * @throws IOException naming the file, and the line that is at fault
     */
    List<Row> rows(Task task, String split) throws IOException;

    /** The digest of what {@link #rows} reads. */
    String sha256(Task task, String split) throws IOException;
}
