package dev.ptq.sweep;

import dev.ptq.run.Run;
import java.util.Optional;

/**
 * A point that can be run.
 *
 * @param fingerprint that the manifest of its run has
 * @param complete its run, if that was done before
 */
public record CheckedPoint(Point point, String fingerprint, Optional<Run> complete) {}
