package dev.ptq.train;

import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Splits text into words, which no token crosses. The tokenizer file gives the library that reads it the same rule. */
final class WordSplit {
    /** Stands for a space; one is put before the whole text. */
    static final String SPACE = "▁";

    /**
     * Covers every text without a gap: letters, one digit, anything else, each with the space before it; line ends; and
     * spaces, of which the last is left to a word that follows. An apostrophe goes with the letters after it, so that
     * {@code 's} and {@code 't} are words.
     *
     * <p>Java and Oniguruma read it alike. It has no {@code \s}, since only one of them takes that for Unicode.
     */
    static final String REGEX = "▁?['’]?[\\p{L}\\p{M}]+|▁?\\p{N}|▁?[^\\p{L}\\p{M}\\p{N}▁\\n]+|\\n+|▁+(?![^▁\\n])";

    private static final Pattern PATTERN = Pattern.compile(REGEX);

    private WordSplit() {}

    /** Passes on the words of a text in order; together they are the text with its spaces replaced. */
    static void forEachWord(String text, Consumer<String> action) {
        if (text.isEmpty()) {
            return;
        }
        Matcher matcher = PATTERN.matcher(SPACE + text.replace(" ", SPACE));
        while (matcher.find()) {
            action.accept(matcher.group());
        }
    }
}
