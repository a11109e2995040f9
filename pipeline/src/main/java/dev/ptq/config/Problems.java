package dev.ptq.config;

import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** Collects problems while a config is read, to report them all at once. */
public final class Problems {
    /**
     * A problem with a place in a config.
     *
     * @param path of the key, as in a config; empty for a problem that is not with one key
     */
    record Problem(Position position, String path, String message) {
        String text() {
            return position + ": " + (path.isEmpty() ? "" : path + ": ") + message;
        }
    }

    /** In file order, file by file, overrides last; problems at one position in the order they were found. */
    private static final Comparator<Problem> BY_PLACE = Comparator.comparing(
            Problem::position,
            Comparator.comparing((Position position) -> !position.inFile())
                    .thenComparing(position -> position.inFile() ? position.source() : "")
                    .thenComparing(Position::line)
                    .thenComparing(Position::column));

    /** A set: a key that is read twice is wrong once. */
    private final Set<Problem> found = new LinkedHashSet<>();

    /** What is no problem, but may not be what was meant. */
    private final Set<Problem> warnings = new LinkedHashSet<>();

    private final Set<Located.Entry> places = new LinkedHashSet<>();

    /** Adds a warning about a key. */
    void warn(Position position, String path, String message) {
        warnings.add(new Problem(position, path, message));
    }

    /** Notes where a path was found. */
    void located(Located.Entry place) {
        places.add(place);
    }

    /** Returns where paths were found. */
    Located located() {
        return new Located(warnings.stream().map(Problem::text).toList(), List.copyOf(places));
    }

    /** Adds a problem. */
    public void add(Position position, String message) {
        add(position, "", message);
    }

    /** Adds a problem with a key. */
    public void add(Position position, String path, String message) {
        found.add(new Problem(position, path, message));
    }

    /** Returns the problems, in the order of the file. */
    public List<String> messages() {
        return sorted().stream().map(Problem::text).toList();
    }

    private List<Problem> sorted() {
        return found.stream().sorted(BY_PLACE).toList();
    }

    /**
     * Throws if there are problems.
     *
     * @throws ConfigException if there is anything
     */
    public void throwIfAny() {
        if (!found.isEmpty()) {
            throw ConfigException.of(sorted());
        }
    }
}
