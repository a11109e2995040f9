package dev.ptq.cli;

import dev.ptq.config.ConfigException;
import dev.ptq.report.ReportPage;
import dev.ptq.report.Results;
import dev.ptq.run.AtomicFile;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The command {@code ptq report DIR}. */
@Command(
        name = "report",
        mixinStandardHelpOptions = true,
        description =
                "Makes one page of the runs in DIR and below, with tables and charts. The page is a file of its own,"
                        + " which loads nothing.")
final class ReportCommand implements Callable<Integer> {
    @Spec
    CommandSpec spec;

    @Parameters(paramLabel = "DIR", description = "where runs are")
    Path folder;

    @Option(names = "--out", paramLabel = "FILE", description = "the page (default: DIR/report.html)")
    @Nullable
    Path out;

    @Override
    public Integer call() throws IOException {
        Path page = out == null ? folder.resolve("report.html") : out;
        List<String> problems = FoundRuns.problem(folder).or(() -> OutputFile.problem(page)).stream()
                .toList();
        if (!problems.isEmpty()) {
            throw new ConfigException(problems);
        }
        Results results = FoundRuns.read(List.of(folder), spec.commandLine().getErr());
        String title = String.valueOf(folder.toRealPath().getFileName());
        AtomicFile.replace(page, ReportPage.html(results, title, "ptq " + Version.version()));
        PrintWriter print = spec.commandLine().getOut();
        print.println("report: " + page);
        print.flush();
        return 0;
    }
}
