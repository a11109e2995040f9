package dev.ptq.report;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * HTML as it is written, which is XML too: text is escaped, elements are closed in their order. Attributes are names and
 * values in turn.
 */
final class Html {
    private final StringBuilder page = new StringBuilder();
    private final Deque<String> open = new ArrayDeque<>();

    /** Starts an element that others go into. */
    Html open(String element, String... attributes) {
        start(element, attributes).append('>');
        open.push(element);
        return this;
    }

    /** Ends the element that was opened last. */
    Html close() {
        page.append("</").append(open.pop()).append(">\n");
        return this;
    }

    /** An element with nothing but text in it. */
    Html element(String element, String text, String... attributes) {
        return open(element, attributes).text(text).close();
    }

    /** An element with nothing in it. */
    Html empty(String element, String... attributes) {
        start(element, attributes).append("/>");
        return this;
    }

    Html text(String text) {
        page.append(escaped(text));
        return this;
    }

    /** A name that may be broken after its parts: {@code approximation.l2qer.rank}. */
    Html name(String name) {
        page.append(escaped(name).replaceAll("[/._](?=[^/._])", "$0<wbr/>"));
        return this;
    }

    /** What is HTML already, none of it from a file of results. */
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

    /** Text that is nothing but text, in an element and in an attribute; what neither may have becomes a blank. */
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

    /** Text of so many characters at most. */
    static String cut(String text, int most) {
        return text.length() <= most ? text : text.substring(0, most - 1) + "…";
    }

    @Override
    public String toString() {
        return page.toString();
    }
}
