package dev.ptq.report;

import dev.ptq.config.ConfigException;
import dev.ptq.config.FlatConfig;
import dev.ptq.config.Spelling;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Rows of cells below named columns.
 *
 * @param rows one cell per column in each: numbers, {@code Boolean}, lists or text; empty text if unknown
 */
public record ResultTable(List<Column> columns, List<List<Object>> rows) {
    /** The kind of a column. */
    public enum Kind {
        /** The subject of a row: the run, or the keys that a group shares. */
        ID,
        /** A key of the config. */
        SETTING,
        /** A metric, or a cost of a run. */
        MEASURE,
        /** The mean of a measure, {@code NAME/mean}. */
        MEAN,
        /** The standard deviation of a measure, {@code NAME/std}. */
        SPREAD,
        /** The lower end of an interval, {@code NAME/low}. */
        LOW,
        /** The upper end, {@code NAME/high}. */
        HIGH,
        /** The number of runs, {@code n}, or of those with a measure, {@code NAME/n}. */
        COUNT,
        /** The outcome of a run. */
        REMARK
    }

    /** A column. */
    public record Column(String name, Kind kind) {
        /** The measure; for a mean, a spread or a count, the name without its last part. */
        String measure() {
            return switch (kind) {
                case MEAN, SPREAD, LOW, HIGH, COUNT -> name.substring(0, Math.max(0, name.lastIndexOf('/')));
                default -> name;
            };
        }
    }

    /** Enough for a sweep of ten thousand points with some hundred columns. */
    private static final int MOST_CELLS = 20_000_000;

    private static final String RUN = "run";
    static final String STATE = "state";
    private static final String ERROR = "error";

    public ResultTable {
        columns = List.copyOf(columns);
        rows = rows.stream().map(List::copyOf).toList();
    }

    /** A row for each run: its alternatives of the axes of a sweep, the settings that tell the runs apart, the measures, the outcome. */
    public static ResultTable of(List<ResultRow> rows) {
        Set<String> differences = FlatConfig.differences(configs(rows));
        return of(rows, settings(rows).stream().filter(differences::contains).toList());
    }

    /** The same with all settings. */
    public static ResultTable complete(List<ResultRow> rows) {
        return of(rows, settings(rows));
    }

    private static ResultTable of(List<ResultRow> rows, List<String> settings) {
        List<Map<String, Object>> measures =
                rows.stream().map(ResultRow::measures).toList();
        List<String> names = merged(measures.stream().map(Map::keySet).toList());
        List<String> axes = axes(rows);
        requireSize(rows.size(), axes.size() + settings.size() + names.size());
        List<Column> columns = new ArrayList<>();
        columns.add(new Column(RUN, Kind.ID));
        axes.forEach(name -> columns.add(new Column(name, Kind.SETTING)));
        settings.forEach(name -> columns.add(new Column(name, Kind.SETTING)));
        names.forEach(name -> columns.add(new Column(name, Kind.MEASURE)));
        columns.add(new Column(STATE, Kind.REMARK));
        columns.add(new Column(ERROR, Kind.REMARK));
        List<List<Object>> cells = new ArrayList<>();
        for (int i = 0; i < rows.size(); i++) {
            ResultRow row = rows.get(i);
            List<Object> line = new ArrayList<>();
            line.add(row.run());
            for (String name : axes) {
                line.add(row.axes().getOrDefault(name, ""));
            }
            for (String name : settings) {
                line.add(row.config().values().getOrDefault(name, ""));
            }
            for (String name : names) {
                line.add(measures.get(i).getOrDefault(name, ""));
            }
            line.add(row.state());
            line.add(row.error());
            cells.add(line);
        }
        return new ResultTable(columns, cells);
    }

    /** Limits the size: files that anyone may have written could ask for more than fits into memory. */
    private static void requireSize(int rows, int columns) {
        if ((long) rows * columns > MOST_CELLS) {
            throw new ConfigException("expected at most " + MOST_CELLS + " cells in a table, got " + rows
                    + " runs with " + columns + " settings and metrics between them; collect fewer folders at once");
        }
    }

    /** The configs of the runs that have one. */
    static List<FlatConfig> configs(List<ResultRow> rows) {
        return rows.stream()
                .map(ResultRow::config)
                .filter(config -> !config.isEmpty())
                .toList();
    }

    /** The names of the axes of alternatives whose points are among the runs. */
    static List<String> axes(List<ResultRow> rows) {
        return merged(rows.stream().map(row -> row.axes().keySet()).distinct().toList());
    }

    /** Every key of the configs; complete configs decide the order. */
    static List<String> settings(List<ResultRow> rows) {
        return merged(configs(rows).stream()
                .sorted(Comparator.comparing(config -> !config.isWhole()))
                .map(config -> config.values().keySet())
                .toList());
    }

