package dev.ptq.run;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** One step of an experiment: reads the artifacts of earlier stages and writes its own. */
public interface Stage {
    /** The name in logs and directory in the run: {@code calibrate}, or {@code evaluate/full_precision} for a part. */
    String name();

    /** Names of the earlier stages whose artifacts it reads, in a fixed order. */
    List<String> inputs();

    /** Everything that decides the output besides the inputs. */
    Record settings();

    /** Increased when the same settings start to give another output. */
    int version();

    /**
     * Writes the artifacts: plain files and directories, none of them called {@code done.json} at the top.
     *
     * @param inputs the finished directory of each stage in {@link #inputs}, read-only
     * @param output an empty directory
     * @param unfinished a directory that survives if the process is killed: it holds the work of an attempt with equal
     *     settings and inputs, from which this one may resume; deleted when the stage is done
     */
    void run(Map<String, Path> inputs, Path output, Path unfinished) throws IOException;
}
