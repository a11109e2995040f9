package dev.ptq.config;

import java.util.Collection;
import java.util.Locale;
import java.util.Optional;

/** Guesses the word that was meant. */
public final class Spelling {
    private Spelling() {}

    /** Returns the candidate with the fewest slips, at most one in three letters; ties go to the first. */
    public static Optional<String> closest(String word, Collection<String> candidates) {
        Optional<String> closest = Optional.empty();
        int fewest = Integer.MAX_VALUE;
        for (String candidate : candidates) {
            int slips = slips(word.toLowerCase(Locale.ROOT), candidate.toLowerCase(Locale.ROOT));
            if (slips < fewest && slips <= Math.max(word.length(), candidate.length()) / 3) {
                closest = Optional.of(candidate);
                fewest = slips;
            }
        }
        return closest;
    }

    /** Returns the end of a message: {@code ; did you mean "group_size"?}, or nothing. */
    public static String hint(Optional<?> meant) {
        return meant.map(word -> "; did you mean " + TomlWriter.inline(word) + "?")
                .orElse("");
    }

    /**
     * Counts letters left out, added, replaced, or swapped with their neighbour (optimal string alignment distance).
     */
    static int slips(String a, String b) {
        int[][] distance = new int[a.length() + 1][b.length() + 1];
        for (int i = 0; i <= a.length(); i++) {
            for (int j = 0; j <= b.length(); j++) {
                if (i == 0 || j == 0) {
                    distance[i][j] = i + j;
                    continue;
                }
                int replaced = distance[i - 1][j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                distance[i][j] = Math.min(replaced, 1 + Math.min(distance[i - 1][j], distance[i][j - 1]));
                if (i > 1 && j > 1 && a.charAt(i - 1) == b.charAt(j - 2) && a.charAt(i - 2) == b.charAt(j - 1)) {
                    distance[i][j] = Math.min(distance[i][j], distance[i - 2][j - 2] + 1);
                }
            }
        }
        return distance[a.length()][b.length()];
    }
}
