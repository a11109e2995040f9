package dev.ptq.report;

import dev.ptq.artifact.Metric;
import dev.ptq.artifact.MetricName;
import dev.ptq.artifact.PointState;
import dev.ptq.config.FlatConfig;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.Set;

/**
 * A run and its results.
 *
 * @param run its path below the folder that was searched, with slashes
 * @param folder where it was found; for a point that left none, that of the sweep
 * @param axes the alternative that a point of a sweep has of each axis of alternatives, by the axis' name
 * @param config as resolved; for a point that left none, the changes of the sweep; else {@link FlatConfig#none}
 * @param sources digests of data and tokenizer, as in the manifest
 * @param metrics names to numbers, words and booleans; a number has the digits of its file
 * @param aliases of metrics whose names say under which conditions they were measured, see {@link Comparability}: those
 *     in the files of the run; or the other way round
 * @param seconds of all its stages, reused ones included
 * @param state {@link #DONE}, {@link #DAMAGED}, or the point's state in the sweep
 * @param error why results are missing, wholly or in part; empty if complete
 */
public record ResultRow(
        String run,
        Path folder,
        Map<String, String> axes,
        FlatConfig config,
        Map<String, Object> sources,
        Map<String, Object> metrics,
        Map<String, String> aliases,
        OptionalDouble seconds,
        OptionalLong peakMemoryBytes,
        String state,
        String error) {
    /** The state of a run with results. */
    public static final String DONE = PointState.DONE.toString();

    /** The state of a run with unreadable files. */
    public static final String DAMAGED = "damaged";

    /** The costs among the metrics. */
    private static final List<Metric> COSTS =
            List.of(Metric.BOPS_PER_TOKEN, Metric.BYTES_PER_TOKEN, Metric.CHECKPOINT_BYTES, Metric.BITS_PER_WEIGHT);

    static final String SECONDS = "seconds";
    static final String PEAK_MEMORY_BYTES = "peak_memory_bytes";

    public ResultRow {
        axes = Collections.unmodifiableMap(new LinkedHashMap<>(axes));
        sources = Collections.unmodifiableMap(new LinkedHashMap<>(sources));
        metrics = Collections.unmodifiableMap(new LinkedHashMap<>(metrics));
        aliases = Map.copyOf(aliases);
        error = error.replaceAll("\\p{Cntrl}+", " ").strip();
    }

    /** A run without config, time or memory. */
    static ResultRow of(String run, Path folder, Map<String, Object> metrics, String state, String error) {
        return new ResultRow(
                run,
                folder,
                Map.of(),
                FlatConfig.none(),
                Map.of(),
                metrics,
                Map.of(),
                OptionalDouble.empty(),
                OptionalLong.empty(),
                state,
                error);
    }

    /** A point of a sweep without results. */
    static ResultRow ofFailure(String run, Path folder, FlatConfig settings, String state, String error) {
        return new ResultRow(
                run,
                folder,
                Map.of(),
                settings,
                Map.of(),
                Map.of(),
                Map.of(),
                OptionalDouble.empty(),
                OptionalLong.empty(),
                state,
                error);
    }

    /** The same run as a point of a sweep with these alternatives. */
    ResultRow with(Map<String, String> alternatives) {
        return new ResultRow(
                run, folder, alternatives, config, sources, metrics, aliases, seconds, peakMemoryBytes, state, error);
    }

    /** The same run with other names for some metrics. */
    ResultRow renamed(Map<String, String> names) {
        Map<String, Object> renamed = new LinkedHashMap<>();
        metrics.forEach((name, value) -> renamed.put(names.getOrDefault(name, name), value));
        Map<String, String> before = new LinkedHashMap<>();
        names.forEach((name, other) -> before.put(other, name));
        return new ResultRow(
                run, folder, axes, config, sources, renamed, before, seconds, peakMemoryBytes, state, error);
    }

    /** The same run with some texts and tasks named as in its files. */
    ResultRow restored(Set<MetricName.Subject> subjects) {
        Map<String, String> names = new LinkedHashMap<>(aliases);
        names.values()
                .removeIf(name -> MetricName.parse(name)
                        .subject()
                        .filter(subjects::contains)
                        .isEmpty());
        return renamed(names);
    }

    /** A metric if it is a finite number. */
    OptionalDouble finite(MetricName metric) {
        return metrics.get(metric.key()) instanceof Number value && Double.isFinite(value.doubleValue())
                ? OptionalDouble.of(value.doubleValue())
                : OptionalDouble.empty();
    }

    /** The texts with a perplexity. */
    List<String> texts() {
        return MetricName.texts(metrics.keySet().stream().map(MetricName::parse).toList());
    }

    /** The metrics, then the costs: bit operations, bytes, bits per weight, seconds, memory. */
    public Map<String, Object> measures() {
        Map<String, Object> measures = new LinkedHashMap<>(metrics);
        for (Metric metric : COSTS) {
            Object cost = measures.remove(metric.label());
            if (cost != null) {
                measures.put(metric.label(), cost);
            }
        }
        seconds.ifPresent(value -> measures.put(SECONDS, value));
        peakMemoryBytes.ifPresent(value -> measures.put(PEAK_MEMORY_BYTES, value));
        return measures;
    }
}
