package dev.ptq.lqer;

import dev.ptq.config.ConfigException;
import dev.ptq.config.Node;
import dev.ptq.config.Position;
import dev.ptq.config.TomlWriter;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Parses Python literals: dicts, lists, tuples, strings, numbers, True, False and None. Nothing else is accepted, so
 * nothing can be executed. A tuple becomes a list, {@code None} the text {@link LqerTable#NONE}.
 */
final class PythonLiteral {
    private static final int DEEPEST = 100;
    private static final int END = -1;

    private static final String DIGITS = "[0-9](?:_?[0-9])*";
    private static final Pattern DECIMAL = Pattern.compile(
            "(?:D\\.(?:D)?|\\.D|D(?=[eE]))(?:[eE][+-]?D)?".replace("D", DIGITS)); // with a point, an exponent or both
    private static final Pattern WHOLE =
            Pattern.compile("0[xX](?<hex>(?:_?[0-9a-fA-F])+)|0[oO](?<octal>(?:_?[0-7])+)|0[bB](?<binary>(?:_?[01])+)"
                    + "|(?<decimal>[1-9](?:_?[0-9])*|0(?:_?0)*)");
    private static final Pattern WORD = Pattern.compile("[A-Za-z_][A-Za-z0-9_]*");

    private static final String SHORT_ESCAPES = "\\'\"abfnrtv";
    private static final String ESCAPED = "\\'\"\u0007\b\f\n\r\t\u000b";
    private static final Pattern LONG_ESCAPE =
            Pattern.compile("x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(?<octal>[0-7]{1,3})");

    private final String text;
    private final Position position;
    private final String key;
    private int at;
    private int depth;
    private boolean endedWithComma;

    private PythonLiteral(String text, Position position, String key) {
        this.text = text;
        this.position = position;
        this.key = key;
    }

    /**
     * Reads one literal.
     *
     * @param position of the text, given to everything in it
     * @param key whose value the text is, for messages
     * @throws ConfigException if the text is anything else
     */
    static Node parse(String text, Position position, String key) {
        return new PythonLiteral(text, position, key).whole();
    }

    /** Commas outside brackets make a tuple too. */
    private Node whole() {
        List<Node> values = items(END);
        if (values.isEmpty()) {
            throw expected("a value");
        }
        return inParentheses(values);
    }

    private Node inParentheses(List<Node> values) {
        return values.size() == 1 && !endedWithComma ? values.get(0) : new Node.Items(values, position);
    }

    private Node value() {
        int next = next();
        if (next == '{' || next == '[' || next == '(') {
            return nested(next);
        }
        if (next == '\'' || next == '"') {
            return scalar(string(false));
        }
        if ((next == 'r' || next == 'R') && (is(at + 1, '\'') || is(at + 1, '"'))) {
            at++;
            return scalar(string(true));
        }
        if (next == '+' || next == '-' || next == '.' || (next >= '0' && next <= '9')) {
            return scalar(number());
        }
        return scalar(word());
    }

    private Node nested(int bracket) {
        if (++depth > DEEPEST) {
            throw expected("at most " + DEEPEST + " brackets in each other");
        }
        at++;
        Node value = switch (bracket) {
            case '{' -> dict();
            case '[' -> new Node.Items(items(']'), position);
            default -> inParentheses(items(')'));
        };
        depth--;
        return value;
    }

    /** Reads the items between commas and consumes the closing bracket. */
    private List<Node> items(int close) {
        List<Node> items = new ArrayList<>();
        boolean comma = false;
        while (next() != close) {
            items.add(value());
            comma = next() == ',';
            if (comma) {
                at++;
            } else if (next() != close) {
                throw expected(close == END ? "the end" : "a comma or " + (char) close);
            }
        }
        at += close == END ? 0 : 1;
        endedWithComma = comma;
        return items;
    }

    private Node dict() {
        Map<String, Node> entries = new LinkedHashMap<>();
        while (next() != '}') {
            int start = at;
            if (!(value() instanceof Node.Scalar name)) {
                at = start;
                throw expected("a text or a number as a key");
            }
            if (next() != ':') {
                throw expected("a colon");
            }
            at++;
            entries.put(String.valueOf(name.value()), value());
            if (next() == ',') {
                at++;
            } else if (next() != '}') {
                throw expected("a comma or }");
            }
        }
        at++;
        return new Node.Table(entries, position);
    }

    private Object word() {
        Matcher word = WORD.matcher(text).region(at, text.length());
        Object value = switch (word.lookingAt() ? word.group() : "") {
            case "True" -> true;
            case "False" -> false;
            case "None" -> LqerTable.NONE;
            default -> throw expected("a value");
        };
        at = word.end();
        return value;
    }

    private Object number() {
        int start = at;
        boolean negative = is(at, '-');
        if (negative || is(at, '+')) {
            at++;
            next();
        }
        Matcher decimal = DECIMAL.matcher(text).region(at, text.length());
        Matcher whole = WHOLE.matcher(text).region(at, text.length());
        boolean pointed = decimal.lookingAt();
        if (!pointed && !whole.lookingAt()) {
            throw expected("a number");
        }
        String digits = (pointed ? decimal : whole).group().replace("_", "");
        at = (pointed ? decimal : whole).end();
        if (at < text.length() && (Character.isLetterOrDigit(text.charAt(at)) || "._".indexOf(text.charAt(at)) >= 0)) {
            at = start;
            throw expected("a number");
        }
        if (pointed) {
            double value = Double.parseDouble(digits);
            return negative ? -value : value;
        }
        BigInteger value = wholeNumber(whole);
        try {
            return (negative ? value.negate() : value).longValueExact();
        } catch (ArithmeticException e) {
            at = start;
            throw expected("a whole number of 64 bits");
        }
    }

    private static BigInteger wholeNumber(Matcher whole) {
        for (Map.Entry<String, Integer> base :
                Map.of("hex", 16, "octal", 8, "binary", 2, "decimal", 10).entrySet()) {
            String digits = whole.group(base.getKey());
            if (digits != null) {
                return new BigInteger(digits.replace("_", ""), base.getValue());
            }
        }
        throw new IllegalStateException(whole.group());
    }

    private String string(boolean raw) {
        int start = at;
        char quote = text.charAt(at++);
        StringBuilder value = new StringBuilder();
        while (!is(at, quote)) {
            if (at == text.length() || is(at, '\n')) {
                at = start;
                throw expected("a text that ends with " + quote + " on its line");
            }
            if (!is(at, '\\')) {
                value.append(text.charAt(at++));
            } else if (raw) {
                value.append('\\');
                at++;
                if (at < text.length()) {
                    value.append(text.charAt(at++));
                }
            } else {
                at++;
                escape(value);
            }
        }
        at++;
        if (!StandardCharsets.UTF_8.newEncoder().canEncode(value)) {
            at = start;
            throw expected("a text without halves of characters");
        }
        return value.toString();
    }

    /** Reads an escape sequence. As in Python, an unknown one keeps its backslash, which regular expressions need. */
    private void escape(StringBuilder value) {
        int kind = at < text.length() ? SHORT_ESCAPES.indexOf(text.charAt(at)) : END;
        if (kind >= 0) {
            value.append(ESCAPED.charAt(kind));
            at++;
            return;
        }
        if (is(at, '\n')) {
            at++;
            return;
        }
        Matcher code = LONG_ESCAPE.matcher(text).region(at, text.length());
        if (code.lookingAt()) {
            String octal = code.group("octal");
            int point = octal == null
                    ? Integer.parseUnsignedInt(code.group().substring(1), 16)
                    : Integer.parseInt(octal, 8);
            if (!Character.isValidCodePoint(point)) {
                throw expected("the number of a character");
            }
            value.appendCodePoint(point);
            at = code.end();
        } else if (is(at, 'x') || is(at, 'u') || is(at, 'U') || is(at, 'N')) {
            throw expected("the number of a character");
        } else {
            value.append('\\');
        }
    }

    /** Returns the next character that is not white space, or {@link #END}. */
    private int next() {
        while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
            at++;
        }
        return at < text.length() ? text.charAt(at) : END;
    }

    private boolean is(int place, int character) {
        return place < text.length() && text.charAt(place) == character;
    }

    private Node scalar(Object value) {
        return new Node.Scalar(value, position);
    }

    private ConfigException expected(String what) {
        String rest = text.substring(Math.min(at, text.length()));
        String got = rest.isEmpty() ? "its end" : TomlWriter.inline(Excerpt.of(rest, 20));
        return new ConfigException(position + ": " + key + ": expected " + what + " at character " + (at + 1)
                + " of the Python literal, got " + got);
    }
}