    /** Merges lists of names; a name missing from some lists keeps its predecessor from its own. */
    static List<String> merged(List<? extends Collection<String>> lists) {
        List<String> merged = new ArrayList<>();
        Set<String> known = new LinkedHashSet<>();
        for (Collection<String> list : lists) {
            int next = 0;
            for (String name : list) {
                if (known.add(name)) {
                    merged.add(next++, name);
                } else if (next < merged.size() && merged.get(next).equals(name)) {
                    next++;
                } else {
                    next = merged.indexOf(name) + 1;
                }
            }
        }
        return merged;
    }

    /**
     * Some of the columns.
     *
     * @param patterns names, in the order wanted; {@code *} stands for any text
     * @throws ConfigException if one matches no column
     */
    public ResultTable select(List<String> patterns) {
        List<String> problems = new ArrayList<>();
        Set<Integer> selected = new LinkedHashSet<>();
        for (String pattern : patterns) {
            Predicate<String> matches = glob(pattern);
            List<Integer> found = indexes(column -> matches.test(column.name()));
            if (found.isEmpty()) {
                problems.add("there is no column \"" + pattern + "\""
                        + Spelling.hint(Spelling.closest(
                                pattern, columns.stream().map(Column::name).toList())));
            }
            selected.addAll(found);
        }
        if (!problems.isEmpty()) {
            throw new ConfigException(problems);
        }
        return columns(List.copyOf(selected));
    }

    private static Predicate<String> glob(String pattern) {
        return Pattern.compile(
                        Stream.of(pattern.split("\\*", -1)).map(Pattern::quote).collect(Collectors.joining(".*")),
                        Pattern.DOTALL)
                .asMatchPredicate();
    }

    /**
     * The rows in the order of a column.
     *
     * @param name of the column
     * @throws ConfigException if there is no such column
     */
    public ResultTable sorted(String name, boolean isDescending) {
        int column = columns.stream().map(Column::name).toList().indexOf(name);
        if (column < 0) {
            throw new ConfigException("there is no column \"" + name + "\""
                    + Spelling.hint(Spelling.closest(
                            name, columns.stream().map(Column::name).toList())));
        }
        Comparator<List<Object>> order = (a, b) -> ResultGroups.compare(List.of(a.get(column)), List.of(b.get(column)));
        return new ResultTable(
                columns,
                rows.stream().sorted(isDescending ? order.reversed() : order).toList());
    }

    /** The same with other words for names of columns and for texts in cells. */
    public ResultTable renamed(Map<String, String> words) {
        return new ResultTable(
                columns.stream()
                        .map(column -> new Column(words.getOrDefault(column.name(), column.name()), column.kind()))
                        .toList(),
                rows.stream()
                        .map(row -> row.stream()
                                .<Object>map(
                                        cell -> cell instanceof String text ? words.getOrDefault(text, text) : cell)
                                .toList())
                        .toList());
    }

    /** The columns for a paper: only results among the measures, and the error only if there is any. */
    public ResultTable forPaper() {
        return columns(indexes(column -> switch (column.kind()) {
            case ID, SETTING -> true;
            case COUNT -> column.name().equals(ResultGroups.COUNT) || Measures.isResult(column.measure());
            case MEASURE, MEAN, SPREAD, LOW, HIGH -> Measures.isResult(column.measure());
            case REMARK -> column.name().equals(ERROR) && !isEmpty(columns.indexOf(column));
        }));
    }

    /** A row for each cell that is not empty: the subject of its row, its column, its value. */
    public ResultTable longForm() {
        List<Integer> ids = indexes(column -> column.kind() == Kind.ID);
        List<Column> longColumns =
                new ArrayList<>(ids.stream().map(columns::get).toList());
        longColumns.add(new Column("key", Kind.SETTING));
        longColumns.add(new Column("value", Kind.SETTING));
        List<List<Object>> cells = new ArrayList<>();
        for (List<Object> row : rows) {
            for (int i = 0; i < columns.size(); i++) {
                if (!ids.contains(i) && !row.get(i).equals("")) {
                    List<Object> line =
                            new ArrayList<>(ids.stream().map(row::get).toList());
                    line.add(columns.get(i).name());
                    line.add(row.get(i));
                    cells.add(line);
                }
            }
        }
        return new ResultTable(longColumns, cells);
    }

    /** The columns that identify a row's subject. */
    public List<String> ids() {
        return columns.stream()
                .filter(column -> column.kind() == Kind.ID)
                .map(Column::name)
                .toList();
    }

    /** The cells of a column, from top to bottom. */
    List<Object> cells(int column) {
        return rows.stream().map(row -> row.get(column)).toList();
    }

    private boolean isEmpty(int column) {
        return cells(column).stream().allMatch(""::equals);
    }

    private List<Integer> indexes(Predicate<Column> wanted) {
        return IntStream.range(0, columns.size())
                .filter(i -> wanted.test(columns.get(i)))
                .boxed()
                .toList();
    }

    private ResultTable columns(List<Integer> kept) {
        return new ResultTable(
                kept.stream().map(columns::get).toList(),
                rows.stream().map(row -> kept.stream().map(row::get).toList()).toList());
    }
}
