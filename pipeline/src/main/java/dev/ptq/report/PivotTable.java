package dev.ptq.report;

import dev.ptq.artifact.Metric;
import dev.ptq.artifact.MetricName;
import dev.ptq.artifact.Unit;
import dev.ptq.artifact.Variant;
import dev.ptq.config.ConfigException;
import dev.ptq.config.FlatConfig;
import dev.ptq.config.Spelling;
import dev.ptq.report.ResultTable.Column;
import dev.ptq.report.ResultTable.Kind;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Runs laid out as papers do: a row for each value of some settings, and for each value of others a column with each
 * metric. Runs that fall into one cell are repetitions, which may differ in their seed alone: mean and standard
 * deviation, and apart from it the mean ends of the intervals over the texts.
 */
public final class PivotTable {
    /**
     * What stands where. Settings are named as in {@link RunKeys}.
     *
     * @param rows settings whose values make rows, at least one; rows that share all but the last are a group
     * @param columns settings whose values make columns, from the outermost level in
     * @param metrics the innermost level, at least one
     * @param baselines whether rows of the baselines that the runs measured come first
     * @param intervals whether the ends of confidence intervals stand beside the values that have them
     */
    public record Layout(
            List<String> rows, List<String> columns, List<String> metrics, boolean baselines, boolean intervals) {
        public Layout {
            rows = List.copyOf(rows);
            columns = List.copyOf(columns);
            metrics = List.copyOf(metrics);
        }

        private List<String> settings() {
            return Stream.concat(rows.stream(), columns.stream()).toList();
        }
    }

    /**
     * Some columns that belong together: a value with the ends of its interval, or a mean and its deviation.
     *
     * @param values of the settings that make columns
     * @param levels of the header
     */
    record Place(List<Object> values, String metric, List<String> levels, List<Column> columns) {}

    /** The group of baselines. */
    static final int BASELINE = -1;

    private static final String SEED = "seed";
    private static final List<Variant> BASELINES = List.of(Variant.FULL_PRECISION, Variant.ROUND_TO_NEAREST);

    private final Layout layout;
    private final RunKeys keys;
    /** The names of the columns before all others. */
    private List<String> names;

    private final List<Place> places = new ArrayList<>();
    private final List<List<Object>> lines = new ArrayList<>();
    private final List<Integer> groups = new ArrayList<>();
    private final Set<String> notes = new TreeSet<>();

    private PivotTable(Layout layout, RunKeys keys) {
        this.layout = layout;
        this.keys = keys;
        names = layout.rows();
    }

    /**
     * Lays out runs; those with an error or without a config are left out, with a note.
     *
     * @throws ConfigException if a name is unknown, or runs in one cell differ in more than their seeds
     */
    public static PivotTable of(List<ResultRow> rows, Layout layout) {
        List<ResultRow> named = restored(rows, layout.metrics());
        PivotTable pivot = new PivotTable(layout, new RunKeys(named));
        pivot.fill(pivot.complete(named));
        return pivot;
    }

    /**
     * Gives back their own names to metrics that are asked for by these: columns can tell apart what was measured in
     * several ways, and are checked.
     */
    private static List<ResultRow> restored(List<ResultRow> rows, List<String> metrics) {
        Set<MetricName.Subject> subjects = metrics.stream()
                .filter(metric -> rows.stream().anyMatch(row -> row.aliases().containsValue(metric)))
                .flatMap(metric -> MetricName.parse(metric).subject().stream())
                .collect(Collectors.toSet());
        return subjects.isEmpty()
                ? rows
                : rows.stream().map(row -> row.restored(subjects)).toList();
    }

    /** Runs of one column must have measured in one way. */
    private static void requireOneWay(Place place, List<ResultRow> column) {
        Set<String> ways = new TreeSet<>();
        for (ResultRow row : column) {
            ways.addAll(Stream.ofNullable(row.aliases().get(place.metric())).toList());
        }
        if (ways.size() > 1) {
            throw new ConfigException((place.values().isEmpty() ? "" : "column " + shown(place.values()) + ": ")
                    + place.metric() + " was measured in several ways, which do not stand together: "
                    + String.join(", ", ways) + "; ask for one of them with --value, choose with --where, or name in"
                    + " --cols what tells them apart");
        }
    }

    private List<ResultRow> complete(List<ResultRow> rows) {
        keys.requireSettings(layout.settings());
        List<ResultRow> complete = new ArrayList<>();
        for (ResultRow row : rows) {
            if (row.error().isEmpty() && !row.config().isEmpty()) {
                complete.add(row);
            } else {
                notes.add(row.run() + ": left out, as it has " + (row.error().isEmpty() ? "no config" : "an error"));
            }
        }
        Set<String> known = new LinkedHashSet<>();
        complete.forEach(row -> known.addAll(row.measures().keySet()));
        List<String> problems = layout.metrics().stream()
                .filter(metric -> !known.contains(metric))
                .map(metric -> "no complete run has a metric \"" + metric + "\""
                        + Spelling.hint(Spelling.closest(metric, known)))
                .toList();
        if (!problems.isEmpty()) {
            throw new ConfigException(problems);
        }
        return complete;
    }

