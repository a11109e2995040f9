package dev.ptq.cli;

import dev.ptq.allocate.Allocation;
import dev.ptq.allocate.Budget;
import dev.ptq.allocate.Choice;
import dev.ptq.artifact.Metric;
import dev.ptq.config.ConfigException;
import dev.ptq.progress.Progress;
import dev.ptq.run.AtomicFile;
import dev.ptq.stage.WeightScores.Score;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The command {@code ptq allocate RUN --budget ... --choice ... --out FILE}. */
@Command(
        name = "allocate",
        mixinStandardHelpOptions = true,
        description =
                "Gives each linear of a run's model one of several formats and ranks, so that the model keeps a budget"
                        + " at the least damage, and writes that as a config.")
final class AllocateCommand implements Callable<Integer> {
    @Spec
    CommandSpec spec;

    @Parameters(
            index = "0",
            paramLabel = "RUN",
            description =
                    "directory of a run, or of scores, or its tag: its config has all other settings, and calibration samples")
    Path run;

    @Option(
            names = "--budget",
            required = true,
            paramLabel = "COST=NUMBER",
            description = "the most that the model may cost: bits_per_weight, bops_per_token or bytes_per_token; may be"
                    + " repeated for several")
    List<String> budgets = new ArrayList<>();

    @Option(
            names = "--choice",
            required = true,
            paramLabel = "TABLE",
            description =
                    "what a linear may be given, such as '{ weight = { format = \"int\", bits = 3 }, rank = 16 }';"
                            + " repeated for each")
    List<String> choices = new ArrayList<>();

    @Option(
            names = "--score",
            paramLabel = "NAME",
            defaultValue = "fisher",
            description = "what is made least: weight_error, output_error, gradient or fisher, the default")
    String score = "fisher";

    @Option(names = "--out", required = true, paramLabel = "FILE", description = "the config to write, TOML")
    Path out;

    @Mixin
    ResultsOption results;

    @Override
    public Integer call() throws IOException {
        OutputFile.require(out);
        List<Choice> parsed = new ArrayList<>();
        for (String choice : choices) {
            parsed.add(Choice.parse(choice, parsed.size() + 1));
        }
        Allocation allocation = Allocation.of(
                RunDirectory.of(run, results.folder),
                parsed,
                budgets.stream().map(Budget::parse).toList(),
                score(score));
        Allocation.Result result = allocation.solve(results.folder, Progress.Reporter.forTerminal());
        AtomicFile.replace(out.toAbsolutePath(), result.config());
        print(result, parsed, spec.commandLine().getOut());
        return 0;
    }

    private static Score score(String name) {
        return Arrays.stream(Score.values())
                .filter(score -> score.label().equals(name))
                .findFirst()
                .orElseThrow(() -> new ConfigException("--score " + name + ": expected one of "
                        + Arrays.stream(Score.values()).map(Score::label).toList()));
    }

    private void print(Allocation.Result result, List<Choice> parsed, PrintWriter text) {
        for (int i = 0; i < parsed.size(); i++) {
            text.printf(
                    Locale.ROOT,
                    "%4d linears: %s%n",
                    result.linears().get(i),
                    parsed.get(i).text());
        }
        result.predicted()
                .forEach(
                        (Metric metric, Double value) -> text.printf(Locale.ROOT, "%s: %.6g%n", metric.title(), value));
        String remark = result.exact()
                ? "the least there is"
                : String.format(Locale.ROOT, "none is below %.6g", result.bound());
        text.printf(Locale.ROOT, "%s: %.6g, %s%n", score, result.score(), remark);
        text.println("config: " + out);
        text.flush();
    }
}
