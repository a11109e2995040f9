package dev.ptq.cli;

import dev.ptq.track.FinishedRun;
import dev.ptq.track.Tracking;
import dev.ptq.track.TrackingSettings;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The command {@code ptq track RESULTS... --to mlflow:URI}. */
@Command(
        name = "track",
        mixinStandardHelpOptions = true,
        description =
                "Sends the finished runs in RESULTS to a tracking server, each once, and those that it did not take"
                        + " earlier.")
final class TrackCommand implements Callable<Integer> {
    @Spec
    CommandSpec spec;

    @Parameters(paramLabel = "RESULTS", arity = "1..*", description = "folders with runs in them, or runs")
    List<Path> folders;

    @Option(
            names = "--to",
            paramLabel = "SERVER",
            description = "mlflow: and the address of the server (default: mlflow:$MLFLOW_TRACKING_URI)")
    @Nullable
    String to;

    @Mixin
    ResultsOption results;

    @Override
    public Integer call() throws IOException {
        TrackingSettings settings = TrackingSettings.of(Optional.ofNullable(to), System::getenv);
        List<Path> runs = FinishedRun.in(folders);
        Tracking.Outcome outcome = new Tracking(settings).send(results.folder, runs);
        PrintWriter err = spec.commandLine().getErr();
        outcome.problems().forEach(err::println);
        spec.commandLine().getOut().println(outcome.sent() + " runs sent, " + outcome.known() + " known already");
        spec.commandLine().getOut().flush();
        return outcome.problems().isEmpty() ? ExitCode.OK : ExitCode.SOFTWARE;
    }
}
