package dev.ptq.cli;

import dev.ptq.config.ConfigException;
import dev.ptq.report.CsvText;
import dev.ptq.report.JsonText;
import dev.ptq.report.PaperTable;
import dev.ptq.report.PivotTable;
import dev.ptq.report.ResultGroups;
import dev.ptq.report.ResultRow;
import dev.ptq.report.ResultTable;
import dev.ptq.report.RunFilter;
import dev.ptq.run.AtomicFile;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The command {@code ptq collect DIR...}. */
@Command(
        name = "collect",
        mixinStandardHelpOptions = true,
        description = "Makes one table of the runs in DIR and below: a row for each, with the settings that tell them"
                + " apart and all metrics. Also reads results that LQER's own code left, and points of sweeps that"
                + " failed.")
final class CollectCommand implements Callable<Integer> {
    /** The format of the table; lower case on the command line. */
    enum Format {
        csv,
        markdown,
        latex,
        json,
        jsonl;

        /** Returns whether cells are rounded and arranged for readers. */
        boolean isForPaper() {
            return this == markdown || this == latex;
        }
    }

    private static final String DESCENDING = ":desc";

    @Spec
    CommandSpec spec;

    @Parameters(arity = "1..*", paramLabel = "DIR", description = "where runs are")
    List<Path> folders = new ArrayList<>();

    @Option(names = "--out", paramLabel = "FILE", description = "write the table to a file, not to stdout")
    @Nullable
    Path out;

    @Option(
            names = "--format",
            paramLabel = "FORMAT",
            defaultValue = "csv",
            description =
                    "csv, json or jsonl, with every digit, or for papers markdown or latex, rounded and with results only"
                            + " (default: ${DEFAULT-VALUE})")
    Format format;

    @Option(
            names = "--columns",
            paramLabel = "NAME",
            split = ",",
            description = "only these columns, in this order; * stands for any text")
    List<String> columns = new ArrayList<>();

    @Option(names = "--all-keys", description = "also the settings that all runs share")
    boolean allKeys;

    @Option(
            names = "--group-by",
            paramLabel = "KEY",
            split = ",",
            description = "a row for the runs that agree in these keys: mean, standard deviation and number")
    List<String> groupBy = new ArrayList<>();

    @Option(names = "--long", description = "a row for each value: run, key, value")
    boolean longForm;

    @Option(names = "--bold-best", description = "the best of each column in bold, in markdown or latex")
    boolean boldBest;

    @Option(
            names = "--where",
            paramLabel = "CONDITION",
            description =
                    "only runs with KEY=VALUE, or != < <= > >= between them; may be repeated. KEY is a setting, its"
                            + " last part if that is enough, or a metric")
    List<String> where = new ArrayList<>();

    @Option(
            names = "--rows",
            paramLabel = "KEY",
            split = ",",
            description = "a table with a row for each value of these settings; method means the steps. With --value")
    List<String> rowKeys = new ArrayList<>();

    @Option(
            names = "--cols",
            paramLabel = "KEY",
            split = ",",
            description = "and in it columns for each value of these settings")
    List<String> columnKeys = new ArrayList<>();

    @Option(
            names = "--value",
            paramLabel = "METRIC",
            description = "what stands in the cells; may be repeated. Runs in one cell must differ in their seed alone")
    List<String> values = new ArrayList<>();

    @Option(names = "--baselines", description = "with --rows, first the baselines that the runs measured")
    boolean baselines;

    @Option(names = "--intervals", description = "with --rows, the ends of confidence intervals beside values")
    boolean intervals;

    @Option(
            names = "--sort",
            paramLabel = "COLUMN",
            description = "sort rows by a column; COLUMN:desc for descending order")
    @Nullable
    String sort;

    @Option(
            names = "--rename",
            paramLabel = "NAME=WORD",
            description = "rename a column or a text in a cell; may be repeated")
    Map<String, String> words = new LinkedHashMap<>();

    @Option(names = "--caption", paramLabel = "TEXT", description = "the caption of a table in latex")
    String caption = "";

    @Option(names = "--label", paramLabel = "LABEL", description = "the label of a table in latex")
    String label = "";

    @Override
    public Integer call() throws IOException {
        checkOptions();
        List<ResultRow> rows =
                FoundRuns.read(folders, spec.commandLine().getErr()).rows();
        List<RunFilter> filters =
                option("--where", () -> where.stream().map(RunFilter::parse).toList());
        List<ResultRow> left = option("--where", () -> RunFilter.all(rows, filters));
        write(rowKeys.isEmpty() ? text(table(left)) : text(pivot(left)));
        return 0;
    }

