package dev.ptq.sweep;

import dev.ptq.config.Assignment;
import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigFiles;
import dev.ptq.config.TomlWriter;
import dev.ptq.experiment.ExperimentRun;
import dev.ptq.progress.Progress;
import dev.ptq.run.Manifest;
import dev.ptq.run.Runs;
import dev.ptq.stage.Experiment;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A sweep over a base config. Each of its points is a run below the directory of its tag.
 *
 * @param file the axes; absent if the command line has them all
 * @param axes of the command line, a list of values each
 * @param config the base
 * @param overrides {@code key=value} for the base, before any point
 * @param results the folder for tags
 */
public record Sweep(
        Optional<Path> file,
        List<Assignment> axes,
        Path config,
        List<String> overrides,
        Path results,
        String tag,
        List<Point> points) {
    private static final Logger log = LoggerFactory.getLogger(Sweep.class);

    public Sweep {
        axes = List.copyOf(axes);
        overrides = List.copyOf(overrides);
        points = List.copyOf(points);
    }

    /**
     * Expands a sweep file.
     *
     * @throws ConfigException with all problems of the file, if there are any
     */
    public static Sweep read(Path file, Path config, List<String> overrides, Path results, String tag)
            throws IOException {
        return read(Optional.of(file), List.of(), config, overrides, results, tag);
    }

    /**
     * Expands a sweep file with axes of the command line, or these alone.
     *
     * @param axes {@code key=value,value}, see {@link AxisArgument}
     * @throws ConfigException with all problems, if there are any
     */
    public static Sweep read(
            Optional<Path> file, List<String> axes, Path config, List<String> overrides, Path results, String tag)
            throws IOException {
        List<Assignment> parsed = AxisArgument.parse(axes, config, overrides);
        return new Sweep(file, parsed, config, overrides, results, tag, SweepFile.read(file, parsed));
    }

    /** The sweep file as it was given, or one with the axes of the command line. */
    String text() throws IOException {
        if (file.isPresent()) {
            return Files.readString(file.get());
        }
        Map<String, Object> lists = new LinkedHashMap<>();
        axes.forEach(axis -> lists.put(axis.key(), axis.value()));
        return TomlWriter.write(Map.of("axes", lists));
    }

    /** The directory of the points. */
    public Path directory() {
        return results.resolve(tag);
    }

    /** What another process has to do for a point. */
    public PlannedRun planned(CheckedPoint point) {
        return new PlannedRun(
                tagOf(point.point()),
                Stream.concat(overrides.stream(), point.point().overrides().stream())
                        .toList(),
                point.fingerprint(),
                point.stages());
    }

    /** The tag of a point's run. */
    String tagOf(Point point) {
        return tag + "/" + point.name();
    }

    /**
     * Plans every point and finds out which are done. Nothing is written or computed.
     *
     * @throws ConfigException with all problems of all points; a problem of only some points names them
     */
    public List<CheckedPoint> check() throws IOException {
        return check(false);
    }

    /**
     * The same.
     *
     * @param overwrite whether points may be other experiments than the runs of their names: then none counts as done, as
     *     {@link #setAside} has to come before they run
     * @throws ConfigException with all problems of all points; a problem of only some points names them
     */
    public List<CheckedPoint> check(boolean overwrite) throws IOException {
        ExperimentRun.requirePlace(results, tag);
        if (Files.exists(directory().resolve(Manifest.FILE))) {
            throw new ConfigException(directory() + ": is a run; a sweep needs a tag of its own");
        }
        List<String> all = points.stream().map(Point::name).toList();
        Map<String, List<String>> problems = new LinkedHashMap<>();
        overrides.forEach(override -> uselessness(override).ifPresent(problem -> problems.put(problem, all)));
        List<CheckedPoint> checked = new ArrayList<>();
        ConfigFiles files = ConfigFiles.read(config);
        Set<Record> seen = new HashSet<>();
        for (Point point : points) {
            try {
                checked.add(check(files, point, overwrite, seen));
            } catch (ConfigException e) {
                for (String problem : e.problems()) {
                    problems.computeIfAbsent(problem, first -> new ArrayList<>())
                            .add(point.name());
                }
            }
        }
        if (!problems.isEmpty()) {
            List<String> lines = new ArrayList<>();
            problems.forEach((problem, names) -> lines.add(problem + (names.equals(all) ? "" : where(names))));
            throw new ConfigException(lines);
        }
        warnOfEquals(checked);
        boolean replaces = checked.stream().anyMatch(CheckedPoint::replaces);
        return checked.stream().map(point -> replaces ? point.notDone() : point).toList();
    }

    /** Moves what is under the tag, points of another config, to the tag with a number; returns where it is now. */
    public Path setAside() throws IOException {
        return new Runs(results).setAside(tag);
    }

    /** Reports an override that every point replaces: it would silently do nothing. */
    private Optional<String> uselessness(String override) {
        return Assignment.pathOf(override)
                .filter(path -> points.stream()
                        .allMatch(point -> point.assignments().stream()
                                .anyMatch(each -> path.size() >= each.path().size()
                                        && each.path()
                                                .equals(path.subList(
                                                        0, each.path().size())))))
                .map(path -> "--set " + override + ": has no effect, as every point of "
                        + file.map(Path::toString).orElse("the sweep") + " sets this key; change it there");
    }

    private CheckedPoint check(ConfigFiles files, Point point, boolean overwrite, Set<Record> seen) throws IOException {
        Experiment experiment = Experiment.read(files, overrides, point.assignments());
        try (ExperimentRun run =
                ExperimentRun.prepare(experiment, results, tagOf(point), overwrite, Progress.Reporter.none())) {
            CheckedPoint checked = new CheckedPoint(
                    point.located(experiment.located()),
                    run.fingerprint(),
                    run.complete(),
                    run.replaces(),
                    run.stages(),
                    run.files());
            if (checked.complete().isEmpty() && seen.add(run.inputs())) {
                run.check(Optional.empty());
            }
            return checked;
        }
    }

    private static String where(List<String> names) {
        return " (point " + names.get(0) + (names.size() == 1 ? "" : " and " + (names.size() - 1) + " more") + ")";
    }

    private static void warnOfEquals(List<CheckedPoint> points) {
        Map<String, Point> firsts = new HashMap<>();
        for (CheckedPoint each : points) {
            Point first = firsts.putIfAbsent(each.fingerprint(), each.point());
            if (first != null) {
                log.warn(
                        "{} and {} are the same experiment, computed once: {}",
                        first.name(),
                        each.point().name(),
                        first.difference(each.point()));
            }
        }
    }
}
