package dev.ptq.chart;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.Shape;
import java.awt.geom.Ellipse2D;
import java.awt.geom.Line2D;
import java.awt.geom.Path2D;
import java.awt.geom.Rectangle2D;
import java.util.List;
import java.util.function.ToDoubleFunction;
import org.jfree.chart.axis.ValueAxis;
import org.jfree.chart.entity.EntityCollection;
import org.jfree.chart.plot.CrosshairState;
import org.jfree.chart.plot.SeriesRenderingOrder;
import org.jfree.chart.plot.XYPlot;
import org.jfree.chart.renderer.xy.XYLineAndShapeRenderer;
import org.jfree.data.xy.XYDataset;
import org.jfree.data.xy.XYSeries;
import org.jfree.data.xy.XYSeriesCollection;
import org.jspecify.annotations.Nullable;

/** Lines and points over two axes. */
public record LineChart(String title, Axis x, Axis y, List<Series> series, Size size) implements Chart {
    /** The points of a line are marked unless there are more than this. */
    private static final int MARKED_POINTS = 50;

    private static final int LEGEND_LINE = 20;
    private static final int LEGEND_SYMBOL = 34;
    private static final int LEGEND_LETTER = 7;

    private static final List<Shape> SHAPES = List.of(
            new Ellipse2D.Double(-4, -4, 8, 8),
            new Rectangle2D.Double(-3.6, -3.6, 7.2, 7.2),
            polygon(0, -5.2, 4.6, 3.4, -4.6, 3.4),
            polygon(0, -5.2, 5.2, 0, 0, 5.2, -5.2, 0),
            polygon(0, 5.2, 4.6, -3.4, -4.6, -3.4),
            polygon(
                    -1.5, -4.5, 1.5, -4.5, 1.5, -1.5, 4.5, -1.5, 4.5, 1.5, 1.5, 1.5, 1.5, 4.5, -1.5, 4.5, -1.5, 1.5,
                    -4.5, 1.5, -4.5, -1.5, -1.5, -1.5));

    /** The size of a chart, and whether it has a legend. */
    public enum Size {
        /** Alone on its page. */
        WIDE(800, 460, true),
        /** One of a few. */
        MEDIUM(560, 380, true),
        /** One of many that share their legend. */
        SMALL(320, 210, false);

        private final int width;
        private final int height;
        private final boolean legend;

        Size(int width, int height, boolean legend) {
            this.width = width;
            this.height = height;
            this.legend = legend;
        }
    }

    /** A point in the values of the axes, and its tooltip, if any. */
    public record Point(double x, double y, String label) {
        /** Makes a point without a tooltip. */
        public Point(double x, double y) {
            this(x, y, "");
        }
    }

    /** The style of a line. */
    public enum Line {
        NONE,
        SOLID,
        DASHED,
        DOTTED
    }

    /**
     * The look of a series.
     *
     * @param color the index of its colour and of the shape of its points; below zero the colour of text
     * @param marked whether its points are drawn
     * @param named whether it is in the legend
     */
    public record Look(int color, Line line, boolean marked, boolean named) {
        /** Returns points without a line. */
        public static Look points(int color) {
            return new Look(color, Line.NONE, true, true);
        }

        /** Returns a line without points. */
        public static Look line(int color, Line line) {
            return new Look(color, line, false, true);
        }

        /** Returns the same look, left out of the legend. */
        public Look unnamed() {
            return new Look(color, line, marked, false);
        }
    }

    /** A series of points, its name in the legend, and its look. */
    public record Series(String name, List<Point> points, Look look) {
        public Series {
            points = List.copyOf(points);
        }
    }

    /** Rejects what cannot be drawn: no points at all, and points that are not on the axes. */
    public LineChart {
        series = List.copyOf(series);
        if (series.stream().allMatch(each -> each.points().isEmpty())) {
            throw new IllegalArgumentException("a chart needs at least one point");
        }
        for (Series each : series) {
            for (Point point : each.points()) {
                x.check(point.x(), each.name());
                y.check(point.y(), each.name());
            }
        }
    }

    /** Returns a line in the given colour, its points marked unless there are many. */
    public static Series line(String name, int color, List<Point> points) {
        return new Series(name, points, new Look(color, Line.SOLID, points.size() <= MARKED_POINTS, true));
    }

