package dev.ptq.report;

import dev.ptq.chart.Axis;
import dev.ptq.chart.BarChart;
import dev.ptq.chart.BarChart.Bar;
import dev.ptq.chart.ChartStyles;
import dev.ptq.report.Measures.Better;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.stream.Stream;

/** What runs score in tasks, {@code TASK/METRIC}: a chart for each, a bar for each run. */
final class TaskSection {
    private static final int MOST_CHARTS = 24;
    private static final int MOST_BARS = 40;

    private TaskSection() {}

    static ReportSection of(List<ResultRow> rows, ChartStyles styles) {
        String id = "tasks";
        String title = "Tasks";
        List<String> metrics = ResultTable.merged(rows.stream()
                        .map(row -> row.metrics().keySet().stream()
                                .filter(TaskSection::isScore)
                                .toList())
                        .toList())
                .stream()
                .filter(metric ->
                        rows.stream().anyMatch(row -> row.finite(metric).isPresent()))
                .toList();
        if (metrics.isEmpty()) {
            return ReportSection.empty(id, title, "No chart: no run was scored in a task.");
        }
        Html html = new Html();
        html.element(
                "p",
                "Lines at the ends of bars: one standard error to both sides, where it is known.",
                "class",
                "note");
        html.open("div", "class", "charts");
        metrics.stream().limit(MOST_CHARTS).forEach(metric -> {
            html.open("figure").element("figcaption", Html.cut(metric, 100));
            html.open("div", "class", "chart")
                    .raw(styles.embed(chart(metric, rows)))
                    .close()
                    .close();
        });
        html.close();
        if (metrics.size() > MOST_CHARTS) {
            html.element(
                    "p",
                    (metrics.size() - MOST_CHARTS) + " more metrics are in the table of runs only.",
                    "class",
                    "note");
        }
        long most = metrics.stream()
                .mapToLong(metric -> rows.stream()
                        .filter(row -> row.finite(metric).isPresent())
                        .count())
                .max()
                .orElse(0);
        if (most > MOST_BARS) {
            html.element("p", "Charts show the first " + MOST_BARS + " runs.", "class", "note");
        }
        return new ReportSection(id, title, html);
    }

    /** What a task is scored by has a direction, and is no perplexity or loss of a text. */
    private static boolean isScore(String metric) {
        boolean ofText = Stream.of("perplexity/", "full_precision/", "round_to_nearest/", "adapted/", "loss_recovered/")
                .anyMatch(metric::startsWith);
        return !ofText && metric.contains("/") && Measures.better(metric) != Better.NEITHER;
    }

    private static BarChart chart(String metric, List<ResultRow> rows) {
        List<Bar> bars = new ArrayList<>();
        for (ResultRow row : rows) {
            OptionalDouble value = row.finite(metric);
            if (value.isPresent() && bars.size() < MOST_BARS) {
                double error = row.finite(metric + "_stderr").orElse(Double.NaN);
                String label = Double.isNaN(error)
                        ? String.format(Locale.ROOT, "%s: %.4g", row.run(), value.getAsDouble())
                        : String.format(Locale.ROOT, "%s: %.4g ± %.2g", row.run(), value.getAsDouble(), error);
                bars.add(new Bar(row.run(), value.getAsDouble(), error < 0 ? Double.NaN : error, label));
            }
        }
        boolean higher = Measures.better(metric) == Better.HIGHER;
        String axis =
                metric.substring(metric.lastIndexOf('/') + 1) + (higher ? ", higher is better" : ", lower is better");
        return new BarChart(metric, Axis.linear(axis), bars);
    }
}
