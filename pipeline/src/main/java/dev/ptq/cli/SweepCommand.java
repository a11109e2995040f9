package dev.ptq.cli;

import dev.ptq.artifact.PointState;
import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigFiles;
import dev.ptq.sweep.CheckedPoint;
import dev.ptq.sweep.Launch;
import dev.ptq.sweep.LocalLauncher;
import dev.ptq.sweep.PlannedRun;
import dev.ptq.sweep.Point;
import dev.ptq.sweep.PointProcesses;
import dev.ptq.sweep.PointRecord;
import dev.ptq.sweep.SlurmLauncher;
import dev.ptq.sweep.Sweep;
import dev.ptq.sweep.SweepRun;
import dev.ptq.sweep.SweepTable;
import dev.ptq.tensor.Parallel;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The command {@code ptq sweep SWEEP CONFIG TAG}. */
@Command(
        name = "sweep",
        mixinStandardHelpOptions = true,
        preprocessor = ExperimentOptions.BareOverrides.class,
        description = "Runs the points that SWEEP makes of CONFIG, each into DIR/TAG/POINT, and prints a table of them."
                + " The same command again finishes what is missing and retries what failed.")
final class SweepCommand implements Callable<Integer> {
    @Spec
    CommandSpec spec;

    @Parameters(
            arity = "2..3",
            paramLabel = "[SWEEP] CONFIG TAG",
            hideParamSyntax = true,
            description = "the sweep file, TOML: axes, points, which --axis can do without; the experiment file that"
                    + " points change, TOML; the name of the directory that points are below")
    List<String> places = new ArrayList<>();

    @Option(
            names = "--axis",
            paramLabel = "KEY=VALUE,VALUE",
            description = "values of a key, each of them with all those of other axes; may be repeated. The last parts"
                    + " of a key do if only one key ends so")
    List<String> axes = new ArrayList<>();

    @Option(
            names = "--overwrite",
            description = "if there are points of another config under the tag, move all of it to TAG.1, or the next"
                    + " number")
    boolean overwrite;

    @Mixin
    ExperimentOptions options;

    @Option(names = "--dry-run", description = "check and print the points, run none")
    boolean dryRun;

    @Option(
            names = "--jobs",
            paramLabel = "COUNT",
            description =
                    "points at once: here they share the processors and need as many times the memory (default: 1);"
                            + " in a queue they do not (default: what the launcher's settings say)")
    @Nullable
    Integer jobs;

    @Mixin
    LauncherOptions launcher;

    @Mixin
    TrackOption tracking;

    @ArgGroup
    @Nullable
    AfterFailure afterFailure;

    /** The effect of a failed point on those not yet started. */
    static final class AfterFailure {
        @Option(names = "--fail-fast", description = "start no more points when one has failed")
        boolean failFast;

        @Option(names = "--keep-going", description = "run all the others when a point has failed (default)")
        boolean keepGoing;
    }

    @Override
    public Integer call() throws IOException {
        if (jobs != null && jobs < 1) {
            throw new ConfigException("--jobs: expected a whole number of at least 1, got " + jobs);
        }
        launcher.require();
        tracking.require();
        Sweep sweep = sweep();
        ConfigFiles files = options.files(sweep.config());
        for (Point point : sweep.points()) { // here, so that no two points fetch the same files
            options.fetch(files, point.assignments());
        }
        List<CheckedPoint> points = sweep.check(overwrite);
        if (!dryRun && points.stream().anyMatch(CheckedPoint::replaces)) {
            sweep.setAside();
        }
        List<CheckedPoint> missing =
                points.stream().filter(point -> point.complete().isEmpty()).toList();
        boolean launched = launcher.where != LauncherOptions.Where.local && !missing.isEmpty();
        if (launched && (launcher.where == LauncherOptions.Where.files || dryRun)) {
            return list(sweep, points, missing);
        }
        return dryRun ? list(points) : run(sweep, points, missing);
    }

