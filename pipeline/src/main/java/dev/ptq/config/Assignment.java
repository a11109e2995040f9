package dev.ptq.config;

import java.util.List;
import java.util.Optional;

/**
 * A value for a config key, given outside the config.
 *
 * @param path the parts of the dotted key, at least one
 * @param value a string, {@code Long}, {@code Double}, {@code Boolean}, or a list or map of them
 * @param position where it is written
 */
public record Assignment(List<String> path, Object value, Position position) {
    public Assignment {
        path = List.copyOf(path);
        if (path.isEmpty()) {
            throw new IllegalArgumentException("a key has at least one part");
        }
    }

    /** Returns the dotted key; equal paths have equal keys. */
    public String key() {
        return TomlWriter.key(path);
    }

    /** Returns whether this replaces a whole of which the other sets a part. */
    public boolean contains(Assignment other) {
        return path.size() < other.path.size() && path.equals(other.path.subList(0, path.size()));
    }

    /** Returns the equivalent argument of {@code --set} on a command line. */
    @Override
    public String toString() {
        return key() + "=" + TomlWriter.inline(value);
    }

    /** Returns the parts of a dotted key; empty if the text is none. */
    public static Optional<List<String>> path(String key) {
        return Optional.of(Overrides.path(key)).filter(path -> !path.isEmpty());
    }

    /** Returns the parts of the key of a {@code key=value}; empty if the text is none. */
    public static Optional<List<String>> pathOf(String override) {
        return Optional.of(Overrides.pathOf(override)).filter(path -> !path.isEmpty());
    }
}
