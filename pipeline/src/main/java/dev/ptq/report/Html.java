package dev.ptq.report;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * Builds HTML that is also XML: text is escaped, elements are closed in order. Attributes are names and values in turn.
 */
final class Html {
    private final StringBuilder page = new StringBuilder();
    private final Deque<String> open = new ArrayDeque<>();

    /** Starts an element with children. */
    Html open(String element, String... attributes) {
        start(element, attributes).append('>');
        open.push(element);
        return this;
    }

    /** Ends the innermost open element. */
    Html close() {
        page.append("</").append(open.pop()).append(">\n");
        return this;
    }

    /** An element that contains only text. */
    Html element(String element, String text, String... attributes) {
        return open(element, attributes).text(text).close();
    }

    /** An empty element. */
    Html empty(String element, String... attributes) {
        start(element, attributes).append("/>");
        return this;
    }

    Html text(String text) {
        page.append(escaped(text));
        return this;
    }

    /** A name that may break after its parts: {@code approximation.l2qer.rank}. */
    Html name(String name) {
        page.append(escaped(name).replaceAll("[/._](?=[^/._])", "$0<wbr/>"));
        return this;
    }

    /** Adds finished HTML, none of it from a file of results. */
    Html raw(String html) {
        page.append(html);
        return this;
    }

    private StringBuilder start(String element, String... attributes) {
        page.append('<').append(element);
        for (int i = 0; i < attributes.length; i += 2) {
            page.append(' ')
                    .append(attributes[i])
                    .append("=\"")
                    .append(escaped(attributes[i + 1]))
                    .append('"');
        }
        return page;
    }

    /** Escapes text for elements and attributes; characters allowed in neither become a blank. */
    static String escaped(String text) {
        StringBuilder escaped = new StringBuilder();
        text.codePoints().forEach(c -> {
            switch (c) {
                case '&' -> escaped.append("&amp;");
                case '<' -> escaped.append("&lt;");
                case '>' -> escaped.append("&gt;");
                case '"' -> escaped.append("&quot;");
                case '\'' -> escaped.append("&#39;");
                default -> escaped.appendCodePoint(isText(c) ? c : ' ');
            }
        });
        return escaped.toString();
    }

    private static boolean isText(int c) {
        boolean surrogate = c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE;
        return !surrogate && !Character.isISOControl(c) && (c & 0xFFFE) != 0xFFFE;
    }

    /** Cuts text to at most this many characters. */
    static String cut(String text, int most) {
        return text.length() <= most ? text : text.substring(0, most - 1) + "…";
    }

    @Override
    public String toString() {
        return page.toString();
    }
}
