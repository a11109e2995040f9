package dev.ptq.chart;

import java.awt.BasicStroke;
import java.awt.Graphics2D;
import java.awt.geom.Rectangle2D;
import java.util.List;
import java.util.stream.DoubleStream;
import org.jfree.chart.axis.AxisLocation;
import org.jfree.chart.axis.CategoryAxis;
import org.jfree.chart.axis.ValueAxis;
import org.jfree.chart.plot.CategoryPlot;
import org.jfree.chart.plot.PlotOrientation;
import org.jfree.chart.renderer.category.CategoryItemRendererState;
import org.jfree.chart.renderer.category.StandardBarPainter;
import org.jfree.chart.renderer.category.StatisticalBarRenderer;
import org.jfree.data.category.CategoryDataset;
import org.jfree.data.statistics.DefaultStatisticalCategoryDataset;
import org.jspecify.annotations.Nullable;

/** Horizontal bars from zero, one below the other, with error bars. */
public record BarChart(String title, Axis axis, List<Bar> bars) implements Chart {
    private static final int WIDTH = 560;
    private static final int LONGEST_NAME = 34;

    /**
     * A named value.
     *
     * @param error to both sides of the value; NaN if unknown
     */
    public record Bar(String name, double value, double error, String label) {}

    /** Rejects what cannot be drawn: no bars at all, and values that are not on the axis. */
    public BarChart {
        bars = List.copyOf(bars);
        if (bars.isEmpty()) {
            throw new IllegalArgumentException("a chart needs at least one bar");
        }
        for (Bar bar : bars) {
            axis.check(bar.value(), bar.name());
            if (Double.isInfinite(bar.error()) || bar.error() < 0) {
                throw new IllegalArgumentException(bar.name() + ": off by " + bar.error());
            }
        }
    }

    @Override
    public String svg() {
        DefaultStatisticalCategoryDataset data = new DefaultStatisticalCategoryDataset();
        for (int i = 0; i < bars.size(); i++) {
            Bar bar = bars.get(i);
            Number value = bar.value();
            @Nullable Number error = Double.isNaN(bar.error()) ? null : (Number) bar.error();
            data.add(value, error, 0, new Name(i));
        }
        MarkedAxis values = new MarkedAxis(axis.showing(0), ends());
        CategoryAxis names = new CategoryAxis();
        names.setMaximumCategoryLabelWidthRatio(0.5f);
        names.setLowerMargin(0);
        names.setUpperMargin(0);
        names.setCategoryMargin(0.35);
        Drawing.style(values);
        Drawing.style(names);
        CategoryPlot plot = new CategoryPlot(data, names, values, new Renderer());
        plot.setOrientation(PlotOrientation.HORIZONTAL);
        plot.setRangeAxisLocation(AxisLocation.BOTTOM_OR_LEFT);
        plot.setRangeGridlinePaint(Drawing.grid());
        plot.setRangeGridlineStroke(Drawing.thin());
        return Drawing.svg(title, plot, false, WIDTH, 70 + 24 * bars.size());
    }

    private double[] ends() {
        return bars.stream()
                .flatMapToDouble(bar -> Double.isNaN(bar.error())
                        ? DoubleStream.of(bar.value())
                        : DoubleStream.of(bar.value() - bar.error(), bar.value() + bar.error()))
                .toArray();
    }

    /** A bar's name, made unique by its index, since two bars may share a name. */
    private final class Name implements Comparable<Name> {
        private final int place;

        Name(int place) {
            this.place = place;
        }

        @Override
        public int compareTo(Name other) {
            return Integer.compare(place, other.place);
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Name name && name.place == place;
        }

        @Override
        public int hashCode() {
            return place;
        }

        @Override
        public String toString() {
            String name = Drawing.shown(bars.get(place).name());
            return name.length() <= LONGEST_NAME ? name : "…" + name.substring(name.length() - LONGEST_NAME + 1);
        }
    }

    /** Draws each bar, with its error, as a separate group. */
    @SuppressWarnings("serial") // the library's renderers are serializable; nobody does that here
    private final class Renderer extends StatisticalBarRenderer {
        Renderer() {
            // light enough to see both ends of the error
            setSeriesPaint(0, Drawing.transparent(Drawing.color(0), 140));
            setErrorIndicatorPaint(Drawing.TEXT);
            setErrorIndicatorStroke(new BasicStroke(1.5f));
            setBarPainter(new StandardBarPainter());
            setShadowVisible(false);
            setDrawBarOutline(false);
        }

        @Override
        public void drawItem(
                Graphics2D graphics,
                CategoryItemRendererState state,
                Rectangle2D dataArea,
                CategoryPlot plot,
                CategoryAxis domainAxis,
                ValueAxis rangeAxis,
                CategoryDataset data,
                int row,
                int column,
                int pass) {
            Drawing.group(
                    graphics,
                    Drawing.MARK,
                    bars.get(column).label(),
                    () -> super.drawItem(
                            graphics, state, dataArea, plot, domainAxis, rangeAxis, data, row, column, pass));
        }
    }
}