    private String text(ResultTable table) {
        return switch (format) {
            case csv -> CsvText.of(longForm ? table.longForm() : table);
            case json -> JsonText.list(table);
            case jsonl -> JsonText.lines(table);
            case markdown -> paper(table).markdown();
            case latex -> latex(paper(table));
        };
    }

    private String text(PivotTable pivot) {
        return switch (format) {
            case csv, json, jsonl -> text(pivot.table());
            case markdown -> PaperTable.of(pivot, boldBest).markdown();
            case latex -> latex(PaperTable.of(pivot, boldBest));
        };
    }

    private String latex(PaperTable table) {
        return caption.isEmpty() && label.isEmpty() ? table.latex() : table.latex(caption, label);
    }

    private PivotTable pivot(List<ResultRow> rows) {
        PivotTable pivot = option(
                "--rows",
                () -> PivotTable.of(rows, new PivotTable.Layout(rowKeys, columnKeys, values, baselines, intervals)));
        pivot.notes().forEach(spec.commandLine().getErr()::println);
        if (sort != null) {
            String by = sort;
            option("--sort", () -> {
                pivot.sort(sortColumn(by), isDescending(by));
                return pivot;
            });
        }
        pivot.rename(words);
        return pivot;
    }

    private static boolean isDescending(String sort) {
        return sort.endsWith(DESCENDING);
    }

    private static String sortColumn(String sort) {
        return isDescending(sort) ? sort.substring(0, sort.length() - DESCENDING.length()) : sort;
    }

    private void checkOptions() {
        List<String> problems = new ArrayList<>();
        folders.forEach(folder -> FoundRuns.problem(folder).ifPresent(problems::add));
        if (rowKeys.isEmpty() != values.isEmpty()) {
            problems.add("--rows and --value: expected both, got only " + (values.isEmpty() ? "--rows" : "--value"));
        }
        if (rowKeys.isEmpty()) {
            given(Map.of("--cols", !columnKeys.isEmpty(), "--baselines", baselines, "--intervals", intervals))
                    .forEach(name -> problems.add(name + ": it is for tables with --rows and --value"));
        } else {
            given(Map.of(
                            "--columns",
                            !columns.isEmpty(),
                            "--group-by",
                            !groupBy.isEmpty(),
                            "--long",
                            longForm,
                            "--all-keys",
                            allKeys))
                    .forEach(name -> problems.add(name + ": it is not for tables with --rows"));
        }
        if (!(caption.isEmpty() && label.isEmpty()) && format != Format.latex) {
            problems.add("--caption and --label: expected --format latex, got " + format);
        }
        if (longForm && format != Format.csv) {
            problems.add("--long: expected --format csv, got " + format);
        }
        if (boldBest && !format.isForPaper()) {
            problems.add("--bold-best: expected --format markdown or latex, got " + format);
        }
        Optional.ofNullable(out).flatMap(OutputFile::problem).ifPresent(problems::add);
        if (!problems.isEmpty()) {
            throw new ConfigException(problems);
        }
    }

    private static List<String> given(Map<String, Boolean> options) {
        return options.entrySet().stream()
                .filter(Map.Entry::getValue)
                .map(Map.Entry::getKey)
                .sorted()
                .toList();
    }

    private ResultTable table(List<ResultRow> rows) {
        ResultTable all = selected(rows);
        String by = sort;
        ResultTable sorted = by == null ? all : option("--sort", () -> all.sorted(sortColumn(by), isDescending(by)));
        return sorted.renamed(words);
    }

    private ResultTable selected(List<ResultRow> rows) {
        ResultTable table;
        if (groupBy.isEmpty()) {
            table = allKeys || !columns.isEmpty() ? ResultTable.complete(rows) : ResultTable.of(rows);
        } else {
            ResultGroups groups = option("--group-by", () -> ResultGroups.of(rows, groupBy));
            groups.notes().forEach(spec.commandLine().getErr()::println);
            table = groups.table();
        }
        if (!columns.isEmpty()) {
            // in the long form every row carries its identity
            List<String> ids = longForm ? table.ids() : List.of();
            return option(
                    "--columns",
                    () -> table.select(
                            Stream.concat(ids.stream(), columns.stream()).toList()));
        }
        return format.isForPaper() ? table.forPaper() : table;
    }

    private static <T> T option(String name, Supplier<T> value) {
        try {
            return value.get();
        } catch (ConfigException e) {
            throw new ConfigException(
                    e.problems().stream().map(problem -> name + ": " + problem).toList());
        }
    }

    private PaperTable paper(ResultTable table) {
        return boldBest ? PaperTable.withBestBold(table) : PaperTable.of(table);
    }

    private void write(String text) throws IOException {
        PrintWriter print = spec.commandLine().getOut();
        if (out == null) {
            print.print(text);
        } else {
            AtomicFile.replace(out, text);
            print.println("table: " + out);
        }
        print.flush();
    }
}
