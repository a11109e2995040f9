package dev.ptq.report;

import dev.ptq.artifact.Metric;
import dev.ptq.artifact.MetricName;
import dev.ptq.artifact.Variant;
import dev.ptq.chart.Axis;
import dev.ptq.chart.ChartStyles;
import dev.ptq.chart.LineChart;
import dev.ptq.chart.LineChart.Line;
import dev.ptq.chart.LineChart.Look;
import dev.ptq.chart.LineChart.Point;
import dev.ptq.chart.LineChart.Series;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;

/** Perplexity against costs, one chart per text. */
final class PerplexitySections {
    private static final int MOST_TEXTS = 12;
    private static final int MOST_MARKS = 12;

    /** Series of runs; all others form one more. */
    private static final int MOST_FAMILIES = 13;

    private static final String OTHERS = "others";

    /** From this ratio on the axis is logarithmic: one broken model would flatten all others. */
    private static final double WIDE = 8;

    private final List<ResultRow> rows;
    private final String text;
    private final List<Series> series = new ArrayList<>();

    /** A run in a chart. */
    private record Place(ResultRow row, double x, double perplexity) {
        Point point(String cost) {
            return new Point(
                    x,
                    perplexity,
                    String.format(Locale.ROOT, "%s: perplexity %.4g, " + cost, row.run(), perplexity, x));
        }
    }

    private PerplexitySections(List<ResultRow> rows, String text) {
        this.rows = rows;
        this.text = text;
    }

    /** A section for each cost that a model can be chosen by. */
    static List<ReportSection> overCosts(List<ResultRow> rows, RunFamilies families, ChartStyles styles) {
        return List.of(
                overCost(
                        "bits",
                        Metric.BITS_PER_WEIGHT,
                        "Bits per weight count the linears with their low-rank factors.",
                        rows,
                        families,
                        styles),
                overCost(
                        "bops",
                        Metric.BOPS_PER_TOKEN,
                        "Bit operations count those of linears, low-rank paths, attention and rotations, each times the"
                                + " bits of both operands.",
                        rows,
                        families,
                        styles),
                overCost(
                        "bytes",
                        Metric.BYTES_PER_TOKEN,
                        "Bytes count the weights of linears with their low-rank factors, and the cache of keys and values.",
                        rows,
                        families,
                        styles),
                overCost(
                        "disk",
                        Metric.CHECKPOINT_BYTES,
                        "Of checkpoints that are packed; bytes are those of the files of weights, embeddings included.",
                        rows,
                        families,
                        styles));
    }

    private static ReportSection overCost(
            String id, Metric cost, String counts, List<ResultRow> rows, RunFamilies families, ChartStyles styles) {
        Html html = new Html();
        html.element(
                "p",
                counts + " The line joins the runs that no other run beats in both (Pareto front).",
                "class",
                "note");
        return section(
                id,
                "Perplexity and " + cost.title(),
                rows,
                html,
                text -> new PerplexitySections(rows, text).overCost(cost, families, styles));
    }

    static ReportSection overRank(List<ResultRow> rows, RunFamilies families, ChartStyles styles) {
        String id = "rank";
        String title = "Perplexity and rank";
        Html html = new Html();
        html.element(
                "p",
                "A line for each group of runs that differ in the rank of their correction only. Dotted: rounding to"
                        + " nearest, without a correction. Dashed: full precision.",
                "class",
                "note");
        return section(id, title, rows, html, text -> new PerplexitySections(rows, text).overRank(families, styles));
    }

    /** Builds the section; a text's part is empty where no run has both values. */
    private static ReportSection section(
            String id, String title, List<ResultRow> rows, Html html, Function<String, String> part) {
        List<String> texts = texts(rows);
        String parts = texts.stream().limit(MOST_TEXTS).map(part).collect(Collectors.joining());
        if (parts.isEmpty()) {
            return ReportSection.empty(
                    id,
                    title,
                    "No chart: no run has a perplexity and " + (id.equals("rank") ? "a rank." : "its " + id + "."));
        }
        html.open("div", "class", "charts").raw(parts).close();
        if (texts.size() > MOST_TEXTS) {
            html.element("p", (texts.size() - MOST_TEXTS) + " more texts have no chart here.", "class", "note");
        }
        return new ReportSection(id, title, html);
    }

    private static List<String> texts(List<ResultRow> rows) {
        return ResultTable.merged(rows.stream().map(ResultRow::texts).toList());
    }

    private List<Place> places(Function<ResultRow, OptionalDouble> x) {
        List<Place> places = new ArrayList<>();
        for (ResultRow row : rows) {
            OptionalDouble perplexity = perplexity(row, Variant.QUANTIZED);
            OptionalDouble place = x.apply(row);
            if (perplexity.isPresent() && place.isPresent()) {
                places.add(new Place(row, place.getAsDouble(), perplexity.getAsDouble()));
            }
        }
        return places;
    }

    private OptionalDouble perplexity(ResultRow row, Variant variant) {
        return number(row, new MetricName.OfText(variant, text, Metric.PERPLEXITY));
    }

    /** A positive metric, which any axis can show. */
    private static OptionalDouble number(ResultRow row, MetricName name) {
        OptionalDouble value = row.finite(name);
        return value.isPresent() && value.getAsDouble() > 0 ? value : OptionalDouble.empty();
    }

