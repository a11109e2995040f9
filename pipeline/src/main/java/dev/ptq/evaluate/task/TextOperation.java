package dev.ptq.evaluate.task;

import dev.ptq.config.ConfigException;
import dev.ptq.evaluate.PythonText;
import java.util.Locale;

/** An operation on a template's text; templates name it in lower case. */
enum TextOperation {
    /** Strips white space at both ends. */
    STRIP,
    /** Strips white space at the start. */
    LSTRIP,
    /** The first letter in upper case, all others in lower case. */
    CAPITALIZE,
    /** The first letter in lower case. */
    LOWER_FIRST,
    /** Drops the last character. */
    DROP_LAST,
    /** The text before the last space; empty if there is none. */
    BEFORE_LAST_SPACE,
    /** The text after the last space; all of it if there is none. */
    AFTER_LAST_SPACE,
    /** The text before the first underscore, which marks the gap. */
    BEFORE_GAP,
    /** The text after it. */
    AFTER_GAP,
    /** Replaces underscores by spaces. */
    SPACES,
    /** The connector between a premise and its cause or effect. */
    CONNECTOR,
    /** The letter of a choice, counted from 1. */
    LETTER,
    /** HellaSwag's cleaning: removes marks such as {@code [header]}. */
    HELLASWAG,
    /** See {@link WikitextDetokenizer}. */
    WIKITEXT;

    static TextOperation named(String name) {
        return valueOf(name.toUpperCase(Locale.ROOT));
    }

    /**
     * Applies the operation.
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
