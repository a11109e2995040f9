package dev.ptq.chart;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.geom.Rectangle2D;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.jfree.chart.JFreeChart;
import org.jfree.chart.axis.Axis;
import org.jfree.chart.block.BlockBorder;
import org.jfree.chart.plot.Plot;
import org.jfree.chart.text.TextUtils;
import org.jfree.chart.title.LegendTitle;
import org.jfree.chart.ui.HorizontalAlignment;
import org.jfree.chart.ui.RectangleEdge;
import org.jfree.chart.ui.RectangleInsets;
import org.jfree.svg.SVGGraphics2D;
import org.jfree.svg.SVGHints;

/** Common ground of all charts: colours, fonts, and the conversion of the library's chart to text. */
final class Drawing {
    static final Color TEXT = new Color(0x7a7a7a);
    static final List<Color> COLORS = List.of(
            new Color(0x2a78c8),
            new Color(0xd0650f),
            new Color(0x1f9254),
            new Color(0x9a63d6),
            new Color(0xd1495b),
            new Color(0x1d8a99),
            new Color(0x8a7a2a));

    /** The class of an element that stands for a value. */
    static final String MARK = "mark";

    /** The class of an element that stands for a series. */
    static final String SERIES = "series";

    private static final Color GRID = transparent(TEXT, 80);
    private static final Font FONT = new Font(Font.SANS_SERIF, Font.PLAIN, 13);
    private static final String FONT_FAMILY = "system-ui, sans-serif";
    private static final int LONGEST_TEXT = 300;

    /** Clipping is not needed, as everything is within the axes, and its references would be half of the text. */
    private static final Pattern CLIPPING = Pattern.compile("<defs>.*?</defs>| clip-path='[^']*'");

    static {
        // the library would draw letters as outlines, to suit very old Java versions
        TextUtils.setUseDrawRotatedStringWorkaround(false);
    }

    private Drawing() {}

    /** Writes the plot, with the legend above it on request. */
    static String svg(String title, Plot plot, boolean legend, int width, int height) {
        plot.setBackgroundPaint(null);
        plot.setOutlineVisible(false);
        plot.setInsets(RectangleInsets.ZERO_INSETS);
        JFreeChart chart = new JFreeChart(null, FONT, plot, false);
        chart.setBackgroundPaint(null);
        chart.setPadding(new RectangleInsets(4, 4, 4, 12));
        if (legend) {
            LegendTitle names = new LegendTitle(plot);
            names.setItemFont(FONT);
            names.setItemPaint(TEXT);
            names.setBackgroundPaint(null);
            names.setFrame(BlockBorder.NONE);
            names.setPosition(RectangleEdge.TOP);
            names.setHorizontalAlignment(HorizontalAlignment.LEFT);
            chart.addLegend(names);
        }
        SVGGraphics2D graphics = new SVGGraphics2D(width, height);
        graphics.setGeomDoubleConverter(Drawing::number);
        graphics.setTransformDoubleConverter(Drawing::number);
        graphics.setFontFunction(family -> FONT_FAMILY);
        chart.draw(graphics, new Rectangle2D.Double(0, 0, width, height));
        String drawn = graphics.getSVGElement(null, false, null, null, null);
        String body = CLIPPING.matcher(drawn.substring(drawn.indexOf('>') + 1))
                .replaceAll("")
                .replace("><", ">\n<");
        return "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " + width + " " + height + "' width='" + width
                + "' height='" + height + "' role='img'>\n<title>" + escaped(shown(title)) + "</title>\n" + body + "\n";
    }

    static void style(Axis axis) {
        axis.setLabelFont(FONT);
        axis.setLabelPaint(TEXT);
        axis.setTickLabelFont(FONT);
        axis.setTickLabelPaint(TEXT);
        axis.setAxisLineVisible(false);
        axis.setTickMarksVisible(false);
        axis.setTickLabelInsets(new RectangleInsets(2, 4, 2, 6));
    }

    static Color grid() {
        return GRID;
    }

    static Color transparent(Color color, int alpha) {
        return new Color(color.getRed(), color.getGreen(), color.getBlue(), alpha);
    }

    static BasicStroke thin() {
        return new BasicStroke(1);
    }

    static Color color(int index) {
        return COLORS.get(index % COLORS.size());
    }

    /** Puts the output of {@code drawing} into a group of a class, with {@code title} as its tooltip. */
    static void group(Graphics2D graphics, String name, String title, Runnable drawing) {
        graphics.setRenderingHint(SVGHints.KEY_BEGIN_GROUP, Map.of("class", name));
        if (!title.isEmpty()) {
            graphics.setRenderingHint(SVGHints.KEY_ELEMENT_TITLE, shown(title));
        }
        drawing.run();
        graphics.setRenderingHint(SVGHints.KEY_END_GROUP, true);
    }

    /** Cuts long text and blanks characters that XML forbids. */
    static String shown(String text) {
        StringBuilder kept = new StringBuilder();
        text.codePoints().limit(LONGEST_TEXT).map(c -> isInXml(c) ? c : ' ').forEach(kept::appendCodePoint);
        return kept.toString();
    }

    private static boolean isInXml(int c) {
        boolean surrogate = c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE;
        return c >= ' ' && c != 0xFFFE && c != 0xFFFF && !Character.isISOControl(c) && !surrogate;
    }

    private static String escaped(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
    }

    /** Formats a number in tenths, without a trailing zero. */
    private static String number(double value) {
        BigDecimal tenths = new BigDecimal(value).setScale(1, RoundingMode.HALF_EVEN);
        return (tenths.signum() == 0 ? BigDecimal.ZERO : tenths.stripTrailingZeros()).toPlainString();
    }
}
