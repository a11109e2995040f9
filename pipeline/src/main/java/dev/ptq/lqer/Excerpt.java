package dev.ptq.lqer;

/** Shortens texts that are too long for a line. */
final class Excerpt {
    private Excerpt() {}

    /** Returns the text, or its first characters and an ellipsis. */
    static String of(String text, int longest) {
        return text.codePointCount(0, text.length()) <= longest
                ? text
                : text.substring(0, text.offsetByCodePoints(0, longest - 1)) + "…";
    }
}
