package dev.ptq.cli;

import dev.ptq.artifact.PointState;
import dev.ptq.config.ConfigException;
import dev.ptq.sweep.CheckedPoint;
import dev.ptq.sweep.Point;
import dev.ptq.sweep.PointProcesses;
import dev.ptq.sweep.PointRecord;
import dev.ptq.sweep.Sweep;
import dev.ptq.sweep.SweepRun;
import dev.ptq.sweep.SweepTable;
import dev.ptq.tensor.Parallel;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
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
        description = "Runs the points that SWEEP makes of CONFIG, each into DIR/TAG/POINT, and prints a table of them."
                + " The same command again finishes what is missing and retries what failed.")
final class SweepCommand implements Callable<Integer> {
    @Spec
    CommandSpec spec;

    @Parameters(index = "0", paramLabel = "SWEEP", description = "the sweep file, TOML: axes, points")
    Path file;

    @Parameters(index = "1", paramLabel = "CONFIG", description = "the experiment file that points change, TOML")
    Path config;

    @Parameters(index = "2", paramLabel = "TAG", description = "name of the directory that points are below")
    String tag;

    @Mixin
    ExperimentOptions options;

    @Option(names = "--dry-run", description = "check and print the points, run none")
    boolean dryRun;

    @Option(
            names = "--jobs",
            paramLabel = "COUNT",
            defaultValue = "1",
            description = "points at once, which share the processors and need as many times the memory"
                    + " (default: ${DEFAULT-VALUE})")
    int jobs;

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
        if (jobs < 1) {
            throw new ConfigException("--jobs: expected a whole number of at least 1, got " + jobs);
        }
        InputFile.require(file);
        InputFile.require(config);
        Sweep sweep = Sweep.read(file, config, options.overrides, options.results.folder, tag);
        for (Point point : sweep.points()) { // here, so that no two points fetch the same files
            options.fetch(config, point.assignments());
        }
        List<CheckedPoint> points = sweep.check();
        return dryRun ? list(points) : run(sweep, points);
    }

    private int list(List<CheckedPoint> points) {
        long done =
                points.stream().filter(point -> point.complete().isPresent()).count();
        print(SweepTable.ofPlan(points), points.size() + " points, " + done + " done");
        return ExitCode.OK;
    }

    private int run(Sweep sweep, List<CheckedPoint> points) throws IOException {
        boolean failFast = afterFailure != null && afterFailure.failFast;
        List<PointRecord> records;
        try (PointProcesses runner = new PointProcesses(sweep, program(), environment(points))) {
            records = new SweepRun(sweep, points, runner).run(jobs, failFast);
        }
        print(SweepTable.ofResults(sweep, points, records), "results: " + sweep.directory());
        boolean allDone = records.stream().allMatch(record -> record.state() == PointState.DONE);
        return allDone ? ExitCode.OK : ExitCode.SOFTWARE;
    }

    private void print(String table, String last) {
        PrintWriter out = spec.commandLine().getOut();
        out.print(table);
        out.println(last);
        out.flush();
    }

    /** This program with the Java machine and the options it runs with, agents of its own left out. */
    private static List<String> program() {
        List<String> program = new ArrayList<>();
        program.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                .filter(option -> !option.startsWith("-agent") && !option.startsWith("-javaagent"))
                .forEach(program::add);
        program.addAll(List.of("-cp", System.getProperty("java.class.path"), Ptq.class.getName()));
        return program;
    }

    /** Points that run at once share the threads: more threads than processors only get in each other's way. */
    private Map<String, String> environment(List<CheckedPoint> points) {
        long toRun = points.stream().filter(point -> point.complete().isEmpty()).count();
        long atOnce = Math.max(1, Math.min(jobs, toRun));
        return atOnce == 1 ? Map.of() : Map.of("PTQ_THREADS", String.valueOf(Math.max(1, Parallel.THREADS / atOnce)));
    }
}
