package dev.ptq.data;

import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;

/** Tells English from the other languages of the European Union. */
final class English {
    private static final Pattern BETWEEN_WORDS = Pattern.compile("\\P{L}+");
    /**
     * Frequent words that are rare in texts of the other languages: "in", "of", "is", "be", "not" and the like are
     * missing, as other languages have them too.
     */
    private static final Set<String> WORDS = Set.of(
            "and", "are", "been", "can", "from", "must", "our", "should", "that", "the", "their", "there", "these",
            "they", "this", "what", "which", "who", "with", "would", "you", "your");
    /** At least one word in this many: English has one in five, anything else at most one in thirty. */
    private static final int ONE_IN = 15;

    private English() {}

    /** Returns whether a text is English, or mostly so. */
    static boolean is(String text) {
        List<String> words =
                BETWEEN_WORDS.splitAsStream(text.toLowerCase(Locale.ROOT)).toList();
        long english = words.stream().filter(WORDS::contains).count();
        return english > 0 && english * ONE_IN >= words.size();
    }
}
