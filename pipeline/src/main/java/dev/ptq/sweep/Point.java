package dev.ptq.sweep;

import dev.ptq.config.Assignment;
import dev.ptq.config.Located;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * One experiment of a sweep.
 *
 * @param name of its directory below the sweep's
 * @param axes the alternative that it has of each axis of alternatives, by the axis' name
 * @param assignments its changes to the base config, in order
 */
public record Point(String name, Map<String, String> axes, List<Assignment> assignments) {
    public Point {
        axes = Collections.unmodifiableMap(new LinkedHashMap<>(axes));
        assignments = List.copyOf(assignments);
    }

    /** Says which keys it has otherwise than a point that is the same experiment. */
    String difference(Point other) {
        Set<String> keys = new LinkedHashSet<>();
        for (List<Assignment> some : List.of(assignments, other.assignments)) {
            some.stream()
                    .filter(each -> !(assignments.contains(each) && other.assignments.contains(each)))
                    .forEach(each -> keys.add(each.key()));
        }
        return keys.isEmpty() ? "they set the same" : String.join(", ", keys) + " decides nothing there";
    }

    /** The same point, its paths from the current directory. */
    Point located(Located located) {
        return new Point(name, axes, assignments.stream().map(located::in).toList());
    }

    /** The changes in the syntax of {@code --set}. */
    List<String> overrides() {
        return assignments.stream().map(Assignment::toString).toList();
    }
}
