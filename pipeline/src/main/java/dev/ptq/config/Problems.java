package dev.ptq.config;

import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** Collects problems while a config is read, to report them all at once. */
public final class Problems {
    private record Problem(Position position, String text) {}

    /** As in the file, file by file, overrides last; problems of one place in the order they were found. */
    private static final Comparator<Problem> BY_PLACE = Comparator.comparing(
            Problem::position,
            Comparator.comparing((Position position) -> !position.inFile())
                    .thenComparing(position -> position.inFile() ? position.source() : "")
                    .thenComparing(Position::line)
                    .thenComparing(Position::column));

    /** A set: a key that is read twice is wrong once. */
    private final Set<Problem> found = new LinkedHashSet<>();

    /** Notes a problem. */
    public void add(Position position, String message) {
        found.add(new Problem(position, position + ": " + message));
    }

    /** Notes a problem with a key. */
    public void add(Position position, String path, String message) {
        add(position, path + ": " + message);
    }

    /** What was noted, in the order of the file. */
    public List<String> messages() {
        return found.stream().sorted(BY_PLACE).map(Problem::text).toList();
    }

    /**
     * Reports what was noted.
     *
     * @throws ConfigException if there is anything
     */
    public void throwIfAny() {
        if (!found.isEmpty()) {
            throw new ConfigException(messages());
        }
    }
}
