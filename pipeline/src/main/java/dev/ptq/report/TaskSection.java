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
import java.util.Set;

/** Task scores of the runs, {@code TASK/METRIC}: one chart per metric, one bar per run. */
final class TaskSection {
    private static final int MOST_CHARTS = 100;
    private static final int MOST_BARS = 40;

    private TaskSection() {}

    static ReportSection of(List<ResultRow> rows, ChartStyles styles) {
        String id = "tasks";
        String title = "Tasks";
        TaskParts parts = TaskParts.of(rows);
        List<MetricName.OfTask> all = ResultTable.merged(rows.stream()
                        .map(row -> row.metrics().keySet().stream()
                                .filter(name -> score(name).isPresent())
                                .toList())
                        .toList())
                .stream()
                .flatMap(name -> score(name).stream())
                .filter(metric ->
                        rows.stream().anyMatch(row -> row.finite(metric).isPresent()))
                .toList();
        List<MetricName.OfTask> metrics =
                all.stream().filter(metric -> !parts.isOfPart(metric.key())).toList();
        if (all.isEmpty()) {
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
        parts.all().forEach((group, own) -> addParts(html, group, own, all, rows));
        return new ReportSection(id, title, html);
    }

    /** Adds the metrics of a group's parts as a folded table: a row for each metric, a column for each run. */
    private static void addParts(
            Html html, String group, Set<String> parts, List<MetricName.OfTask> all, List<ResultRow> rows) {
        List<MetricName.OfTask> metrics =
                all.stream().filter(metric -> parts.contains(metric.task())).toList();
        List<ResultRow> runs = rows.stream()
                .filter(row ->
                        metrics.stream().anyMatch(metric -> row.finite(metric).isPresent()))
                .toList();
        html.open("details").element("summary", parts.size() + " parts of " + Html.cut(group, 100));
        html.open("div", "class", "scroll")
                .open("table", "class", "sortable")
                .open("thead")
                .open("tr");
        html.open("th", "scope", "col")
                .element("button", "metric", "type", "button")
                .close();
        runs.forEach(row -> html.open("th", "scope", "col")
                .element("button", Html.cut(row.run(), 100), "type", "button")
                .close());
        html.close().close().open("tbody");
        for (MetricName.OfTask metric : metrics) {
            html.open("tr").element("th", Html.cut(metric.key(), 100), "scope", "row");
            for (ResultRow row : runs) {
                OptionalDouble value = row.finite(metric);
                String shown = value.isPresent() ? String.format(Locale.ROOT, "%.4f", value.getAsDouble()) : "";
                html.element("td", shown, "class", "number");
            }
            html.close();
        }
        html.close().close().close().close();
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
