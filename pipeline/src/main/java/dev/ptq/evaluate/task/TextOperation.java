package dev.ptq.evaluate.task;

import dev.ptq.config.ConfigException;
import java.util.Locale;

/** What a template can do to a text, by the name it has there in lower case. */
enum TextOperation {
    /** Without white space at the ends. */
    STRIP,
    /** Without white space at the start. */
    LSTRIP,
    /** The first letter large, all others small. */
    CAPITALIZE,
    /** The first letter small. */
    LOWER_FIRST,
    /** Without the last character. */
    DROP_LAST,
    /** Up to the last space; nothing where there is none. */
    BEFORE_LAST_SPACE,
    /** What follows the last space; all of it where there is none. */
    AFTER_LAST_SPACE,
    /** Up to the first underscore, which stands for what is missing. */
    BEFORE_GAP,
    /** What follows it. */
    AFTER_GAP,
    /** Spaces for underscores. */
    SPACES,
    /** What leads from a premise to its cause or effect. */
    CONNECTOR,
    /** The letter of a choice that is counted from 1. */
    LETTER,
    /** HellaSwag's cleaning: marks such as {@code [header]} go. */
    HELLASWAG,
    /** See {@link WikitextDetokenizer}. */
    WIKITEXT;

    static TextOperation named(String name) {
        return valueOf(name.toUpperCase(Locale.ROOT));
    }

    /**
     * Changes a text.
     *
     * @throws ConfigException saying what was expected of it
     */
    String apply(String text) {
        return switch (this) {
            case STRIP -> PythonText.strip(text);
            case LSTRIP -> PythonText.stripStart(text);
            case CAPITALIZE -> PythonText.capitalize(text);
            case LOWER_FIRST -> PythonText.lowerFirst(text);
            case DROP_LAST -> text.isEmpty() ? text : text.substring(0, text.offsetByCodePoints(text.length(), -1));
            case BEFORE_LAST_SPACE -> text.substring(0, Math.max(0, text.lastIndexOf(' ')));
            case AFTER_LAST_SPACE -> text.substring(text.lastIndexOf(' ') + 1);
            case BEFORE_GAP -> text.substring(0, gap(text));
            case AFTER_GAP -> text.substring(gap(text) + 1);
            case SPACES -> text.replace('_', ' ');
            case CONNECTOR -> connector(text);
            case LETTER -> text.matches("[1-5]") ? String.valueOf((char) ('A' + text.charAt(0) - '1')) : text;
            case HELLASWAG ->
                PythonText.strip(text)
                        .replace(" [title]", ". ")
                        .replaceAll("\\[[^\\n]*?\\]", "")
                        .replace("  ", " ");
            case WIKITEXT -> WikitextDetokenizer.apply(text);
        };
    }

    private static int gap(String text) {
        int gap = text.indexOf('_');
        if (gap < 0) {
            throw new ConfigException("expected an underscore for what is missing, got \"" + text + "\"");
        }
        return gap;
    }

    private static String connector(String text) {
        return switch (text) {
            case "cause" -> "because";
            case "effect" -> "therefore";
            default -> throw new ConfigException("expected \"cause\" or \"effect\", got \"" + text + "\"");
        };
    }
}
