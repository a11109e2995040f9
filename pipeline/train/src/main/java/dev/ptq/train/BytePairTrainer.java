package dev.ptq.train;

import dev.ptq.train.BytePairTokenizer.Merge;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.PriorityQueue;
import java.util.SortedSet;
import java.util.TreeSet;

/**
 * Learns merges: the most frequent pair of tokens becomes a token, again and again.
 *
 * <p>After every step each word is cut as an encoder would cut it with the merges so far, so every token has only one
 * derivation: a stretch that no merge has crossed is cut as it would be alone. Counts are updated, not retaken: a step
 * touches only the words that contain its pair.
 */
final class BytePairTrainer {
    /** A character less frequent than this is spelled in bytes. */
    static final int RAREST_CHARACTER = 20;

    /** Share of all characters covered by those with their own tokens, the most frequent first. */
    static final double COVERAGE = 0.9999;

    /** A pair less frequent than this gets no token. */
    static final int RAREST_PAIR = 2;

    /** Longer words, in characters, are left out: they are rulers and noise, and each costs its length squared. */
    static final int LONGEST_WORD = 100;

    /** The most frequent pair first; among equals the one of older tokens. */
    private static final Comparator<Candidate> BEST_FIRST = Comparator.comparingLong(Candidate::count)
            .reversed()
            .thenComparingInt(candidate -> candidate.pair().left)
            .thenComparingInt(candidate -> candidate.pair().right);

    private final List<String> tokens;
    private final List<Merge> merges = new ArrayList<>();
    private final Map<Long, Pair> pairs = new HashMap<>();
    private final PriorityQueue<Candidate> candidates = new PriorityQueue<>(BEST_FIRST);

    /** Two adjacent tokens, by their ids. */
    private static final class Pair {
        final int left;
        final int right;
        long count;
        long queuedCount;
        /** Every word with the pair, some more than once, and some that no longer have it. */
        List<Word> words = new ArrayList<>();

        Pair(int left, int right) {
            this.left = left;
            this.right = right;
        }
    }

    /**
     * A pair and its count when it was queued. When the count falls the entry stays; when it rises a second one is
     * made.
     */
    private record Candidate(Pair pair, long count) {}

    /** A word of the texts, cut into tokens. */
    private static final class Word {
        int[] tokens;
        final long count;

        Word(int[] tokens, long count) {
            this.tokens = tokens;
            this.count = count;
        }

        boolean has(Pair pair) {
            for (int i = 1; i < tokens.length; i++) {
                if (tokens[i - 1] == pair.left && tokens[i] == pair.right) {
                    return true;
                }
            }
            return false;
        }

        /** Replaces a pair by a token, from left to right. */
        void replace(Pair pair, int token) {
            int length = 0;
            for (int i = 0; i < tokens.length; i++) {
                boolean found = tokens[i] == pair.left && i + 1 < tokens.length && tokens[i + 1] == pair.right;
                tokens[length++] = found ? token : tokens[i];
                i += found ? 1 : 0;
            }
            tokens = Arrays.copyOf(tokens, length);
        }
    }

    private BytePairTrainer(List<String> tokens) {
        this.tokens = tokens;
    }

    static BytePairTokenizer train(List<String> texts, int vocabularySize) {
        Map<String, Long> words = new HashMap<>();
        for (String text : texts) {
            WordSplit.forEachWord(text, word -> words.merge(word, 1L, Long::sum));
        }
        List<String> tokens = BytePairTokenizer.reserved();
        int reserved = tokens.size();
        Map<Integer, Integer> ids = new HashMap<>();
        for (int character : alphabet(words)) {
            ids.put(character, tokens.size());
            tokens.add(Character.toString(character));
        }
        if (tokens.size() > vocabularySize) {
            throw new IllegalArgumentException("a vocabulary of " + vocabularySize + " tokens is too small: " + reserved
                    + " are special tokens and bytes, and " + (tokens.size() - reserved) + " are characters");
        }
        BytePairTrainer trainer = new BytePairTrainer(tokens);
        words.forEach((word, count) -> trainer.add(word, count, ids));
        trainer.learn(vocabularySize);
        return new BytePairTokenizer(trainer.tokens, trainer.merges);
    }

