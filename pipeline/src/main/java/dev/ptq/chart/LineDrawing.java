package dev.ptq.chart;

import dev.ptq.chart.LineChart.Point;
import dev.ptq.chart.LineChart.Series;
import java.math.BigDecimal;
import java.util.List;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;

/** Draws one chart: the legend at the top, a line for each series, and the plot below it. */
final class LineDrawing {
    static final String TEXT_COLOR = "#7a7a7a";
    static final List<String> COLORS =
            List.of("#2a78c8", "#d0650f", "#1f9254", "#9a63d6", "#d1495b", "#1d8a99", "#8a7a2a");

    /** The points of a series are marked unless there are more than these. */
    private static final int MARKED_POINTS = 50;

    private static final int WIDTH = 800;
    private static final int LEFT = 72;
    private static final int RIGHT = 780;
    private static final int LEGEND_LINE = 20;

    private final LineChart chart;
    private final AxisRange horizontal;
    private final AxisRange vertical;
    private final int top;
    private final int bottom;
    private final Markup svg = new Markup();

    LineDrawing(LineChart chart) {
        this.chart = chart;
        this.horizontal = range(chart.x(), Point::x);
        this.vertical = range(chart.y(), Point::y);
        this.top = chart.series().size() * LEGEND_LINE + 16;
        this.bottom = top + 360;
    }

    private AxisRange range(Axis axis, ToDoubleFunction<Point> value) {
        return AxisRange.of(
                axis.scale(),
                chart.series().stream()
                        .flatMap(series -> series.points().stream())
                        .mapToDouble(value)
                        .toArray());
    }

    String draw() {
        int height = bottom + 52;
        svg.open(
                "svg",
                "xmlns",
                "http://www.w3.org/2000/svg",
                "viewBox",
                "0 0 " + WIDTH + " " + height,
                "width",
                WIDTH,
                "height",
                height,
                "role",
                "img",
                "font-family",
                "system-ui, sans-serif",
                "font-size",
                13,
                "fill",
                TEXT_COLOR);
        svg.text("title", chart.y().label() + " over " + chart.x().label());
        drawHorizontalAxis();
        drawVerticalAxis();
        for (int i = 0; i < chart.series().size(); i++) {
            drawSeries(i);
        }
        svg.close();
        return svg.toString();
    }

    private void drawHorizontalAxis() {
        for (BigDecimal mark : horizontal.marks()) {
            double x = x(mark.doubleValue());
            drawGridLine(x, top, x, bottom);
            svg.text("text", MarkLabel.of(mark), "x", x, "y", bottom + 18, "text-anchor", "middle");
        }
        svg.text("text", chart.x().label(), "x", (LEFT + RIGHT) / 2, "y", bottom + 42, "text-anchor", "middle");
    }

    private void drawVerticalAxis() {
        for (BigDecimal mark : vertical.marks()) {
            double y = y(mark.doubleValue());
            drawGridLine(LEFT, y, RIGHT, y);
            svg.text("text", MarkLabel.of(mark), "x", LEFT - 8, "y", y + 4, "text-anchor", "end");
        }
        String place = "translate(18 " + (top + bottom) / 2 + ") rotate(-90)";
        svg.text("text", chart.y().label(), "transform", place, "text-anchor", "middle");
    }

    private void drawGridLine(double x1, double y1, double x2, double y2) {
        svg.empty("line", "x1", x1, "y1", y1, "x2", x2, "y2", y2, "stroke", TEXT_COLOR, "stroke-opacity", "0.35");
    }

    private void drawSeries(int index) {
        Series series = chart.series().get(index);
        String color = COLORS.get(index % COLORS.size());
        // once the colours start anew, dashes tell the lines apart
        int round = index / COLORS.size();
        String dashes = round == 0 ? "none" : 4 * round + " 4";
        int legend = LEGEND_LINE / 2 + index * LEGEND_LINE + 4;
        svg.open("g", "stroke", color, "fill", "none", "stroke-width", 2, "stroke-dasharray", dashes);
        svg.text("title", series.name());
        svg.empty("path", "d", "M" + LEFT + " " + legend + "h28");
        svg.empty(
                "polyline",
                "points",
                series.points().stream()
                        .map(point -> Markup.number(x(point.x())) + "," + Markup.number(y(point.y())))
                        .collect(Collectors.joining(" ")));
        svg.close();
        svg.text("text", series.name(), "x", LEFT + 36, "y", legend + 4);
        if (series.points().size() <= MARKED_POINTS) {
            svg.open("g", "fill", color);
            for (Point point : series.points()) {
                svg.empty("circle", "cx", x(point.x()), "cy", y(point.y()), "r", 3);
            }
            svg.close();
        }
    }

    private double x(double value) {
        return LEFT + horizontal.position(value) * (RIGHT - LEFT);
    }

    private double y(double value) {
        return bottom - vertical.position(value) * (bottom - top);
    }
}