    private Sweep sweep() throws IOException {
        if (places.size() < 3 && axes.isEmpty()) {
            throw new ConfigException("expected SWEEP CONFIG TAG, or CONFIG TAG with --axis KEY=VALUE,VALUE, got "
                    + String.join(" ", places));
        }
        Optional<Path> file = places.size() < 3 ? Optional.empty() : Optional.of(Path.of(places.get(0)));
        file.ifPresent(InputFile::require);
        Path config = Path.of(places.get(places.size() - 2));
        InputFile.require(config);
        return Sweep.read(file, axes, config, options.overrides, options.results.folder, places.get(places.size() - 1));
    }

    private int list(List<CheckedPoint> points) {
        long done =
                points.stream().filter(point -> point.complete().isPresent()).count();
        print(SweepTable.ofPlan(points), points.size() + " points, " + done + " done");
        return ExitCode.OK;
    }

    /** Prints the plan and how it would be handed to other processes. */
    private int list(Sweep sweep, List<CheckedPoint> points, List<CheckedPoint> missing) throws IOException {
        Launch launch = launch(sweep);
        List<PlannedRun> runs = missing.stream().map(sweep::planned).toList();
        List<String> lines = launcher.where == LauncherOptions.Where.slurm
                ? slurm(launch, missing).dryRun(runs)
                : launch.files(runs, dryRun);
        int code = list(points);
        lines.forEach(spec.commandLine().getOut()::println);
        spec.commandLine().getOut().flush();
        return code;
    }

    private Launch launch(Sweep sweep) throws IOException {
        List<String> changes = new ArrayList<>(options.overrides);
        sweep.points().forEach(point -> point.assignments().forEach(change -> changes.add(change.toString())));
        return launcher.launch(sweep.results(), sweep.tag(), true, options.files(sweep.config()), changes);
    }

    private SlurmLauncher slurm(Launch launch, List<CheckedPoint> points) throws IOException {
        return launcher.slurm(
                launch,
                jobs == null ? OptionalInt.empty() : OptionalInt.of(jobs),
                points.stream().map(CheckedPoint::files).toList());
    }

    private int run(Sweep sweep, List<CheckedPoint> points, List<CheckedPoint> missing) throws IOException {
        List<PointRecord> records;
        boolean failFast = afterFailure != null && afterFailure.failFast;
        if (launcher.where == LauncherOptions.Where.slurm && !missing.isEmpty()) {
            SlurmLauncher slurm = slurm(launch(sweep), missing);
            launcher.unpackNatives();
            records = new SweepRun(sweep, points, slurm.ofPoints(sweep, launcher.detach)).run(failFast);
            if (launcher.detach) {
                return ExitCode.OK;
            }
        } else {
            int atOnce = jobs == null ? 1 : jobs;
            try (PointProcesses runner =
                    new PointProcesses(sweep, ThisProgram.program().command(), environment(atOnce, missing.size()))) {
                records = new SweepRun(sweep, points, new LocalLauncher(runner, atOnce)).run(failFast);
            }
        }
        print(SweepTable.ofResults(sweep, points, records), "results: " + sweep.directory());
        tracking.send(
                options.results.folder,
                records.stream()
                        .filter(record -> record.state() == PointState.DONE)
                        .map(record -> sweep.directory().resolve(record.name()))
                        .toList());
        boolean allDone = records.stream().allMatch(record -> record.state() == PointState.DONE);
        return allDone ? ExitCode.OK : ExitCode.SOFTWARE;
    }

    private void print(String table, String last) {
        PrintWriter out = spec.commandLine().getOut();
        out.print(table);
        out.println(last);
        out.flush();
    }

    /** Points that run at once share the threads: more threads than processors only get in each other's way. */
    private static Map<String, String> environment(int jobs, int toRun) {
        int atOnce = Math.max(1, Math.min(jobs, toRun));
        return atOnce == 1 ? Map.of() : Map.of("PTQ_THREADS", String.valueOf(Math.max(1, Parallel.THREADS / atOnce)));
    }
}
