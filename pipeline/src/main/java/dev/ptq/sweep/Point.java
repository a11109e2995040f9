package dev.ptq.sweep;

import dev.ptq.config.Assignment;
import java.util.List;

/**
 * One experiment of a sweep.
 *
 * @param name of its directory below the sweep's
 * @param assignments its changes to the base config, in order
 */
public record Point(String name, List<Assignment> assignments) {
    public Point {
        assignments = List.copyOf(assignments);
    }

    /** The changes in the syntax of {@code --set}. */
    List<String> overrides() {
        return assignments.stream().map(Assignment::toString).toList();
    }
}
