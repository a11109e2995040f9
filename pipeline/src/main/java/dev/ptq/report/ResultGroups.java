package dev.ptq.report;

import dev.ptq.config.ConfigException;
import dev.ptq.config.FlatConfig;
import dev.ptq.config.NaturalOrder;
import dev.ptq.config.Spelling;
import dev.ptq.report.ResultTable.Column;
import dev.ptq.report.ResultTable.Kind;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;

/** Groups of runs that agree in some keys: for means over runs that differ only in their seed. */
public final class ResultGroups {
    static final String COUNT = "n";
    private static final String SEED = "seed";

    private final List<String> keys;

    /** Runs by the values of the keys, in order. */
    private final Map<List<Object>, List<ResultRow>> groups = new LinkedHashMap<>();

    private final List<String> notes = new ArrayList<>();

    private ResultGroups(List<String> keys) {
        this.keys = keys;
    }

    /**
     * Groups runs; those with an error or without a config belong to no group.
     *
     * @param keys of the configs, or names of axes
     * @throws ConfigException if no config has one of them
     */
    public static ResultGroups of(List<ResultRow> rows, List<String> keys) {
        List<ResultRow> complete =
                rows.stream().filter(row -> row.error().isEmpty()).toList();
        List<String> known = new ArrayList<>(ResultTable.axes(complete));
        known.addAll(ResultTable.settings(complete));
        requireKnown(keys, known);
        ResultGroups result = new ResultGroups(List.copyOf(keys));
        Map<List<Object>, List<ResultRow>> unordered = new LinkedHashMap<>();
        for (ResultRow row : rows) {
            if (!row.error().isEmpty() || row.config().isEmpty()) {
                result.notes.add(
                        row.run() + ": in no group, as it has " + (row.error().isEmpty() ? "no config" : "an error"));
            } else {
                unordered
                        .computeIfAbsent(result.values(row), values -> new ArrayList<>())
                        .add(row);
            }
        }
        unordered.keySet().stream()
                .sorted(ResultGroups::compare)
                .forEach(values -> result.groups.put(values, Objects.requireNonNull(unordered.get(values))));
        result.noteCopies();
        result.noteWhatIsAveragedOver();
        return result;
    }

    private static void requireKnown(List<String> keys, List<String> settings) {
        List<String> problems = keys.stream()
                .filter(key -> !settings.contains(key))
                .map(key -> "no config has a key \"" + key + "\"" + Spelling.hint(Spelling.closest(key, settings)))
                .toList();
        if (!problems.isEmpty()) {
            throw new ConfigException(problems);
        }
    }

    private List<Object> values(ResultRow row) {
        return keys.stream()
                .map(key -> row.axes().containsKey(key)
                        ? row.axes().get(key)
                        : row.config().values().getOrDefault(key, ""))
                .toList();
    }

    /** Orders missing values first, then numbers by size, then the rest in natural order. */
    static int compare(List<Object> a, List<Object> b) {
        Comparator<Object> order = Comparator.<Object>comparingInt(
                        value -> value.equals("") ? 0 : value instanceof Number ? 1 : 2)
                .thenComparingDouble(value -> value instanceof Number number ? number.doubleValue() : 0)
                .thenComparing(Object::toString, NaturalOrder.INSTANCE);
        return Stream.iterate(0, i -> i + 1)
                .limit(a.size())
                .map(i -> order.compare(a.get(i), b.get(i)))
                .filter(result -> result != 0)
                .findFirst()
                .orElse(0);
    }

    /** Notes the groups whose runs measured the same to the last digit: what differs between them had no effect. */
    private void noteCopies() {
        groups.forEach((values, group) -> {
            if (areCopies(group)) {
                Set<String> differences = differences(group);
                String what = differences.isEmpty() ? "they have equal configs" : differences(differences);
                notes.add(String.join(" ", values.stream().map(Object::toString).toList()) + ": all " + group.size()
                        + " runs measured the same: " + what);
            }
        });
    }

    private static String differences(Set<String> keys) {
        boolean seeds = keys.stream().allMatch(key -> key.equals(SEED) || key.endsWith("." + SEED));
        return seeds ? "the seed had no effect" : "no effect had " + String.join(", ", keys);
    }

    /** Returns whether several runs have the same metrics; their spread is none of a measurement. */
    static boolean areCopies(List<ResultRow> runs) {
        return runs.size() > 1
                && !runs.get(0).metrics().isEmpty()
                && runs.stream().map(ResultRow::metrics).distinct().count() == 1;
    }

