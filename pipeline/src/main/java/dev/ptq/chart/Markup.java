package dev.ptq.chart;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayDeque;
import java.util.Deque;

/** Writes XML, an element a line. Attributes are names and values in turn; fractions are cut to tenths. */
final class Markup {
    private final StringBuilder text = new StringBuilder();
    private final Deque<String> open = new ArrayDeque<>();

    /** Starts an element that others go into. */
    void open(String element, Object... attributes) {
        start(element, attributes).append(">\n");
        open.push(element);
    }

    /** Ends the element that was opened last. */
    void close() {
        String element = open.pop();
        text.append("  ".repeat(open.size())).append("</").append(element).append(">\n");
    }

    /** An element with nothing in it. */
    void empty(String element, Object... attributes) {
        start(element, attributes).append("/>\n");
    }

    /** An element that holds text. */
    void text(String element, String content, Object... attributes) {
        start(element, attributes).append('>').append(escaped(content));
        text.append("</").append(element).append(">\n");
    }

    private StringBuilder start(String element, Object... attributes) {
        text.append("  ".repeat(open.size())).append('<').append(element);
        for (int i = 0; i < attributes.length; i += 2) {
            Object value = attributes[i + 1];
            String written = value instanceof Double number ? number(number) : value.toString();
            text.append(' ')
                    .append(attributes[i])
                    .append("=\"")
                    .append(escaped(written))
                    .append('"');
        }
        return text;
    }

    /** A number in tenths, without a zero behind the point. */
    static String number(double value) {
        BigDecimal tenths = new BigDecimal(value).setScale(1, RoundingMode.HALF_EVEN);
        return (tenths.signum() == 0 ? BigDecimal.ZERO : tenths.stripTrailingZeros()).toPlainString();
    }

    private static String escaped(String content) {
        return content.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;");
    }

    @Override
    public String toString() {
        return text.toString();
    }
}
