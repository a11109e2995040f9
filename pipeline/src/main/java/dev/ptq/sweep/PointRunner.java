package dev.ptq.sweep;

import java.util.Optional;

/** Runs one point after the other, or several at once. */
@FunctionalInterface
public interface PointRunner {
    /**
     * The outcome of a point.
     *
     * @param error why it failed, on one line; empty if its run is complete
     * @param seconds the run took, or until it failed
     */
    record Outcome(Optional<String> error, double seconds) {}

    /**
     * Runs a point to its end. Any failure is in the outcome.
     *
     * @throws InterruptedException if the whole program is ending, so that the point is neither done nor failed
     */
    Outcome run(CheckedPoint point) throws InterruptedException;
}
