package dev.ptq.run;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;

/**
 * The contents of {@code manifest.json}: what made a run, where, when and from what.
 *
 * @param fingerprint of the plan
 * @param ended when the last stage was done
 * @param peakMemoryBytes the most memory the process had held until then, earlier runs included
 * @param stages by name, in order
 */
public record Manifest(
        String fingerprint,
        Provenance program,
        Machine machine,
        Instant started,
        Instant ended,
        OptionalLong peakMemoryBytes,
        Map<String, StageEntry> stages) {
    /** The manifest's file name in a run directory. */
    public static final String FILE = "manifest.json";

    /**
     * One stage of the run.
     *
     * @param seconds it took when it was made
     * @param reused whether it existed before the run
     * @param made when it was made
     */
    public record StageEntry(String fingerprint, int version, double seconds, boolean reused, Instant made) {
        static StageEntry of(StageCache.Entry entry) {
            StageRecord done = entry.done();
            return new StageEntry(done.fingerprint(), done.version(), done.seconds(), entry.reused(), done.started());
        }
    }

    /** Reads the manifest of a run directory. */
    public static Manifest read(Path directory) throws IOException {
        return Json.read(directory.resolve(FILE), Manifest.class);
    }

    /** The duration of the run, reused stages left out. */
    public double seconds() {
        return Duration.between(started, ended).toMillis() / 1000.0;
    }

    /** Parses a manifest read elsewhere; throws {@link IOException} if it is none. */
    public static Manifest parse(byte[] json) throws IOException {
        return Json.parse(json, FILE, Manifest.class);
    }

    /** One of the stages. */
    public StageEntry stage(String name) {
        return Objects.requireNonNull(stages.get(name), name);
    }

    void write(Path directory) throws IOException {
        Json.write(directory.resolve(FILE), this);
    }
}
