package dev.ptq.run;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.StringJoiner;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Parses the output of {@link CanonicalText}. */
final class SettingsReader {
    private static final Pattern WORD = Pattern.compile("[A-Za-z0-9_.$+-]+");
    private static final Pattern DIGEST = Pattern.compile("\"[0-9a-f]{64}\"");
    private static final Pattern CONSTANT = Pattern.compile("[A-Z][A-Za-z0-9_$]*\\.(?:.*\\.)?(?<name>[A-Z][A-Z0-9_]*)");
    private static final int DEEPEST = 50;

    private final String text;
    private int at;

    private SettingsReader(String text) {
        this.text = text;
    }

    /** Reads canonical text; any other text is a plain value. */
    static SettingsTree read(String text) {
        SettingsReader reader = new SettingsReader(text);
        try {
            SettingsTree tree = reader.value(0);
            return reader.at == text.length() ? tree : SettingsTree.plain(text, text);
        } catch (IllegalArgumentException e) {
            return SettingsTree.plain(text, text);
        }
    }

    private SettingsTree value(int depth) {
        require(depth < DEEPEST);
        if (take("?(")) {
            return take(")") ? SettingsTree.plain("?()", "none") : last(value(depth + 1));
        }
        if (take("[")) {
            return list(depth);
        }
        int start = at;
        if (text.startsWith("\"", at)) {
            String string = string();
            boolean digest = DIGEST.matcher(string).matches();
            return SettingsTree.plain(string, digest ? string.substring(1, 13) + "…" : string);
        }
        String word = match(WORD);
        if (take("(")) {
            return record(word, start, depth);
        }
        Matcher constant = CONSTANT.matcher(word);
        return SettingsTree.plain(
                word, constant.matches() ? constant.group("name").toLowerCase(Locale.ROOT) : word);
    }

    private String string() {
        int start = at++;
        while (!text.startsWith("\"", at)) {
            at += text.startsWith("\\", at) ? 2 : 1;
            require(at < text.length());
        }
        at++;
        return text.substring(start, at);
    }

    private SettingsTree last(SettingsTree value) {
        require(take(")"));
        return value;
    }

    private SettingsTree list(int depth) {
        int start = at - 1;
        Map<String, SettingsTree> parts = new LinkedHashMap<>();
        StringJoiner shown = new StringJoiner(", ", "[", "]");
        while (!take("]")) {
            require(parts.isEmpty() || take(", "));
            SettingsTree part = value(depth + 1);
            parts.put(String.valueOf(parts.size()), part);
            shown.add(part.shown());
        }
        String list = text.substring(start, at);
        boolean plain = !parts.isEmpty()
                && parts.values().stream().allMatch(part -> part.type().isEmpty());
        return plain
                ? SettingsTree.plain(list, shown.toString())
                : new SettingsTree("[]", list, shown.toString(), parts);
    }

    private SettingsTree record(String type, int start, int depth) {
        Map<String, SettingsTree> parts = new LinkedHashMap<>();
        StringJoiner shown = new StringJoiner(", ", type + "(", ")");
        while (!take(")")) {
            require(parts.isEmpty() || take(", "));
            String name = snakeCase(match(WORD));
            require(take("="));
            SettingsTree part = value(depth + 1);
            parts.put(name, part);
            shown.add(name + "=" + part.shown());
        }
        return new SettingsTree(type, text.substring(start, at), shown.toString(), parts);
    }

    /** Converts a name to the form of config keys. */
    private static String snakeCase(String name) {
        return name.replaceAll("(?<=[a-z0-9])(?=[A-Z])", "_").toLowerCase(Locale.ROOT);
    }

    private boolean take(String token) {
        boolean found = text.startsWith(token, at);
        at += found ? token.length() : 0;
        return found;
    }

    private String match(Pattern pattern) {
        Matcher matcher = pattern.matcher(text).region(at, text.length());
        require(matcher.lookingAt());
        at = matcher.end();
        return matcher.group();
    }

    private static void require(boolean condition) {
        if (!condition) {
            throw new IllegalArgumentException("not canonical text");
        }
    }
}