    private void fill(List<ResultRow> rows) {
        boolean isRepeated = grouped(rows, layout.settings()).values().stream().anyMatch(runs -> runs.size() > 1);
        for (List<Object> values : grouped(rows, layout.columns()).keySet()) {
            layout.metrics().forEach(metric -> places.add(place(values, metric, rows, isRepeated)));
        }
        places.forEach(place -> requireOneWay(place, at(place, rows)));
        Map<List<Object>, List<ResultRow>> down = grouped(rows, layout.rows());
        if (layout.baselines()) {
            BASELINES.forEach(variant -> addBaseline(variant, rows));
        }
        Map<List<Object>, Integer> numbers = new LinkedHashMap<>();
        down.forEach((values, group) -> {
            List<Object> line = new ArrayList<>(values);
            for (Place place : places) {
                List<ResultRow> runs = at(place, group);
                requireRepetitions(values, place, runs);
                line.addAll(cells(place, runs, place.metric()));
            }
            lines.add(line);
            groups.add(numbers.computeIfAbsent(values.subList(0, values.size() - 1), outer -> numbers.size()));
        });
    }

    private Map<List<Object>, List<ResultRow>> grouped(List<ResultRow> rows, List<String> names) {
        Map<List<Object>, List<ResultRow>> unordered = new LinkedHashMap<>();
        for (ResultRow row : rows) {
            unordered
                    .computeIfAbsent(values(row, names), any -> new ArrayList<>())
                    .add(row);
        }
        Map<List<Object>, List<ResultRow>> ordered = new LinkedHashMap<>();
        unordered.entrySet().stream()
                .sorted(Map.Entry.comparingByKey(ResultGroups::compare))
                .forEach(entry -> ordered.put(entry.getKey(), entry.getValue()));
        return ordered;
    }

    private List<Object> values(ResultRow row, List<String> names) {
        return names.stream().map(name -> keys.value(row, name)).toList();
    }

    private List<ResultRow> at(Place place, List<ResultRow> rows) {
        return rows.stream()
                .filter(row -> values(row, layout.columns()).equals(place.values()))
                .toList();
    }

    private Place place(List<Object> values, String metric, List<ResultRow> rows, boolean isRepeated) {
        List<String> levels = new ArrayList<>();
        for (int i = 0; i < values.size(); i++) {
            levels.add(level(layout.columns().get(i), values.get(i)));
        }
        if (layout.metrics().size() > 1 || levels.isEmpty()) {
            levels.add(metric);
        }
        boolean hasEnds = layout.intervals()
                && rows.stream().anyMatch(row -> row.measures().containsKey(metric + suffix(Kind.LOW)));
        List<Kind> kinds = isRepeated
                ? hasEnds ? List.of(Kind.MEAN, Kind.SPREAD, Kind.LOW, Kind.HIGH) : List.of(Kind.MEAN, Kind.SPREAD)
                : hasEnds ? List.of(Kind.MEASURE, Kind.LOW, Kind.HIGH) : List.of(Kind.MEASURE);
        return place(values, metric, levels, kinds);
    }

    private static Place place(List<Object> values, String metric, List<String> levels, List<Kind> kinds) {
        String name = String.join(" | ", levels);
        List<Column> columns = kinds.stream()
                .map(kind -> new Column(name + suffix(kind), kind))
                .toList();
        return new Place(List.copyOf(values), metric, List.copyOf(levels), columns);
    }

    private static String suffix(Kind kind) {
        return switch (kind) {
            case MEAN -> "/mean";
            case SPREAD -> "/std";
            case LOW -> "/low";
            case HIGH -> "/high";
            default -> "";
        };
    }

    private static String level(String key, Object value) {
        String last = key.substring(key.lastIndexOf('.') + 1);
        if (value instanceof Number || value instanceof Boolean) {
            return last + " " + value;
        }
        return value.equals("") ? "no " + last : value.toString();
    }

    private void requireRepetitions(List<Object> row, Place place, List<ResultRow> runs) {
        Set<String> differences = new TreeSet<>(
                FlatConfig.differences(runs.stream().map(ResultRow::config).toList()));
        differences.removeIf(key -> key.equals(SEED) || key.endsWith("." + SEED));
        if (!differences.isEmpty()) {
            throw new ConfigException(
                    "row " + shown(row) + (place.values().isEmpty() ? "" : ", column " + shown(place.values()))
                            + ": " + runs.size() + " runs that differ in " + String.join(", ", differences)
                            + "; name these in --rows or --cols, or choose with --where");
        }
        if (runs.size() > 1
                && runs.stream()
                                .map(run -> run.measures().get(place.metric()))
                                .distinct()
                                .count()
                        == 1) {
            notes.add("row " + shown(row) + (place.values().isEmpty() ? "" : ", column " + shown(place.values())) + ": "
                    + runs.size() + " runs with the same " + place.metric() + ": the seed has no effect on it");
        }
    }

