package dev.ptq.evaluate;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/** Python's text functions, where Java's differ. */
public final class PythonText {
    private PythonText() {}

    /** Returns whether {@code str.strip} removes the character. */
    public static boolean isSpace(char c) {
        return (c >= 0x09 && c <= 0x0d)
                || (c >= 0x1c && c <= 0x20)
                || c == 0x85
                || c == 0xa0
                || c == 0x1680
                || (c >= 0x2000 && c <= 0x200a)
                || c == 0x2028
                || c == 0x2029
                || c == 0x202f
                || c == 0x205f
                || c == 0x3000;
    }

    public static String strip(String text) {
        return stripStart(stripEnd(text));
    }

    public static String stripStart(String text) {
        int start = 0;
        while (start < text.length() && isSpace(text.charAt(start))) {
            start++;
        }
        return text.substring(start);
    }

    public static String stripEnd(String text) {
        int end = text.length();
        while (end > 0 && isSpace(text.charAt(end - 1))) {
            end--;
        }
        return text.substring(0, end);
    }

    /** Returns how many pieces {@code re.split(r"\s+", text)} gives, including empty ones at the ends. */
    public static int words(String text) {
        int words = 1;
        for (int i = 0; i < text.length(); i++) {
            boolean begins = isSpace(text.charAt(i)) && (i == 0 || !isSpace(text.charAt(i - 1)));
            words += begins ? 1 : 0;
        }
        return words;
    }

    public static int characters(String text) {
        return text.codePointCount(0, text.length());
    }

    /** Returns the text with the first character in title case, all others in lower case. */
    public static String capitalize(String text) {
        if (text.isEmpty()) {
            return text;
        }
        String first = first(text);
        // the rest is lowered with the first character before it: a final sigma is one only after a letter
        String rest = text.toLowerCase(Locale.ROOT)
                .substring(first.toLowerCase(Locale.ROOT).length());
        String upper = first.toUpperCase(Locale.ROOT);
        return characters(upper) > 1
                ? first(upper) + upper.substring(first(upper).length()).toLowerCase(Locale.ROOT) + rest
                : Character.toString(Character.toTitleCase(first.codePointAt(0))) + rest;
    }

    public static String lowerFirst(String text) {
        if (text.isEmpty()) {
            return text;
        }
        String first = first(text);
        return first.toLowerCase(Locale.ROOT) + text.substring(first.length());
    }

    private static String first(String text) {
        return text.substring(0, text.offsetByCodePoints(0, 1));
    }

    /** Formats a float as Python does: the fewest digits that read back as the same value. */
    public static String number(double value) {
        if (value == 0 || !Double.isFinite(value)) {
            return Double.toString(value);
        }
        BigDecimal shortest = shortest(value).stripTrailingZeros();
        int exponent = shortest.precision() - shortest.scale() - 1;
        if (exponent >= -4 && exponent < 16) {
            String plain = shortest.toPlainString();
            return plain.contains(".") ? plain : plain + ".0";
        }
        String digits = shortest.unscaledValue().abs().toString();
        return (value < 0 ? "-" : "")
                + digits.charAt(0)
                + (digits.length() > 1 ? "." + digits.substring(1) : "")
                + (exponent < 0 ? "e-" : "e+")
                + (Math.abs(exponent) < 10 ? "0" : "")
                + Math.abs(exponent);
    }

    private static BigDecimal shortest(double value) {
        BigDecimal exact = new BigDecimal(value);
        for (int digits = 1; digits < 17; digits++) {
            for (RoundingMode mode : List.of(RoundingMode.HALF_EVEN, RoundingMode.UP, RoundingMode.DOWN)) {
                BigDecimal rounded = exact.round(new MathContext(digits, mode));
                if (rounded.doubleValue() == value) {
                    return rounded;
                }
            }
        }
        return exact.round(new MathContext(17));
    }

    /** {@code json.dumps(value, indent=2, ensure_ascii=False)}. */
    public static String json(JsonNode value) {
        StringBuilder text = new StringBuilder();
        json(value, "\n", text);
        return text.toString();
    }

    private static void json(JsonNode value, String newLine, StringBuilder text) {
        String inner = newLine + "  ";
        if (value.isObject() && !value.isEmpty()) {
            String separator = "{";
            for (Map.Entry<String, JsonNode> field : value.properties()) {
                text.append(separator).append(inner);
                quote(field.getKey(), text);
                text.append(": ");
                json(field.getValue(), inner, text);
                separator = ",";
            }
            text.append(newLine).append('}');
        } else if (value.isArray() && !value.isEmpty()) {
            String separator = "[";
            for (JsonNode item : value) {
                text.append(separator).append(inner);
                json(item, inner, text);
                separator = ",";
            }
            text.append(newLine).append(']');
        } else if (value.isString()) {
            quote(value.asString(), text);
        } else if (value.isFloatingPointNumber()) {
            text.append(number(value.doubleValue()));
        } else {
            text.append(value);
        }
    }

    private static void quote(String string, StringBuilder text) {
        text.append('"');
        for (int i = 0; i < string.length(); i++) {
            char c = string.charAt(i);
            switch (c) {
                case '"' -> text.append("\\\"");
                case '\\' -> text.append("\\\\");
                case '\n' -> text.append("\\n");
                case '\r' -> text.append("\\r");
                case '\t' -> text.append("\\t");
                case '\f' -> text.append("\\f");
                case '\b' -> text.append("\\b");
                default -> {
                    if (c < 0x20) {
                        text.append(String.format(Locale.ROOT, "\\u%04x", (int) c));
                    } else {
                        text.append(c);
                    }
                }
            }
        }
        text.append('"');
    }

    /** {@code str} of a text or number. */
    public static String text(JsonNode value) {
        if (value.isString()) {
            return value.asString();
        }
        return value.isFloatingPointNumber() ? number(value.doubleValue()) : value.toString();
    }
}
