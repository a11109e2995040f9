package dev.ptq.report;

import dev.ptq.artifact.MetricName;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The groups among tasks, such as MMLU, and their parts, which would hide all other tasks. Results do not say what
 * belongs together; names do: {@code mmlu_anatomy} is a part of {@code mmlu} if that was measured too.
 */
final class TaskParts {
    /** Fewer tasks whose names begin alike need no folding, and may be no group. */
    private static final int FEWEST = 4;

    private final Map<String, Set<String>> parts = new TreeMap<>();

    /** Finds the groups among tasks, as they are named in results. */
    private TaskParts(Collection<String> tasks) {
        Set<String> names = new LinkedHashSet<>(tasks);
        for (String group : names) {
            Set<String> found = new TreeSet<>();
            names.stream()
                    .filter(task -> plain(task).startsWith(plain(group) + "_"))
                    .forEach(found::add);
            if (found.stream().map(TaskParts::plain).distinct().count() >= FEWEST) {
                parts.put(plain(group), found);
            }
        }
        // the parts of a part belong to the whole
        List<String> inner = parts.values().stream()
                .flatMap(Set::stream)
                .map(TaskParts::plain)
                .toList();
        inner.forEach(parts::remove);
    }

    static TaskParts of(List<ResultRow> rows) {
        Set<String> tasks = new LinkedHashSet<>();
        rows.forEach(row -> row.metrics().keySet().forEach(key -> {
            if (MetricName.parse(key) instanceof MetricName.OfTask name) {
                tasks.add(name.task());
            }
        }));
        return new TaskParts(tasks);
    }

    /** The name without the conditions that {@link Comparability} adds. */
    private static String plain(String task) {
        int end = task.indexOf(" (");
        return end < 0 ? task : task.substring(0, end);
    }

    /** Returns whether a metric is of a part of a group. */
    boolean isOfPart(String metric) {
        Optional<MetricName.Subject> subject = MetricName.parse(metric).subject();
        return subject.isPresent()
                && !subject.get().isText()
                && parts.values().stream()
                        .anyMatch(own -> own.contains(subject.get().name()));
    }

    /** Returns the parts of each group, by its name without conditions: those under all conditions that there are. */
    Map<String, Set<String>> all() {
        return parts;
    }
}