    /** The characters that get their own tokens. The space is always one: in bytes it would not be decoded. */
    private static SortedSet<Integer> alphabet(Map<String, Long> words) {
        Map<Integer, Long> counts = new HashMap<>();
        words.forEach(
                (word, count) -> word.codePoints().forEach(character -> counts.merge(character, count, Long::sum)));
        long total = counts.values().stream().mapToLong(Long::longValue).sum();
        List<Map.Entry<Integer, Long>> frequentFirst = new ArrayList<>(counts.entrySet());
        frequentFirst.sort(
                Map.Entry.<Integer, Long>comparingByValue().reversed().thenComparing(Map.Entry.comparingByKey()));
        SortedSet<Integer> alphabet = new TreeSet<>();
        alphabet.add(WordSplit.SPACE.codePointAt(0));
        long covered = 0;
        for (Map.Entry<Integer, Long> entry : frequentFirst) {
            if (entry.getValue() < RAREST_CHARACTER || covered >= COVERAGE * total) {
                break;
            }
            covered += entry.getValue();
            // half a character, from a broken escape: no file can hold it
            if (Character.getType(entry.getKey()) != Character.SURROGATE) {
                alphabet.add(entry.getKey());
            }
        }
        return alphabet;
    }

    /** Adds a word as characters. One spelled in bytes takes part in no merge, so it divides the word. */
    private void add(String text, long count, Map<Integer, Integer> ids) {
        int[] characters = text.codePoints().toArray();
        if (characters.length > LONGEST_WORD) {
            return;
        }
        int[] cut = new int[characters.length];
        int length = 0;
        for (int character : characters) {
            Integer id = ids.get(character);
            if (id == null) {
                count(new Word(Arrays.copyOf(cut, length), count));
                length = 0;
            } else {
                cut[length++] = id;
            }
        }
        count(new Word(Arrays.copyOf(cut, length), count));
    }

    private void learn(int vocabularySize) {
        pairs.values().forEach(this::queue);
        while (tokens.size() < vocabularySize) {
            Candidate best = candidates.poll();
            if (best == null) {
                throw new IllegalArgumentException("too little text for a vocabulary of " + vocabularySize
                        + " tokens: it gives " + tokens.size() + "; give more text, or ask for fewer tokens");
            }
            Pair pair = best.pair();
            pair.queuedCount = 0;
            if (pair.count == best.count()) {
                merge(pair);
            } else {
                queue(pair);
            }
        }
    }

    private void queue(Pair pair) {
        if (pair.count >= RAREST_PAIR && pair.count > pair.queuedCount) {
            pair.queuedCount = pair.count;
            candidates.add(new Candidate(pair, pair.count));
        }
    }

    private void merge(Pair pair) {
        Merge merge = new Merge(tokens.get(pair.left), tokens.get(pair.right));
        int token = tokens.size();
        merges.add(merge);
        tokens.add(merge.merged());
        List<Word> words = pair.words;
        pair.words = new ArrayList<>();
        List<Pair> risen = new ArrayList<>();
        for (Word word : words) {
            if (word.has(pair)) {
                discount(word);
                word.replace(pair, token);
                risen.addAll(count(word));
            }
        }
        risen.forEach(this::queue);
    }

    /** Counts a word's pairs and returns them. */
    private List<Pair> count(Word word) {
        List<Pair> counted = new ArrayList<>();
        for (int i = 1; i < word.tokens.length; i++) {
            int left = word.tokens[i - 1];
            int right = word.tokens[i];
            Pair pair = pairs.computeIfAbsent(key(left, right), key -> new Pair(left, right));
            pair.count += word.count;
            pair.words.add(word);
            counted.add(pair);
        }
        return counted;
    }

    private void discount(Word word) {
        for (int i = 1; i < word.tokens.length; i++) {
            Objects.requireNonNull(pairs.get(key(word.tokens[i - 1], word.tokens[i]))).count -= word.count;
        }
    }

    private static long key(int left, int right) {
        return (long) left << 32 | right;
    }
}
