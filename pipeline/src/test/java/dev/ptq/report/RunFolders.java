package dev.ptq.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Hand-written directories of runs, as small as they can be. */
public final class RunFolders {
    private static final String MANIFEST = """
            {
              "fingerprint" : "00",
              "program" : {"version" : "1", "commit" : "", "threads" : 2, "sources" : {}},
              "machine" : {"jvm" : "", "os" : "", "cores" : 2, "memory_bytes" : 1},
              "started" : "2026-01-01T00:00:00Z",
              "ended" : "2026-01-01T00:01:00Z",
              "peak_memory_bytes" : 1048576,
              "stages" : {
                "quantize" : {"fingerprint" : "1", "version" : 1, "seconds" : 0.1, "reused" : true, "made" : "2026-01-01T00:00:00Z"},
                "evaluate/quantized/tales" : {"fingerprint" : "2", "version" : 1, "seconds" : 0.2, "reused" : false, "made" : "2026-01-01T00:00:00Z"}
              }
            }
            """;

    private RunFolders() {}

    /** Writes a run. */
    public static Path write(Path folder, String resolved, String metrics) throws IOException {
        Files.createDirectories(folder);
        Files.writeString(folder.resolve("manifest.json"), MANIFEST);
        Files.writeString(folder.resolve("metrics.json"), metrics);
        Files.writeString(folder.resolve("resolved.toml"), resolved);
        return folder;
    }

    /** Writes a file in a folder that need not exist. */
    public static Path write(Path file, String content) throws IOException {
        Files.createDirectories(file.resolveSibling(""));
        return Files.writeString(file, content);
    }
}
