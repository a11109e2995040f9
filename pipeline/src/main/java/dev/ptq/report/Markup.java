package dev.ptq.report;

import java.util.Map;
import java.util.regex.Pattern;

/** Escapes text for markup languages. */
final class Markup {
    /** Underscores within a word have no meaning in Markdown. */
    private static final Pattern MARKDOWN = Pattern.compile("[\\\\`*\\[\\]<>|~&$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])");

    private static final Map<Character, String> LATEX = Map.ofEntries(
            Map.entry('\\', "\\textbackslash{}"),
            Map.entry('{', "\\{"),
            Map.entry('}', "\\}"),
            Map.entry('$', "\\$"),
            Map.entry('&', "\\&"),
            Map.entry('#', "\\#"),
            Map.entry('%', "\\%"),
            Map.entry('_', "\\_"),
            Map.entry('~', "\\textasciitilde{}"),
            Map.entry('^', "\\textasciicircum{}"),
            Map.entry('<', "\\textless{}"),
            Map.entry('>', "\\textgreater{}"),
            Map.entry('|', "\\textbar{}"),
            // after the end of a row, these would be read as its options
            Map.entry('[', "{[}"),
            Map.entry('*', "{*}"));

    private Markup() {}

    static String markdown(String text) {
        return MARKDOWN.matcher(oneLine(text)).replaceAll("\\\\$0");
    }

    static String latex(String text) {
        StringBuilder escaped = new StringBuilder();
        oneLine(text).chars().forEach(c -> escaped.append(LATEX.getOrDefault((char) c, String.valueOf((char) c))));
        return escaped.toString();
    }

    /** A number, possibly with an exponent, in math mode. */
    static String latexNumber(String number) {
        return number.replace("inf", "\\infty")
                .replace("nan", "\\mathrm{nan}")
                .replaceFirst("[eE]([-+]?[0-9]+)$", " \\\\times 10^{$1}");
    }

    private static String oneLine(String text) {
        return text.replaceAll("\\p{Cntrl}+", " ");
    }
}
