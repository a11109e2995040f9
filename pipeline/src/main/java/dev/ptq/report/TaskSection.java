package dev.ptq.report;

import dev.ptq.artifact.Direction;
import dev.ptq.artifact.MetricName;
import dev.ptq.artifact.Variant;
import dev.ptq.chart.Axis;
import dev.ptq.chart.BarChart;
import dev.ptq.chart.BarChart.Bar;
import dev.ptq.chart.ChartStyles;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;

/** Task scores of the runs, {@code TASK/METRIC}: one chart per metric, one bar per run. */
final class TaskSection {
    private static final int MOST_CHARTS = 24;
    private static final int MOST_BARS = 40;

    private TaskSection() {}

    static ReportSection of(List<ResultRow> rows, ChartStyles styles) {
        String id = "tasks";
        String title = "Tasks";
        List<MetricName.OfTask> metrics = ResultTable.merged(rows.stream()
                        .map(row -> row.metrics().keySet().stream()
                                .filter(name -> score(name).isPresent())
                                .toList())
                        .toList())
                .stream()
                .flatMap(name -> score(name).stream())
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
            html.open("figure").element("figcaption", Html.cut(metric.key(), 100));
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

    /** A metric that is a score: it has a direction, and belongs to the run itself, not to its baselines. */
    private static Optional<MetricName.OfTask> score(String metric) {
        return MetricName.parse(metric) instanceof MetricName.OfTask own
                        && own.variant() == Variant.QUANTIZED
                        && own.direction() != Direction.NEITHER
                ? Optional.of(own)
                : Optional.empty();
    }

    private static BarChart chart(MetricName.OfTask metric, List<ResultRow> rows) {
        List<Bar> bars = new ArrayList<>();
        for (ResultRow row : rows) {
            OptionalDouble value = row.finite(metric);
            if (value.isPresent() && bars.size() < MOST_BARS) {
                double error = row.finite(metric.error()).orElse(Double.NaN);
                String label = Double.isNaN(error)
                        ? String.format(Locale.ROOT, "%s: %.4g", row.run(), value.getAsDouble())
                        : String.format(Locale.ROOT, "%s: %.4g ± %.2g", row.run(), value.getAsDouble(), error);
                bars.add(new Bar(row.run(), value.getAsDouble(), error < 0 ? Double.NaN : error, label));
            }
        }
        boolean higher = metric.direction() == Direction.HIGHER;
        String axis = metric.label() + (higher ? ", higher is better" : ", lower is better");
        return new BarChart(metric.key(), Axis.linear(axis), bars);
    }
}
