package dev.ptq.report;

import dev.ptq.config.ConfigException;
import dev.ptq.config.FlatConfig;
import dev.ptq.config.Spelling;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * What users may call the settings and metrics of some runs: by the whole name, or for settings by its last parts, if
 * these do not mean two things in one run; {@code rank} is then the rank of whatever step has one, and {@code bits}, in a
 * sweep over those of weights, these. An axis of
 * alternatives of a sweep goes by its name, and means the alternative's. {@link #METHOD} is the axis of that name, or else
 * the names of all steps.
 */
final class RunKeys {
    /** The steps of a run. */
    static final String METHOD = "method";

    private static final String STEPS = "approximation";
    private static final String NO_STEPS = "none";

    private final List<String> axes;
    private final List<String> settings;
    private final Set<String> differences;
    private final Set<String> metrics = new LinkedHashSet<>();
    private final Map<String, List<String>> meanings = new TreeMap<>();

    RunKeys(List<ResultRow> rows) {
        axes = ResultTable.axes(rows);
        settings = ResultTable.settings(rows);
        differences = FlatConfig.differences(ResultTable.configs(rows));
        rows.forEach(row -> metrics.addAll(row.measures().keySet()));
    }

    /**
     * Checks that these are settings.
     *
     * @throws ConfigException naming those that are none
     */
    void requireSettings(Collection<String> names) {
        require(names, settings, "setting");
    }

    /**
     * Checks that these are settings or metrics.
     *
     * @throws ConfigException naming those that are neither
     */
    void requireKnown(Collection<String> names) {
        List<String> known = new ArrayList<>(settings);
        known.addAll(metrics);
        require(names, known, "setting or metric");
    }

    private void require(Collection<String> names, List<String> known, String kind) {
        List<String> meant = new ArrayList<>(known);
        meant.addAll(axes);
        settings.forEach(key -> meant.add(key.substring(key.lastIndexOf('.') + 1)));
        List<String> problems = names.stream()
                .filter(name -> !name.equals(METHOD)
                        && !axes.contains(name)
                        && !known.contains(name)
                        && meanings(name).isEmpty())
                .map(name ->
                        "no run has a " + kind + " \"" + name + "\"" + Spelling.hint(Spelling.closest(name, meant)))
                .toList();
        if (!problems.isEmpty()) {
            throw new ConfigException(problems);
        }
    }

    /** Returns the settings that a name may stand for: of several, those that tell runs apart, if any do. */
    private List<String> meanings(String name) {
        return meanings.computeIfAbsent(name, any -> {
            if (settings.contains(any)) {
                return List.of(any);
            }
            List<String> all =
                    settings.stream().filter(key -> key.endsWith("." + any)).toList();
            List<String> different = all.stream().filter(differences::contains).toList();
            return different.isEmpty() ? all : different;
        });
    }

    /**
     * Returns the alternative of an axis, the value of a setting, or else of a metric; empty text if the run has none.
     *
     * @throws ConfigException if the name stands for two settings of the run with different values
     */
    Object value(ResultRow row, String name) {
        if (row.axes().containsKey(name)) {
            return row.axes().get(name);
        }
        Map<String, Object> config = row.config().values();
        List<String> meant = meanings(name).stream().filter(config::containsKey).toList();
        Set<Object> values = new LinkedHashSet<>(meant.stream().map(config::get).toList());
        if (name.equals(METHOD) && !settings.contains(METHOD)) {
            return method(row.config());
        }
        if (values.size() > 1) {
            throw new ConfigException("\"" + name + "\" has several meanings in " + row.run() + ": "
                    + String.join(", ", meant) + "; write one of them");
        }
        return values.isEmpty()
                ? row.measures().getOrDefault(name, "")
                : values.iterator().next();
    }

    private static Object method(FlatConfig config) {
        Object steps = config.values().getOrDefault(STEPS, NO_STEPS);
        return steps instanceof String names ? names.replace(", ", " + ") : NO_STEPS;
    }
}
