package dev.ptq.run;

import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * One directory in the cache.
 *
 * @param name of the directory
 * @param entry name of the entry that it is or was to become
 * @param done record of a finished stage
 * @param made when a finished stage was made; when anything else was last written to
 * @param bytes of all its files
 * @param unshared bytes that deleting it frees: no run has links to these files
 * @param runs the tags that use it, sorted
 */
public record CacheEntry(
        String name,
        String entry,
        Kind kind,
        Optional<StageRecord> done,
        Instant made,
        long bytes,
        long unshared,
        List<String> runs) {
    /** The kind of a directory in the cache. */
    public enum Kind {
        /** A finished stage. */
        FINISHED,
        /** An entry without a readable record: the stage will be made again. */
        DAMAGED,
        /** Work from which a stage will resume. */
        UNFINISHED,
        /** The artifacts of a stage that is being made, or was when its process was killed. */
        PARTIAL
    }

    /** The stage; if unfinished, with a dash for every slash. */
    public String stage() {
        return done.map(StageRecord::name).orElseGet(() -> entry.substring(0, entry.lastIndexOf('-')));
    }

    /** The start of the stage's fingerprint. */
    public String fingerprint() {
        return entry.substring(entry.lastIndexOf('-') + 1);
    }
}
