package dev.ptq.evaluate.task;

import java.util.List;
import java.util.regex.Pattern;

/** Joins again what the authors of WikiText took apart, as far as the harness does. */
final class WikitextDetokenizer {
    private record Step(Pattern pattern, String replacement) {}

    /** In this order. */
    private static final List<Step> STEPS = List.of(
            literal("s '", "s'"),
            literal(" @-@ ", "-"),
            literal(" @,@ ", ","),
            literal(" @.@ ", "."),
            literal(" : ", ": "),
            literal(" ; ", "; "),
            literal(" . ", ". "),
            literal(" ! ", "! "),
            literal(" ? ", "? "),
            literal(" , ", ", "),
            between("(", ")"),
            between("[", "]"),
            between("{", "}"),
            between("\"", "\""),
            between("'", "'"),
            literal("= = = =", "===="),
            literal("= = =", "==="),
            literal("= =", "=="),
            literal(" \u00b0 ", "\u00b0"),
            literal(" \n", "\n"),
            literal("\n ", "\n"),
            literal(" N ", " 1 "),
            literal(" 's", "'s"));

    private WikitextDetokenizer() {}

    static String apply(String text) {
        String joined = text;
        for (Step step : STEPS) {
            joined = step.pattern().matcher(joined).replaceAll(step.replacement());
        }
        return joined;
    }

    private static Step literal(String text, String replacement) {
        return new Step(Pattern.compile(Pattern.quote(text)), replacement);
    }

    /** White space just inside a pair of marks goes. */
    private static Step between(String open, String close) {
        String pattern = Pattern.quote(open) + PythonText.SPACE + "*([^" + Pattern.quote(close) + "]*?)"
                + PythonText.SPACE + "*" + Pattern.quote(close);
        return new Step(Pattern.compile(pattern), open + "$1" + close);
    }
}
