package dev.ptq.chart;

import java.util.List;

/** Lines over two axes. */
public record LineChart(Axis x, Axis y, List<Series> series) {
    /** A point in the values of the axes. */
    public record Point(double x, double y) {}

    /** A line and its name in the legend. */
    public record Series(String name, List<Point> points) {
        public Series {
            points = List.copyOf(points);
        }
    }

    /** Refuses what cannot be drawn: no point at all, and points that are not on the axes. */
    public LineChart {
        series = List.copyOf(series);
        if (series.stream().allMatch(line -> line.points().isEmpty())) {
            throw new IllegalArgumentException("a chart needs at least one point");
        }
        for (Series line : series) {
            for (Point point : line.points()) {
                check(x, point.x(), line.name());
                check(y, point.y(), line.name());
            }
        }
    }

    private static void check(Axis axis, double value, String name) {
        if (!axis.scale().shows(value)) {
            throw new IllegalArgumentException(name + ": " + value + " is not on the axis \"" + axis.label() + "\"");
        }
    }

    /**
     * Draws the chart as a document of its own, 800 wide where nothing scales it. Text stays text, nothing else is
     * loaded, and the bytes depend on the values alone.
     *
     * <p>The background is transparent, and every colour stands out from white and from near black alike, since an image
     * cannot know which of the two it lies on.
     */
    public String svg() {
        return new LineDrawing(this).draw();
    }
}
