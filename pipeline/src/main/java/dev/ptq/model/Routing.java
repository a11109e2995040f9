package dev.ptq.model;

import ai.djl.ndarray.types.Shape;
import java.util.Arrays;
import java.util.List;

/** The experts of each token of a mixture: those of the largest probabilities, the first where some are equal. */
final class Routing {
    private final int experts;
    private final int perToken;
    /** The experts of each token, {@code perToken} at a time. */
    private final int[] chosen;

    private Routing(int experts, int perToken, int[] chosen) {
        this.experts = experts;
        this.perToken = perToken;
        this.chosen = chosen;
    }

    /**
     * Chooses experts.
     *
     * @param probabilities {@code [tokens, experts]}
     */
    static Routing of(float[] probabilities, int experts, int perToken) {
        int tokens = probabilities.length / experts;
        int[] chosen = new int[tokens * perToken];
        for (int token = 0; token < tokens; token++) {
            for (int place = 0; place < perToken; place++) {
                int best = -1;
                for (int expert = 0; expert < experts; expert++) {
                    boolean isTaken = contains(chosen, token * perToken, place, expert);
                    if (!isTaken
                            && (best < 0
                                    || probabilities[token * experts + expert]
                                            > probabilities[token * experts + best])) {
                        best = expert;
                    }
                }
                chosen[token * perToken + place] = best;
            }
        }
        return new Routing(experts, perToken, chosen);
    }

    private static boolean contains(int[] values, int from, int count, int value) {
        for (int i = from; i < from + count; i++) {
            if (values[i] == value) {
                return true;
            }
        }
        return false;
    }

    /** The tokens of an expert, in their order. */
    int[] tokens(int expert) {
        int[] tokens = new int[chosen.length];
        int count = 0;
        for (int i = 0; i < chosen.length; i++) {
            if (chosen[i] == expert) {
                tokens[count++] = i / perToken;
            }
        }
        return Arrays.copyOf(tokens, count);
    }

    /** The places of the probabilities of an expert's {@link #tokens}, in the order of these. */
    int[] entries(int expert) {
        return Arrays.stream(tokens(expert))
                .map(token -> token * experts + expert)
                .toArray();
    }

    /** The places of the probabilities of every token's experts, {@code [perToken, tokens]}. */
    int[] allEntries() {
        int tokens = chosen.length / perToken;
        int[] entries = new int[chosen.length];
        for (int place = 0; place < perToken; place++) {
            for (int token = 0; token < tokens; token++) {
                entries[place * tokens + token] = token * experts + chosen[token * perToken + place];
            }
        }
        return entries;
    }

    /** How many of some tokens are in each sequence of {@code [sequences, tokens, features]}. */
    static List<Integer> lengths(int[] tokens, Shape sequences) {
        int[] lengths = new int[(int) sequences.get(0)];
        for (int token : tokens) {
            lengths[token / (int) sequences.get(1)]++;
        }
        return Arrays.stream(lengths).boxed().toList();
    }
}