    private static String shown(List<Object> values) {
        return String.join(" ", values.stream().map(Object::toString).toList());
    }

    /** Returns the cells of a place, by the columns that it has. */
    private static List<Object> cells(Place place, List<ResultRow> runs, String metric) {
        List<Object> cells = new ArrayList<>();
        for (Column column : place.columns()) {
            cells.add(
                    switch (column.kind()) {
                        case MEAN -> ResultGroups.mean(metric, runs);
                        case SPREAD -> ResultGroups.deviation(metric, runs);
                        case LOW, HIGH -> ResultGroups.mean(metric + suffix(column.kind()), runs);
                        default -> first(runs, metric);
                    });
        }
        return cells;
    }

    private static Object first(List<ResultRow> runs, String metric) {
        return runs.stream()
                .flatMap(run -> Stream.ofNullable(run.measures().get(metric)))
                .findFirst()
                .orElse("");
    }

    /**
     * Adds the row of a baseline, if some run measured it. What it gives must not depend on the settings that make rows:
     * a column in which runs disagree stays empty, with a note.
     */
    private void addBaseline(Variant variant, List<ResultRow> rows) {
        List<Object> line = new ArrayList<>();
        line.add(variant.label().replace('_', ' '));
        layout.rows().stream().skip(1).forEach(name -> line.add(""));
        boolean isKnown = false;
        for (Place place : places) {
            Optional<String> metric =
                    MetricName.parse(place.metric()).forVariant(variant).map(MetricName::key);
            List<ResultRow> runs = at(place, rows).stream()
                    .filter(row -> metric.isPresent() && row.measures().containsKey(metric.get()))
                    .toList();
            long different = runs.stream()
                    .map(row -> row.measures().get(metric.orElseThrow()))
                    .distinct()
                    .count();
            if (different > 1) {
                notes.add(variant.label() + ": left out of column \"" + String.join(" | ", place.levels())
                        + "\", in which runs have " + different + " values of it");
            }
            isKnown |= different == 1;
            List<ResultRow> one = different == 1 ? runs.subList(0, 1) : List.of();
            line.addAll(cells(place, one, metric.orElse("")));
        }
        if (isKnown) {
            lines.add(line);
            groups.add(BASELINE);
        }
    }

    /** Notes on runs and cells that were left out, and on seeds without effect. */
    public List<String> notes() {
        return List.copyOf(notes);
    }

    /** Returns the table, with every digit. */
    public ResultTable table() {
        List<Column> columns = new ArrayList<>();
        names.forEach(name -> columns.add(new Column(name, Kind.ID)));
        places.forEach(place -> columns.addAll(place.columns()));
        return new ResultTable(columns, lines);
    }

    /**
     * Orders the rows within their groups by a column.
     *
     * @param name of the column
     * @throws ConfigException if there is no such column
     */
    public void sort(String name, boolean isDescending) {
        List<List<Object>> sorted = new ArrayList<>();
        for (int from = 0, to; from < lines.size(); from = to) {
            int group = groups.get(from);
            to = from + 1;
            while (to < lines.size() && groups.get(to) == group) {
                to++;
            }
            ResultTable part = new ResultTable(table().columns(), lines.subList(from, to));
            sorted.addAll((group == BASELINE ? part : part.sorted(name, isDescending)).rows());
        }
        lines.clear();
        lines.addAll(sorted);
    }

    /** Puts other words for names and texts, in headers and in cells. */
    public void rename(Map<String, String> words) {
        List<List<Object>> renamed = table().renamed(words).rows();
        lines.clear();
        lines.addAll(renamed);
        names = names.stream().map(name -> words.getOrDefault(name, name)).toList();
        places.replaceAll(place -> place(
                place.values(),
                place.metric(),
                place.levels().stream()
                        .map(level -> words.getOrDefault(level, level))
                        .toList(),
                place.columns().stream().map(Column::kind).toList()));
    }

    List<Place> places() {
        return List.copyOf(places);
    }

    /** Returns the group of each row, or {@link #BASELINE}. */
    List<Integer> groups() {
        return List.copyOf(groups);
    }

    /** Returns whether a metric is a share of documents, which papers give in percent. */
    static boolean isPercent(String metric) {
        return MetricName.parse(metric)
                .measure()
                .filter(measure -> measure.basis() == Metric.Basis.DOCUMENTS && measure.unit() == Unit.SHARE)
                .isPresent();
    }
}
