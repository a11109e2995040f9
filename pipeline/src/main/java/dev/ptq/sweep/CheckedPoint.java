package dev.ptq.sweep;

import dev.ptq.run.Run;
import java.util.Optional;

/**
 * A point that is ready to run.
 *
 * @param fingerprint in the manifest of its run
 * @param complete its run, if that is already done
 */
public record CheckedPoint(Point point, String fingerprint, Optional<Run> complete) {}