    private void noteWhatIsAveragedOver() {
        List<String> within = groups.values().stream()
                .flatMap(group -> differences(group).stream())
                .distinct()
                .toList();
        if (!within.isEmpty()) {
            notes.add(0, "averaged over " + String.join(", ", within));
        }
    }

    private static Set<String> differences(Collection<ResultRow> group) {
        return FlatConfig.differences(group.stream().map(ResultRow::config).toList());
    }

    /** Notes on the settings that groups average over, and on runs in none. */
    public List<String> notes() {
        return List.copyOf(notes);
    }

    /**
     * A row for each group: its keys, the number of its runs, and for each measure the mean and the standard deviation,
     * with n-1, over the runs that have it. If some lack it, {@code NAME/n} counts those that have it. Words and the
     * ends of intervals have no mean. Runs that measured the same to the last digit have no deviation.
     */
    public ResultTable table() {
        List<Column> columns = new ArrayList<>();
        keys.forEach(key -> columns.add(new Column(key, Kind.ID)));
        columns.add(new Column(COUNT, Kind.COUNT));
        List<List<Object>> rows = new ArrayList<>();
        groups.forEach((values, group) -> {
            List<Object> row = new ArrayList<>(values);
            row.add(group.size());
            rows.add(row);
        });
        List<List<Map<String, Object>>> measures = groups.values().stream()
                .map(group -> group.stream().map(ResultRow::measures).toList())
                .toList();
        List<Boolean> copies =
                groups.values().stream().map(ResultGroups::areCopies).toList();
        for (String name : ResultTable.merged(
                measures.stream().flatMap(List::stream).map(Map::keySet).toList())) {
            boolean numbers = measures.stream()
                    .flatMap(List::stream)
                    .allMatch(each -> each.getOrDefault(name, 0) instanceof Number);
            if (numbers && !Measures.isBound(name)) {
                add(name, measures, copies, columns, rows);
            }
        }
        return new ResultTable(columns, rows);
    }

    private static void add(
            String name,
            List<List<Map<String, Object>>> measures,
            List<Boolean> copies,
            List<Column> columns,
            List<List<Object>> rows) {
        List<double[]> values =
                measures.stream().map(group -> values(name, group)).toList();
        boolean missing = false;
        for (int i = 0; i < rows.size(); i++) {
            missing |= values.get(i).length < measures.get(i).size();
        }
        columns.add(new Column(name + "/mean", Kind.MEAN));
        columns.add(new Column(name + "/std", Kind.SPREAD));
        if (missing) {
            columns.add(new Column(name + "/n", Kind.COUNT));
        }
        for (int i = 0; i < rows.size(); i++) {
            double[] group = values.get(i);
            rows.get(i).add(group.length < 1 ? "" : mean(group));
            boolean isCost = name.equals(ResultRow.SECONDS) || name.equals(ResultRow.PEAK_MEMORY_BYTES);
            rows.get(i).add(group.length < 2 || (copies.get(i) && !isCost) ? "" : deviation(group));
            if (missing) {
                rows.get(i).add(group.length);
            }
        }
    }

    /** Returns the mean of a metric over the runs that have it; empty text if none has. */
    static Object mean(String name, List<ResultRow> runs) {
        double[] values = values(name, runs.stream().map(ResultRow::measures).toList());
        return values.length < 1 ? "" : mean(values);
    }

    /** Returns its standard deviation, with n-1; empty text for fewer than two, or if all have the same value. */
    static Object deviation(String name, List<ResultRow> runs) {
        double[] values = values(name, runs.stream().map(ResultRow::measures).toList());
        return DoubleStream.of(values).distinct().count() < 2 ? "" : deviation(values);
    }

    private static double[] values(String name, List<Map<String, Object>> group) {
        return group.stream()
                .flatMap(measures -> Stream.ofNullable(measures.get(name)))
                .filter(Number.class::isInstance)
                .mapToDouble(value -> ((Number) value).doubleValue())
                .toArray();
    }

    /** Averages distances from the first value, so that the mean of equal values is exactly that value. */
    private static double mean(double[] values) {
        double sum = 0;
        for (double value : values) {
            sum += value - values[0];
        }
        return values[0] + sum / values.length;
    }

    private static double deviation(double[] values) {
        double mean = mean(values);
        double squares = 0;
        for (double value : values) {
            squares += (value - mean) * (value - mean);
        }
        return Math.sqrt(squares / (values.length - 1));
    }
}
