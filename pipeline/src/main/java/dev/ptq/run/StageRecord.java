package dev.ptq.run;

import java.time.Instant;
import java.util.Map;

/**
 * The contents of {@code done.json}: the record of a finished stage.
 *
 * @param fingerprint of the stage
 * @param inputs fingerprint of each input by its name
 * @param settings canonical text of the settings, for people
 * @param started when the stage was made
 * @param seconds how long that took
 */
public record StageRecord(
        String name,
        int version,
        String fingerprint,
        Map<String, String> inputs,
        String settings,
        Instant started,
        double seconds) {}
