package dev.ptq.evaluate.task;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/** Formats results as the harness's table. */
final class HarnessTable {
    private static final List<String> HEADER =
            List.of("Tasks", "Version", "Filter", "n-shot", "Metric", "", "Value", "", "Stderr");

    /** The numeric columns. */
    private static final Set<Integer> RIGHT = Set.of(1, 3, 6, 8);

    private HarnessTable() {}

    static String render(TaskResults results) {
        List<List<String>> rows = new ArrayList<>();
        results.measured().forEach(one -> addRows(one, 0, results.settings(), rows));
        int[] widths = new int[HEADER.size()];
        for (int i = 0; i < widths.length; i++) {
            int column = i;
            widths[i] = Math.max(
                    HEADER.get(i).length(),
                    rows.stream()
                            .mapToInt(row -> row.get(column).length())
                            .max()
                            .orElse(0));
        }
        StringBuilder table = new StringBuilder(line(HEADER, widths));
        table.append('|');
        for (int i = 0; i < widths.length; i++) {
            table.append(RIGHT.contains(i) ? "-".repeat(widths[i] + 1) + ":" : "-".repeat(widths[i] + 2))
                    .append('|');
        }
        table.append(System.lineSeparator());
        rows.forEach(row -> table.append(line(row, widths)));
        boolean drawn = results.all().stream().anyMatch(one -> one.values().containsKey(TaskMetric.PERPLEXITY));
        if (drawn && results.settings().bootstrap() > 0) {
            table.append("standard error of a perplexity: ")
                    .append(results.settings().bootstrap())
                    .append(" resamples")
                    .append(System.lineSeparator());
        }
        return table.toString();
    }

    private static void addRows(TaskResult one, int depth, TasksSettings settings, List<List<String>> rows) {
        String version = TaskResults.version(one.node()).toString().replaceFirst("\\.0$", "");
        List<Map.Entry<TaskMetric, TaskResult.Value>> values = one.values().entrySet().stream()
                .sorted(Comparator.comparing(entry -> entry.getKey().label(settings.profile())))
                .toList();
        for (int i = 0; i < values.size(); i++) {
            TaskMetric metric = values.get(i).getKey();
            TaskResult.Value value = values.get(i).getValue();
            rows.add(List.of(
                    i == 0 ? HarnessJson.alias(one.node(), depth) : "",
                    i == 0 ? version : "",
                    "none",
                    String.valueOf(settings.numFewshot()),
                    metric.label(settings.profile()),
                    metric.higherIsBetter() ? "↑" : "↓",
                    number(value.value()),
                    "±",
                    value.error().isPresent() ? number(value.error().getAsDouble()) : "N/A"));
        }
        one.members().forEach(member -> addRows(member, depth + 1, settings, rows));
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, "%.4f", value);
    }

    private static String line(List<String> cells, int[] widths) {
        List<String> padded = new ArrayList<>();
        for (int i = 0; i < widths.length; i++) {
            String padding = " ".repeat(widths[i] - cells.get(i).length());
            padded.add(RIGHT.contains(i) ? padding + cells.get(i) : cells.get(i) + padding);
        }
        return padded.stream().collect(Collectors.joining(" | ", "| ", " |")) + System.lineSeparator();
    }
}
