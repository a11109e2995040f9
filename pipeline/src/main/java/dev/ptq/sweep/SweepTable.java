package dev.ptq.sweep;

import dev.ptq.artifact.Metric;
import dev.ptq.artifact.MetricName;
import dev.ptq.artifact.PointState;
import dev.ptq.artifact.RunFiles;
import dev.ptq.report.TextTable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The points of a sweep as a table for a terminal. */
public final class SweepTable {
    private SweepTable() {}

    /** The plan: a row for each point with its changes to the base config. */
    public static String ofPlan(List<CheckedPoint> points) {
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {"point", "state", "changes"});
        for (CheckedPoint each : points) {
            String state = each.complete().isPresent() ? "done" : "to run";
            rows.add(new String[] {
                each.point().name(), state, String.join(" ", each.point().overrides())
            });
        }
        return TextTable.render(rows, Set.of(0, 1, 2));
    }

    /**
     * The results: a row for each point with its perplexities.
     *
     * @param before the points when the sweep was checked
     * @param after their outcomes, in the same order
     */
    public static String ofResults(Sweep sweep, List<CheckedPoint> before, List<PointRecord> after) throws IOException {
        Set<String> texts = new LinkedHashSet<>();
        List<Map<String, Double>> perplexities = new ArrayList<>();
        for (int i = 0; i < after.size(); i++) {
            boolean done = after.get(i).state() == PointState.DONE;
            perplexities.add(
                    done ? perplexities(sweep.directory().resolve(after.get(i).name())) : Map.of());
            texts.addAll(perplexities.get(i).keySet());
        }
        List<String[]> rows = new ArrayList<>();
        List<String> header = new ArrayList<>(List.of("point"));
        texts.forEach(text -> header.add("perplexity " + text));
        header.addAll(List.of("seconds", "state"));
        rows.add(header.toArray(String[]::new));
        for (int i = 0; i < after.size(); i++) {
            PointRecord each = after.get(i);
            List<String> row = new ArrayList<>(List.of(each.name()));
            for (String text : texts) {
                Double perplexity = perplexities.get(i).get(text);
                row.add(perplexity == null ? "-" : String.format(Locale.ROOT, "%.4f", perplexity));
            }
            row.add(
                    each.seconds().isPresent()
                            ? String.format(Locale.ROOT, "%.1f", each.seconds().getAsDouble())
                            : "-");
            row.add(state(before.get(i), each));
            rows.add(row.toArray(String[]::new));
        }
        return TextTable.render(rows, Set.of(0, header.size() - 1));
    }

    private static String state(CheckedPoint before, PointRecord after) {
        return switch (after.state()) {
            case PENDING -> "not run";
            case DONE -> before.complete().isPresent() ? "already done" : "done";
            case FAILED -> "failed: " + after.error().orElse("");
        };
    }

    /** The perplexity of the run itself on each text. */
    private static Map<String, Double> perplexities(Path run) throws IOException {
        Path file = run.resolve(RunFiles.METRICS);
        try {
            JsonNode metrics = JsonMapper.shared().readTree(Files.readString(file));
            List<MetricName> names =
                    metrics.propertyNames().stream().map(MetricName::parse).toList();
            Map<String, Double> perplexities = new LinkedHashMap<>();
            for (String text : MetricName.texts(names)) {
                MetricName name = new MetricName.OfText(text, Metric.PERPLEXITY);
                perplexities.put(text, metrics.path(name.key()).asDouble());
            }
            return perplexities;
        } catch (JacksonException e) {
            throw new IOException(file + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
    }
}
