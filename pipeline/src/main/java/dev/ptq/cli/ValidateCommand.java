package dev.ptq.cli;

import dev.ptq.config.TomlWriter;
import dev.ptq.experiment.ExperimentPlan;
import dev.ptq.progress.Progress;
import dev.ptq.run.Plan;
import dev.ptq.run.Runs;
import dev.ptq.run.StageRecord;
import dev.ptq.stage.Experiment;
import dev.ptq.stage.MemoryEstimate;
import dev.ptq.stage.Workspace;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The command {@code ptq validate CONFIG}. */
@Command(
        name = "validate",
        mixinStandardHelpOptions = true,
        preprocessor = ExperimentOptions.BareOverrides.class,
        description = "Checks CONFIG without running it; prints it with all defaults, its stages, and what they need.")
final class ValidateCommand implements Callable<Integer> {
    @Spec
    CommandSpec spec;

    @Parameters(index = "0", paramLabel = "CONFIG", description = ExperimentOptions.CONFIG)
    Path config;

    @Mixin
    ExperimentOptions options;

    @Override
    public Integer call() throws IOException {
        Experiment experiment = options.read(options.files(config));
        PrintWriter out = spec.commandLine().getOut();
        try (Workspace workspace = new Workspace(experiment, Progress.Reporter.none())) {
            Plan plan = ExperimentPlan.of(workspace);
            workspace.check();
            Map<String, StageRecord> cached = new Runs(options.results.folder).cached(plan);
            out.print(TomlWriter.write(experiment.resolved()));
            out.println();
            experiment.modelNotes().forEach(note -> out.println("# warning: " + note));
            experiment.located().warnings().forEach(warning -> out.println("# warning: " + warning));
            experiment.checkpointNote().ifPresent(note -> out.println("# " + note));
            ExperimentPlan.unused(experiment).forEach(line -> out.println("# " + line));
            plan.fingerprints().forEach((stage, fingerprint) -> {
                StageRecord made = cached.get(stage);
                String state = made == null ? "to run" : "made " + made.started();
                out.printf(Locale.ROOT, "# %-44s %.16s  %s%n", stage, fingerprint, state);
            });
            out.printf(
                    Locale.ROOT,
                    "# memory: about %.1f GiB, model %s%n",
                    new MemoryEstimate(workspace).bytes() / 0x1p30,
                    workspace.resident() ? "resident" : "streamed");
        }
        out.flush();
        return 0;
    }
}
