package dev.ptq.config;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Where the paths of a config were found.
 *
 * @param warnings about paths that were not found where they should be, a sentence each
 * @param places of all paths that were read
 */
public record Located(List<String> warnings, List<Entry> places) {
    /**
     * A path.
     *
     * @param position of its key
     * @param written as it is there
     * @param path from the current directory
     */
    public record Entry(Position position, String written, String path) {}

    public Located {
        warnings = List.copyOf(warnings);
        places = List.copyOf(places);
    }

    /** Returns an assignment whose paths start at the current directory, as they do on a command line. */
    public Assignment in(Assignment assignment) {
        List<Entry> here = places.stream()
                .filter(place -> place.position().equals(assignment.position()))
                .toList();
        return here.isEmpty()
                ? assignment
                : new Assignment(assignment.path(), located(assignment.value(), here), assignment.position());
    }

    private static Object located(Object value, List<Entry> places) {
        if (value instanceof Map<?, ?> table) {
            Map<Object, Object> located = new LinkedHashMap<>();
            table.forEach((key, each) -> located.put(key, located(each, places)));
            return located;
        }
        if (value instanceof List<?> items) {
            return items.stream().map(each -> located(each, places)).toList();
        }
        return places.stream()
                .filter(place -> place.written().equals(value))
                .<Object>map(Entry::path)
                .findFirst()
                .orElse(value);
    }
}
