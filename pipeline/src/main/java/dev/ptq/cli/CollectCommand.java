package dev.ptq.cli;

import dev.ptq.config.ConfigException;
import dev.ptq.report.CsvText;
import dev.ptq.report.PaperTable;
import dev.ptq.report.ResultGroups;
import dev.ptq.report.ResultRow;
import dev.ptq.report.ResultTable;
import dev.ptq.report.Results;
import dev.ptq.run.AtomicFile;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
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
        latex
    }

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
            description = "csv, with every digit, or for papers markdown or latex, rounded and with results only"
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

    @Override
    public Integer call() throws IOException {
        checkOptions();
        Results results = FoundRuns.read(folders, spec.commandLine().getErr());
        ResultTable table = table(results.rows());
        write(
                switch (format) {
                    case csv -> CsvText.of(longForm ? table.longForm() : table);
                    case markdown -> paper(table).markdown();
                    case latex -> paper(table).latex();
                });
        return 0;
    }

    private void checkOptions() {
        List<String> problems = new ArrayList<>();
        folders.forEach(folder -> FoundRuns.problem(folder).ifPresent(problems::add));
        if (longForm && format != Format.csv) {
            problems.add("--long: expected --format csv, got " + format);
        }
        if (boldBest && format == Format.csv) {
            problems.add("--bold-best: expected --format markdown or latex, got csv");
        }
        Optional.ofNullable(out).flatMap(OutputFile::problem).ifPresent(problems::add);
        if (!problems.isEmpty()) {
            throw new ConfigException(problems);
        }
    }

    private ResultTable table(List<ResultRow> rows) {
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
        return format == Format.csv ? table : table.forPaper();
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