    @Override
    public String svg() {
        XYSeriesCollection data = new XYSeriesCollection();
        for (int i = 0; i < series.size(); i++) {
            XYSeries line = new XYSeries(i, false, true);
            series.get(i).points().forEach(point -> line.add(point.x(), point.y()));
            data.addSeries(line);
        }
        MarkedAxis horizontal = new MarkedAxis(x, values(Point::x));
        MarkedAxis vertical = new MarkedAxis(y, values(Point::y));
        Drawing.style(horizontal);
        Drawing.style(vertical);
        XYPlot plot = new XYPlot(data, horizontal, vertical, new Renderer());
        plot.setSeriesRenderingOrder(SeriesRenderingOrder.FORWARD);
        plot.setDomainGridlinePaint(Drawing.grid());
        plot.setRangeGridlinePaint(Drawing.grid());
        plot.setDomainGridlineStroke(Drawing.thin());
        plot.setRangeGridlineStroke(Drawing.thin());
        return Drawing.svg(title, plot, size.legend, size.width, size.height + moreLegend());
    }

    /** Room for the further lines of the legend, by an estimate of the width of its names. */
    private int moreLegend() {
        int lines = 0;
        int left = 0;
        for (Series each : series) {
            if (size.legend && each.look().named()) {
                int width = LEGEND_SYMBOL + LEGEND_LETTER * each.name().length();
                lines += width > left ? 1 : 0;
                left = width > left ? size.width - width : left - width;
            }
        }
        return LEGEND_LINE * Math.max(0, lines - 1);
    }

    private double[] values(ToDoubleFunction<Point> value) {
        return series.stream()
                .flatMap(each -> each.points().stream())
                .mapToDouble(value)
                .toArray();
    }

    private static Shape polygon(double... corners) {
        Path2D path = new Path2D.Double();
        path.moveTo(corners[0], corners[1]);
        for (int i = 2; i < corners.length; i += 2) {
            path.lineTo(corners[i], corners[i + 1]);
        }
        path.closePath();
        return path;
    }

    /** Draws each series and each point as a separate group. */
    @SuppressWarnings("serial") // the library's renderers are serializable; nobody does that here
    private final class Renderer extends XYLineAndShapeRenderer {
        Renderer() {
            setDrawSeriesLineAsPath(true);
            setDrawOutlines(false);
            setAutoPopulateSeriesShape(false);
            for (int i = 0; i < series.size(); i++) {
                Look look = series.get(i).look();
                setSeriesPaint(i, paint(look));
                setSeriesStroke(i, stroke(look));
                setSeriesShape(i, SHAPES.get(Math.max(0, look.color()) % SHAPES.size()));
                setSeriesLinesVisible(i, look.line() != Line.NONE);
                setSeriesShapesVisible(i, look.marked());
                setSeriesVisibleInLegend(i, look.named());
            }
            setLegendLine(new Line2D.Double(-12, 0, 12, 0));
            setLegendItemLabelGenerator(
                    (dataset, index) -> Drawing.shown(series.get(index).name()));
        }

        private Color paint(Look look) {
            return look.color() < 0 ? Drawing.TEXT : Drawing.color(look.color());
        }

        /** Once the colours repeat, dashes tell the lines apart. */
        private BasicStroke stroke(Look look) {
            float[] dashes = switch (look.line()) {
                case NONE, SOLID -> {
                    int round = Math.max(0, look.color()) / Drawing.COLORS.size();
                    yield round == 0 ? new float[0] : new float[] {4f * round + 4, 4};
                }
                case DASHED -> new float[] {7, 5};
                case DOTTED -> new float[] {2, 4};
            };
            return dashes.length == 0
                    ? new BasicStroke(2, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND)
                    : new BasicStroke(2, BasicStroke.CAP_BUTT, BasicStroke.JOIN_ROUND, 10, dashes, 0);
        }

        @Override
        protected void drawFirstPassShape(Graphics2D graphics, int pass, int index, int item, Shape shape) {
            Drawing.group(
                    graphics,
                    Drawing.SERIES,
                    series.get(index).name(),
                    () -> super.drawFirstPassShape(graphics, pass, index, item, shape));
        }

        @Override
        protected void drawSecondaryPass(
                Graphics2D graphics,
                XYPlot plot,
                XYDataset dataset,
                int pass,
                int index,
                int item,
                ValueAxis domainAxis,
                Rectangle2D dataArea,
                ValueAxis rangeAxis,
                CrosshairState crosshairState,
                @Nullable EntityCollection entities) {
            if (series.get(index).look().marked()) {
                Drawing.group(
                        graphics,
                        Drawing.MARK,
                        series.get(index).points().get(item).label(),
                        () -> super.drawSecondaryPass(
                                graphics,
                                plot,
                                dataset,
                                pass,
                                index,
                                item,
                                domainAxis,
                                dataArea,
                                rangeAxis,
                                crosshairState,
                                entities));
            }
        }
    }
}
