package dev.ptq.cli;

import dev.ptq.artifact.RunFiles;
import dev.ptq.config.ConfigException;
import dev.ptq.experiment.Downloads;
import dev.ptq.experiment.Verification;
import dev.ptq.progress.Progress;
import dev.ptq.run.TemporaryResults;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The command {@code ptq verify RUN}. */
@Command(
        name = "verify",
        mixinStandardHelpOptions = true,
        description = "Re-runs a finished run from scratch, from its " + RunFiles.RESOLVED
                + ", and compares every metric; exit code 1 if one differs.")
final class VerifyCommand implements Callable<Integer> {
    private static final int LONGEST = 100;

    @Spec
    CommandSpec spec;

    @Parameters(paramLabel = "RUN", description = "the run's directory, or its tag")
    Path run;

    @Option(
            names = "--tolerance",
            paramLabel = "NUMBER",
            defaultValue = "1e-6",
            description = "relative; below 1 absolute (default: ${DEFAULT-VALUE})")
    double tolerance;

    @Mixin
    ResultsOption results;

    @Option(names = "--keep", description = "keep the temporary results folder, and say where it is")
    boolean keep;

    @Mixin
    OnlineOption online;

    @Override
    public Integer call() throws IOException {
        if (!(tolerance >= 0 && tolerance <= Double.MAX_VALUE)) {
            throw new ConfigException("--tolerance: expected a number of at least 0, got " + tolerance);
        }
        PrintWriter out = spec.commandLine().getOut();
        try (Verification verification = Verification.of(
                        RunDirectory.of(run, results.folder),
                        Progress.Reporter.forTerminal(),
                        online.hub().map(Downloads::new));
                TemporaryResults temporary = TemporaryResults.create(keep)) {
            List<String> sources = verification.changedSources();
            sources.forEach(change -> out.println(shown(change)));
            if (!sources.isEmpty()) {
                out.println("the run was made from other files: its numbers cannot agree");
            }
            verification
                    .changedProgram(Version.version(), Version.commit())
                    .forEach(change -> out.println("note: " + shown(change)));
            out.flush();
            Verification.Outcome outcome =
                    verification.run(temporary.folder(), Version.version(), Version.commit(), tolerance);
            print(out, outcome);
            if (keep) {
                out.println("made again: " + temporary.folder());
            }
            out.flush();
            return outcome.differences().isEmpty() ? ExitCode.OK : ExitCode.SOFTWARE;
        }
    }

    private void print(PrintWriter out, Verification.Outcome outcome) {
        List<Verification.Difference> differences = outcome.differences();
        if (differences.isEmpty()) {
            out.printf(
                    Locale.ROOT,
                    "all %d metrics agree to %.0e; the largest difference is %.1e%n",
                    outcome.metrics(),
                    tolerance,
                    outcome.largest());
            return;
        }
        int width = differences.stream()
                .mapToInt(difference -> shown(difference.metric()).length())
                .reduce("metric".length(), Math::max);
        String format = "%-" + width + "s  %22s  %22s  %10s%n";
        out.printf(Locale.ROOT, format, "metric", "then", "now", "difference");
        for (Verification.Difference difference : differences) {
            out.printf(
                    Locale.ROOT,
                    format,
                    shown(difference.metric()),
                    shown(String.valueOf(difference.then())),
                    difference.now().map(now -> shown(String.valueOf(now))).orElse("-"),
                    difference
                            .relative()
                            .map(relative -> String.format(Locale.ROOT, "%.1e", relative))
                            .orElse("-"));
        }
        out.printf(
                Locale.ROOT,
                "%d of %d metrics do not agree to %.0e%n",
                differences.size(),
                outcome.metrics(),
                tolerance);
    }

    /** Blanks control characters, which a terminal obeys: a run's files may hold anything. */
    private static String shown(String text) {
        String line = text.replaceAll("\\p{Cc}", " ");
        return line.length() <= LONGEST ? line : line.substring(0, LONGEST) + "…";
    }
}
