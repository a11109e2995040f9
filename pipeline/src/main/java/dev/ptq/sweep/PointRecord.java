package dev.ptq.sweep;

import dev.ptq.artifact.PointState;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * The outcome of a point.
 *
 * @param job its name in the queue of a scheduler, when it was last handed to one
 * @param axes its alternative of each axis of alternatives
 * @param set the point's changes to the base config
 * @param fingerprint in the manifest of its run
 * @param error why it failed
 * @param seconds the run took, or until it failed
 */
public record PointRecord(
        String name,
        PointState state,
        Optional<String> error,
        OptionalDouble seconds,
        String fingerprint,
        Optional<String> job,
        Map<String, String> axes,
        Map<String, Object> set) {
    public PointRecord {
        axes = Collections.unmodifiableMap(new LinkedHashMap<>(axes));
        set = Collections.unmodifiableMap(new LinkedHashMap<>(set));
    }

    /** A point before the sweep has run. */
    static PointRecord of(CheckedPoint point) {
        Map<String, Object> set = new LinkedHashMap<>();
        point.point().assignments().forEach(each -> set.put(each.key(), each.value()));
        return new PointRecord(
                point.point().name(),
                point.complete().isPresent() ? PointState.DONE : PointState.PENDING,
                Optional.empty(),
                point.complete().map(run -> run.manifest().seconds()).stream()
                        .mapToDouble(Double::doubleValue)
                        .findFirst(),
                point.fingerprint(),
                Optional.empty(),
                point.point().axes(),
                set);
    }

    /** The same point after it has run. */
    PointRecord after(PointRunner.Outcome outcome) {
        return new PointRecord(
                name,
                outcome.error().isPresent() ? PointState.FAILED : PointState.DONE,
                outcome.error(),
                OptionalDouble.of(outcome.seconds()),
                fingerprint,
                job,
                axes,
                set);
    }

    /** The same point, handed to a scheduler. */
    PointRecord in(String queued) {
        return new PointRecord(name, state, error, seconds, fingerprint, Optional.of(queued), axes, set);
    }
}
