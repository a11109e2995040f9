package dev.ptq.cli;

import dev.ptq.artifact.RunFiles;
import dev.ptq.config.ConfigFiles;
import dev.ptq.experiment.SensitivityRun;
import dev.ptq.progress.Progress;
import dev.ptq.run.Run;
import dev.ptq.stage.Experiment;
import dev.ptq.stage.WeightScores;
import dev.ptq.stage.WeightScores.Score;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The command {@code ptq sensitivity CONFIG TAG}. */
@Command(
        name = "sensitivity",
        mixinStandardHelpOptions = true,
        preprocessor = ExperimentOptions.BareOverrides.class,
        description = "Scores how sensitive the model is to the errors that CONFIG leaves in each weight, on its"
                + " calibration samples, into DIR/TAG.")
final class SensitivityCommand implements Callable<Integer> {
    /** Linears that are printed. */
    private static final int SHOWN = 10;

    @Spec
    CommandSpec spec;

    @Parameters(index = "0", paramLabel = "CONFIG", description = ExperimentOptions.CONFIG)
    Path config;

    @Mixin
    ExperimentOptions options;

    @Parameters(index = "1", paramLabel = "TAG", description = "name of the run's directory")
    String tag;

    @Option(
            names = "--truth",
            description =
                    "also round each weight alone, and compare the scores with the loss that this adds; takes a pass"
                            + " through half the model for each weight")
    boolean truth;

    @Override
    public Integer call() throws IOException {
        ConfigFiles files = options.files(config); // read once: they may be edited while it runs
        Experiment experiment = options.read(files);
        try (SensitivityRun prepared = SensitivityRun.prepare(
                        experiment,
                        config.toString(),
                        options.results.folder,
                        tag,
                        truth,
                        Progress.Reporter.forTerminal());
                LogFile logFile = LogFile.open()) {
            Run run = prepared.run(Version.version(), Version.commit(), (directory, manifest) -> {
                RunCommand.keep(files, directory);
                logFile.copyTo(directory.resolve(RunFiles.LOG));
            });
            print(run.directory(), spec.commandLine().getOut());
        }
        return 0;
    }

    private static void print(Path run, PrintWriter out) throws IOException {
        List<WeightScores> all = WeightScores.read(run.resolve(RunFiles.SENSITIVITY));
        out.printf(Locale.ROOT, "%-12s %-12s %-12s %-12s linear%n", names());
        all.stream()
                .sorted(Comparator.comparingDouble(WeightScores::fisher).reversed())
                .limit(SHOWN)
                .forEach(row -> out.printf(
                        Locale.ROOT,
                        "%-12.4g %-12.4g %-12.4g %-12.4g %s%n",
                        row.weightError(),
                        row.outputError(),
                        row.gradient(),
                        row.fisher(),
                        row.module()));
        if (all.size() > SHOWN) {
            out.println("and " + (all.size() - SHOWN) + " more, less by " + Score.FISHER.label());
        }
        Map<Score, Double> correlations = SensitivityRun.correlations(run);
        if (!correlations.isEmpty()) {
            out.println();
            out.println("rank correlation (Spearman) with the loss that each weight adds when it is rounded alone:");
            correlations.forEach((score, value) -> out.printf(Locale.ROOT, "  %-12s %.3f%n", score.label(), value));
        }
        out.println("results: " + run);
        out.flush();
    }

    private static Object[] names() {
        return List.of(Score.values()).stream().map(Score::label).toArray();
    }
}