    private String overCost(Metric cost, RunFamilies families, ChartStyles styles) {
        List<Place> places = places(row -> number(row, new MetricName.OfWeights(cost)));
        if (places.isEmpty()) {
            return "";
        }
        List<Place> front = front(places);
        if (front.size() > 1) {
            series.add(new Series(
                    "Pareto front",
                    front.stream()
                            .map(place -> new Point(place.x(), place.perplexity()))
                            .toList(),
                    Look.line(-1, Line.SOLID)));
        }
        addFullPrecision(places);
        int color = 0;
        for (Map.Entry<String, List<Place>> family :
                byFamily(places, families::kind).entrySet()) {
            List<Point> points = family.getValue().stream()
                    .map(place -> place.point("%.4g " + cost.title()))
                    .toList();
            series.add(new Series(family.getKey(), points, Look.points(color++)));
        }
        LineChart chart = new LineChart(
                text + ": perplexity and " + cost.title(),
                Axis.linear(cost.title()),
                perplexityAxis(),
                series,
                LineChart.Size.MEDIUM);
        Html html = figure(chart, styles);
        String names = front.stream().map(place -> place.row().run()).limit(20).collect(Collectors.joining(", "));
        html.element("p", "Front: " + Html.cut(names, 1000), "class", "note");
        return html.close().toString();
    }

    /** The Pareto front, by rising cost. */
    private static List<Place> front(List<Place> places) {
        List<Place> front = new ArrayList<>();
        double best = Double.POSITIVE_INFINITY;
        for (Place place : places.stream()
                .sorted(Comparator.comparingDouble(Place::x).thenComparingDouble(Place::perplexity))
                .toList()) {
            if (place.perplexity() < best) {
                front.add(place);
                best = place.perplexity();
            }
        }
        return front;
    }

    private String overRank(RunFamilies families, ChartStyles styles) {
        List<Place> places =
                places(row -> RunFamilies.rank(row).map(OptionalDouble::of).orElseGet(OptionalDouble::empty));
        if (places.isEmpty()) {
            return "";
        }
        List<Double> ranks = places.stream().map(Place::x).distinct().sorted().toList();
        double[] ends = {ranks.get(0), ranks.get(ranks.size() - 1)};
        addFullPrecision(places);
        places.stream()
                .flatMapToDouble(place -> perplexity(place.row(), Variant.ROUND_TO_NEAREST).stream())
                .distinct()
                .limit(MOST_MARKS)
                .forEach(value -> series.add(level("round to nearest", value, ends, Line.DOTTED)));
        int color = 0;
        for (Map.Entry<String, List<Place>> family :
                byFamily(places, families::allButRank).entrySet()) {
            List<Point> points = family.getValue().stream()
                    .sorted(Comparator.comparingDouble(Place::x))
                    .map(place -> place.point("rank %.0f"))
                    .toList();
            Line line = family.getKey().equals(OTHERS) ? Line.NONE : Line.SOLID;
            series.add(new Series(family.getKey(), points, new Look(color++, line, true, true)));
        }
        Axis axis = Axis.logarithmic("rank");
        LineChart chart = new LineChart(
                text + ": perplexity and rank",
                ranks.size() <= MOST_MARKS ? axis.marking(ranks) : axis,
                perplexityAxis(),
                series,
                LineChart.Size.MEDIUM);
        return figure(chart, styles).close().toString();
    }

    private Html figure(LineChart chart, ChartStyles styles) {
        Html html = new Html();
        html.open("figure").element("figcaption", Html.cut(text, 100));
        return html.open("div", "class", "chart").raw(styles.embed(chart)).close();
    }

    /** Adds a line at the full-precision perplexity, if the runs agree in it. */
    private void addFullPrecision(List<Place> places) {
        double[] values = places.stream()
                .flatMapToDouble(place -> perplexity(place.row(), Variant.FULL_PRECISION).stream())
                .distinct()
                .toArray();
        if (values.length == 1) {
            double[] ends = {
                places.stream().mapToDouble(Place::x).min().orElseThrow(),
                places.stream().mapToDouble(Place::x).max().orElseThrow()
            };
            series.add(level("full precision", values[0], ends, Line.DASHED));
        }
    }

    private static Series level(String name, double value, double[] ends, Line line) {
        Look look = Look.line(-1, line);
        return new Series(
                String.format(Locale.ROOT, "%s %.4g", name, value),
                DoubleStream.of(ends).mapToObj(x -> new Point(x, value)).toList(),
                line == Line.DOTTED ? look.unnamed() : look);
    }

    private static Map<String, List<Place>> byFamily(List<Place> places, Function<ResultRow, String> family) {
        Map<String, List<Place>> families = new LinkedHashMap<>();
        for (Place place : places) {
            String name = family.apply(place.row());
            boolean shown = families.containsKey(name) || families.size() < MOST_FAMILIES;
            families.computeIfAbsent(shown ? name : OTHERS, each -> new ArrayList<>())
                    .add(place);
        }
        return families;
    }

    private Axis perplexityAxis() {
        double[] values = series.stream()
                .flatMap(each -> each.points().stream())
                .mapToDouble(Point::y)
                .sorted()
                .toArray();
        boolean wide = values[values.length - 1] / values[0] > WIDE;
        return wide ? Axis.logarithmic("perplexity") : Axis.linear("perplexity");
    }
}
