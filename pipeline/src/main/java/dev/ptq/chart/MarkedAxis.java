package dev.ptq.chart;

import java.awt.Graphics2D;
import java.awt.geom.Rectangle2D;
import java.math.BigDecimal;
import java.util.List;
import org.jfree.chart.axis.AxisState;
import org.jfree.chart.axis.NumberAxis;
import org.jfree.chart.axis.NumberTick;
import org.jfree.chart.ui.RectangleEdge;
import org.jfree.chart.ui.TextAnchor;

/** The library's axis with our range and marks, which are round on a logarithmic scale too. */
@SuppressWarnings("serial") // the library's axes are serializable; nobody does that here
final class MarkedAxis extends NumberAxis {
    private final Axis axis;
    private final AxisRange range;

    MarkedAxis(Axis axis, double[] values) {
        super(Drawing.shown(axis.label()));
        this.axis = axis;
        this.range = AxisRange.of(axis, values);
        setRange(range.low(), range.high());
    }

    @Override
    public double valueToJava2D(double value, Rectangle2D area, RectangleEdge edge) {
        double position = range.position(value);
        return RectangleEdge.isTopOrBottom(edge)
                ? area.getMinX() + position * area.getWidth()
                : area.getMaxY() - position * area.getHeight();
    }

    @Override
    public List<NumberTick> refreshTicks(
            Graphics2D graphics, AxisState state, Rectangle2D dataArea, RectangleEdge edge) {
        TextAnchor anchor = RectangleEdge.isTopOrBottom(edge) ? TextAnchor.TOP_CENTER : TextAnchor.CENTER_RIGHT;
        List<BigDecimal> marks = axis.marks().isEmpty()
                ? range.marks()
                : axis.marks().stream().map(BigDecimal::valueOf).toList();
        return marks.stream()
                .map(mark -> new NumberTick(mark, MarkLabel.of(mark), anchor, TextAnchor.CENTER, 0))
                .toList();
    }
}
