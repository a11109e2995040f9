package dev.ptq.evaluate.task;

import dev.ptq.evaluate.PythonText;

/** Rejoins what WikiText's authors split, as far as the harness does. */
final class WikitextDetokenizer {
    /** Replacements, in this order, before white space in brackets and quotes. */
    private static final String[][] BEFORE = {
        {"s '", "s'"},
        {" @-@ ", "-"},
        {" @,@ ", ","},
        {" @.@ ", "."},
        {" : ", ": "},
        {" ; ", "; "},
        {" . ", ". "},
        {" ! ", "! "},
        {" ? ", "? "},
        {" , ", ", "}
    };

    /** Replacements after it. */
    private static final String[][] AFTER = {
        {"= = = =", "===="},
        {"= = =", "==="},
        {"= =", "=="},
        {" \u00b0 ", "\u00b0"},
        {" \n", "\n"},
        {"\n ", "\n"},
        {" N ", " 1 "},
        {" 's", "'s"}
    };

    private WikitextDetokenizer() {}

    static String apply(String text) {
        String joined = replaced(text, BEFORE);
        for (String marks : new String[] {"()", "[]", "{}", "\"\"", "''"}) {
            joined = tight(joined, marks.charAt(0), marks.charAt(1));
        }
        return replaced(joined, AFTER);
    }

    private static String replaced(String text, String[][] pairs) {
        String replaced = text;
        for (String[] pair : pairs) {
            replaced = replaced.replace(pair[0], pair[1]);
        }
        return replaced;
    }

    /** Removes white space just inside a pair of marks: each opening one goes with the next closing one. */
    private static String tight(String text, char open, char close) {
        StringBuilder tight = new StringBuilder();
        int done = 0;
        int start = text.indexOf(open);
        int end = text.indexOf(close, start + 1);
        while (start >= 0 && end >= 0) {
            tight.append(text, done, start + 1);
            tight.append(PythonText.strip(text.substring(start + 1, end)));
            done = end;
            start = text.indexOf(open, end + 1);
            end = text.indexOf(close, start + 1);
        }
        return tight.append(text, done, text.length()).toString();
    }
}
