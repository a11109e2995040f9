package dev.ptq.report;

import dev.ptq.artifact.AllocationColumn;
import dev.ptq.artifact.RunFiles;
import dev.ptq.chart.Axis;
import dev.ptq.chart.ChartStyles;
import dev.ptq.chart.LineChart;
import dev.ptq.chart.LineChart.Look;
import dev.ptq.chart.LineChart.Point;
import dev.ptq.chart.LineChart.Series;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** What each linear was allotted: bits along the model, and scores against bits, for runs whose config says so. */
final class AllotmentSection {
    private static final int MOST_RUNS = 12;
    /** Kinds of linears with a colour of their own; experts are many. */
    private static final int MOST_KINDS = 12;

    private AllotmentSection() {}

    /** Returns the section; absent if no run has an allotment. */
    static Optional<ReportSection> of(List<ResultRow> rows, ChartStyles styles) {
        Html charts = new Html();
        List<String> notes = new ArrayList<>();
        int shown = 0;
        for (ResultRow row : rows) {
            try {
                Map<LinearName, Double> bits =
                        LayerTable.column(row.folder(), RunFiles.ALLOCATION, AllocationColumn.BITS_PER_WEIGHT);
                Map<LinearName, Double> scores =
                        LayerTable.column(row.folder(), RunFiles.ALLOCATION, AllocationColumn.SCORE);
                if (!bits.isEmpty() && shown++ < MOST_RUNS) {
                    figure(charts, row.run(), alongBlocks(row.run(), bits), styles);
                    figure(charts, row.run(), scoresOverBits(row.run(), bits, scores), styles);
                }
            } catch (IOException e) {
                notes.add(row.run() + ": " + e.getMessage());
            }
        }
        if (shown == 0 && notes.isEmpty()) {
            return Optional.empty();
        }
        Html html = new Html();
        html.element(
                "p",
                "Bits per weight that each linear was given, with its low-rank factors, and the score of the errors that it"
                        + " has then, which the allotment makes least in sum.",
                "class",
                "note");
        html.open("div", "class", "charts").raw(charts.toString()).close();
        if (shown > MOST_RUNS) {
            notes.add((shown - MOST_RUNS) + " more runs have no chart here.");
        }
        notes.stream().limit(20).forEach(note -> html.element("p", Html.cut(note, 500), "class", "note"));
        return Optional.of(new ReportSection("allotment", "Bits by linear", html));
    }

    private static void figure(Html html, String run, LineChart chart, ChartStyles styles) {
        html.open("figure").element("figcaption", Html.cut(run, 100));
        html.open("div", "class", "chart").raw(styles.embed(chart)).close().close();
    }

    private static LineChart alongBlocks(String run, Map<LinearName, Double> bits) {
        Map<String, List<Point>> kinds = new LinkedHashMap<>();
        bits.forEach((linear, value) -> points(kinds, linear)
                .add(new Point(
                        linear.block(),
                        value,
                        String.format(Locale.ROOT, "block %d, %s: %.4g bits", linear.block(), linear.kind(), value))));
        return new LineChart(
                run + ": bits per weight by block",
                Axis.linear("block"),
                Axis.linear("bits per weight"),
                series(kinds),
                LineChart.Size.MEDIUM);
    }

    private static LineChart scoresOverBits(String run, Map<LinearName, Double> bits, Map<LinearName, Double> scores) {
        Map<String, List<Point>> kinds = new LinkedHashMap<>();
        bits.forEach((linear, value) -> {
            double score = scores.getOrDefault(linear, Double.NaN);
            if (score >= 0 && Double.isFinite(score)) {
                points(kinds, linear)
                        .add(new Point(
                                value,
                                score,
                                String.format(
                                        Locale.ROOT,
                                        "block %d, %s: %.4g bits, score %.3g",
                                        linear.block(),
                                        linear.kind(),
                                        value,
                                        score)));
            }
        });
        return new LineChart(
                run + ": score and bits per weight",
                Axis.linear("bits per weight"),
                Axis.linear("score"),
                series(kinds),
                LineChart.Size.MEDIUM);
    }

    private static List<Point> points(Map<String, List<Point>> kinds, LinearName linear) {
        String kind = kinds.containsKey(linear.kind()) || kinds.size() < MOST_KINDS ? linear.kind() : "others";
        return kinds.computeIfAbsent(kind, each -> new ArrayList<>());
    }

    private static List<Series> series(Map<String, List<Point>> kinds) {
        List<Series> series = new ArrayList<>();
        kinds.forEach((kind, points) -> series.add(new Series(kind, points, Look.points(series.size()))));
        return series;
    }
}
