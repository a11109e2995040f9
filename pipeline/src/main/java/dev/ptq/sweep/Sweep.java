package dev.ptq.sweep;

import dev.ptq.config.Assignment;
import dev.ptq.config.ConfigException;
import dev.ptq.experiment.ExperimentRun;
import dev.ptq.progress.Progress;
import dev.ptq.run.Manifest;
import dev.ptq.stage.Experiment;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
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
 * @param file the axes
 * @param config the base
 * @param overrides {@code key=value} for the base, before any point
 * @param results the folder for tags
 */
public record Sweep(Path file, Path config, List<String> overrides, Path results, String tag, List<Point> points) {
    private static final Logger log = LoggerFactory.getLogger(Sweep.class);

    public Sweep {
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
        return new Sweep(file, config, overrides, results, tag, SweepFile.read(file));
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
        ExperimentRun.requirePlace(results, tag);
        if (Files.exists(directory().resolve(Manifest.FILE))) {
            throw new ConfigException(directory() + ": is a run; a sweep needs a tag of its own");
        }
        List<String> all = points.stream().map(Point::name).toList();
        Map<String, List<String>> problems = new LinkedHashMap<>();
        overrides.forEach(override -> uselessness(override).ifPresent(problem -> problems.put(problem, all)));
        List<CheckedPoint> checked = new ArrayList<>();
        Set<Record> seen = new HashSet<>();
        for (Point point : points) {
            try {
                checked.add(check(point, seen));
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
        return Collections.unmodifiableList(checked);
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
                .map(path -> "--set " + override + ": has no effect, as every point of " + file
                        + " sets this key; change it there");
    }

    private CheckedPoint check(Point point, Set<Record> seen) throws IOException {
        Experiment experiment = Experiment.read(config, overrides, point.assignments());
        try (ExperimentRun run = ExperimentRun.prepare(experiment, results, tagOf(point), Progress.Reporter.none())) {
            CheckedPoint checked =
                    new CheckedPoint(point, run.fingerprint(), run.complete(), run.stages(), run.files());
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
        Map<String, String> names = new HashMap<>();
        for (CheckedPoint each : points) {
            String name = each.point().name();
            String earlier = names.putIfAbsent(each.fingerprint(), name);
            if (earlier != null) {
                log.warn("{} and {} are the same experiment; is there a key that decides nothing?", earlier, name);
            }
        }
    }
}
