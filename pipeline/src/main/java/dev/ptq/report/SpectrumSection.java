package dev.ptq.report;

import dev.ptq.chart.Axis;
import dev.ptq.chart.ChartStyles;
import dev.ptq.chart.LineChart;
import dev.ptq.chart.LineChart.Line;
import dev.ptq.chart.LineChart.Look;
import dev.ptq.chart.LineChart.Point;
import dev.ptq.chart.LineChart.Series;
import dev.ptq.report.Spectra.Pair;
import dev.ptq.report.Spectra.Value;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * The decay of the singular values of weight errors, unweighted and in the metric of the method: small charts of the
 * blocks, for one run and one kind of linear at a time. Runs that differ only in rank have the same errors and are
 * shown once.
 */
final class SpectrumSection {
    /** Limit of charts in the whole section. */
    private static final int MOST_CHARTS = 300;

    private static final int MOST_KINDS = 16;
    private static final int MOST_BLOCKS = 12;

    /** Values that are a smaller part of the norm are not drawn. */
    private static final double SMALLEST = 1e-3;

    private final ChartStyles styles;

    /** Runs by their spectra. */
    private final Map<Spectra, List<String>> groups = new LinkedHashMap<>();

    private final List<String> notes = new ArrayList<>();

    private SpectrumSection(ChartStyles styles) {
        this.styles = styles;
    }

    static ReportSection of(List<ResultRow> rows, ChartStyles styles) {
        SpectrumSection section = new SpectrumSection(styles);
        section.read(rows);
        return section.write();
    }

    private void read(List<ResultRow> rows) {
        int charts = 0;
        int leftOut = 0;
        for (ResultRow row : rows) {
            try {
                Optional<Spectra> spectra = row.config().isEmpty() ? Optional.empty() : Spectra.read(row.folder());
                if (spectra.isEmpty()) {
                    continue;
                }
                int own = charts(spectra.get());
                if (groups.containsKey(spectra.get()) || charts + own <= MOST_CHARTS || groups.isEmpty()) {
                    charts += groups.containsKey(spectra.get()) ? 0 : own;
                    groups.computeIfAbsent(spectra.get(), each -> new ArrayList<>())
                            .add(row.run());
                } else {
                    leftOut++;
                }
            } catch (IOException e) {
                notes.add(row.run() + ": " + e.getMessage());
            }
        }
        if (leftOut > 0) {
            notes.add(leftOut
                    + " more runs have errors of their own, which are left out: the page would become too large.");
        }
    }

    private static int charts(Spectra spectra) {
        return spectra.byKind().values().stream()
                .limit(MOST_KINDS)
                .mapToInt(blocks -> Math.min(MOST_BLOCKS, blocks.size()))
                .sum();
    }

    private ReportSection write() {
        String id = "spectra";
        String title = "Singular values of the weight errors";
        Html html = new Html();
        if (groups.isEmpty()) {
            html.element(
                    "p", "No chart: no run kept singular values, see singular_values of a method.", "class", "note");
        } else {
            html.element(
                    "p",
                    "Of E = W − Wq and of S E, where S is the metric of the method; the largest first, each divided by the"
                            + " Frobenius norm of all. A correction of rank k takes back the first k."
                            + " All charts of a kind of linear have the same scale.",
                    "class",
                    "note");
            html.open("p", "class", "legend");
            html.element("span", "", "class", "swatch plain").text(" error E ");
            html.element("span", "", "class", "swatch scaled").text(" scaled error S E");
            html.close();
            Panels panels = new Panels("run", "linear");
            groups.forEach((spectra, runs) -> add(panels, spectra, runs));
            panels.write(html);
        }
        notes.stream().limit(20).forEach(note -> html.element("p", Html.cut(note, 500), "class", "note"));
        return new ReportSection(id, title, html);
    }

    private void add(Panels panels, Spectra spectra, List<String> runs) {
        String name = runs.size() == 1 ? runs.get(0) : runs.get(0) + " and " + (runs.size() - 1) + " more";
        spectra.byKind().entrySet().stream().limit(MOST_KINDS).forEach(kind -> {
            Axis axis = axis(kind.getKey());
            Html html = new Html();
            if (runs.size() > 1) {
                html.element("p", "The same in " + Html.cut(String.join(", ", runs), 1000), "class", "note");
            }
            List<Integer> blocks = some(List.copyOf(kind.getValue().keySet()));
            html.open("div", "class", "facets");
            for (int block : blocks) {
                chart(block, Objects.requireNonNull(kind.getValue().get(block)), kind.getKey(), axis)
                        .ifPresent(chart -> html.open("figure")
                                .element("figcaption", "block " + block)
                                .open("div", "class", "chart")
                                .raw(styles.embed(chart))
                                .close()
                                .close());
            }
            html.close();
            if (blocks.size() < kind.getValue().size()) {
                html.element(
                        "p", blocks.size() + " of " + kind.getValue().size() + " blocks are shown.", "class", "note");
            }
            panels.add(html, name, kind.getKey());
        });
    }

    /** The first, the last, and a few in between. */
    private static List<Integer> some(List<Integer> blocks) {
        if (blocks.size() <= MOST_BLOCKS) {
            return blocks;
        }
        List<Integer> some = new ArrayList<>();
        for (int i = 0; i < MOST_BLOCKS; i++) {
            some.add(blocks.get(i * (blocks.size() - 1) / (MOST_BLOCKS - 1)));
        }
        return some;
    }

    /** The axis shared by all charts of a kind. */
    private Axis axis(String kind) {
        double[] shares = groups.keySet().stream()
                .flatMap(spectra -> spectra.byKind().getOrDefault(kind, new TreeMap<>()).values().stream())
                .flatMap(pair -> Stream.concat(pair.error().stream(), pair.scaled().stream()))
                .mapToDouble(Value::share)
                .filter(share -> share >= SMALLEST)
                .toArray();
        return Axis.logarithmic("σ / norm").showing(shares);
    }

    private static Optional<LineChart> chart(int block, Pair pair, String kind, Axis axis) {
        List<Series> series = new ArrayList<>();
        series.add(series("error E", pair.error(), Look.line(0, Line.SOLID)));
        if (!pair.scaled().equals(pair.error())) {
            series.add(series("scaled error S E", pair.scaled(), Look.line(1, Line.DASHED)));
        }
        return series.stream().allMatch(each -> each.points().isEmpty())
                ? Optional.empty()
                : Optional.of(new LineChart(
                        kind + ", block " + block + ": singular values",
                        Axis.logarithmic("index of the singular value"),
                        axis,
                        series,
                        LineChart.Size.SMALL));
    }

    private static Series series(String name, List<Value> values, Look look) {
        return new Series(
                name,
                values.stream()
                        .filter(value -> value.share() >= SMALLEST)
                        .map(value -> new Point(value.place(), value.share()))
                        .toList(),
                look);
    }
}
