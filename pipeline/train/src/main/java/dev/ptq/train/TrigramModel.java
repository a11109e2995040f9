package dev.ptq.train;

import java.util.List;

/**
 * A trigram model of token ids with interpolated, modified Kneser-Ney smoothing: the baseline that a trained network
 * has to beat. Source: Chen and Goodman, An Empirical Study of Smoothing Techniques for Language Modeling (1999).
 *
 * <p>Trigrams have the counts of the corpus. A lower n-gram counts the different tokens that stand before it, and a
 * bigram at the start of a text, where no token can stand before it, once more for each such text. The first token of a
 * text is given, not predicted, so it adds to no unigram. Unigrams are interpolated with the uniform distribution, so
 * every token has a probability above zero after every context.
 */
public final class TrigramModel {
    /** Three tokens make up one positive {@code long}. */
    private static final int MAX_VOCAB_SIZE = 1 << 21;

    private final int vocabSize;
    private final int tokenBits;
    private final NGramOrder trigrams;
    private final NGramOrder bigrams;
    private final NGramOrder unigrams;

    /** The preceding tokens that a prediction may use, two at most. */
    public enum Context {
        /** Tokens of the same chunk, as a network sees them: only one for the second token of a chunk. */
        CHUNK,
        /** Tokens of the whole text, across chunk borders. The scored tokens are the same. */
        STREAM
    }

    private TrigramModel(List<int[]> texts, int vocabSize) {
        this.vocabSize = vocabSize;
        tokenBits = Integer.SIZE - Integer.numberOfLeadingZeros(vocabSize - 1);
        trigrams = new NGramOrder(trigramOccurrences(texts), tokenBits);
        bigrams = new NGramOrder(bigramsByLeftTokens(texts), tokenBits);
        unigrams = new NGramOrder(unigramsByLeftTokens(), tokenBits);
    }

    /** Learns one text; see {@link #train(List, int)}. */
    public static TrigramModel train(int[] tokens, int vocabSize) {
        return train(List.of(tokens), vocabSize);
    }

    /**
     * Learns texts. No n-gram spans two of them.
     *
     * @throws IllegalArgumentException if a token is not in the vocabulary
     */
    public static TrigramModel train(List<int[]> texts, int vocabSize) {
        if (vocabSize < 1 || vocabSize > MAX_VOCAB_SIZE) {
            throw new IllegalArgumentException(
                    "expected a vocabulary of 1 to " + MAX_VOCAB_SIZE + " tokens, got " + vocabSize);
        }
        for (int i = 0; i < texts.size(); i++) {
            requireTokens(texts.get(i), vocabSize, "text " + i);
        }
        return new TrigramModel(texts, vocabSize);
    }

    private long[] trigramOccurrences(List<int[]> texts) {
        long count =
                texts.stream().mapToLong(text -> Math.max(0, text.length - 2)).sum();
        long[] occurrences = new long[Math.toIntExact(count)];
        int next = 0;
        for (int[] text : texts) {
            for (int i = 2; i < text.length; i++) {
                occurrences[next++] = join(join(text[i - 2], text[i - 1]), text[i]);
            }
        }
        return occurrences;
    }

    /**
     * Each bigram as often as it counts: once for each trigram that ends in it, and for each text that begins with it.
     */
    private long[] bigramsByLeftTokens(List<int[]> texts) {
        List<int[]> beginning = texts.stream().filter(text -> text.length >= 2).toList();
        long[] grams = trigrams.grams();
        long[] bigramsAgain = new long[grams.length + beginning.size()];
        for (int i = 0; i < grams.length; i++) {
            bigramsAgain[i] = lowest(grams[i], 2 * tokenBits);
        }
        for (int i = 0; i < beginning.size(); i++) {
            int[] text = beginning.get(i);
            bigramsAgain[grams.length + i] = join(text[0], text[1]);
        }
        return bigramsAgain;
    }

    private long[] unigramsByLeftTokens() {
        long[] grams = bigrams.grams();
        long[] unigramsAgain = new long[grams.length];
        for (int i = 0; i < grams.length; i++) {
            unigramsAgain[i] = lowest(grams[i], tokenBits);
        }
        return unigramsAgain;
    }

    private long join(long context, int token) {
        return context << tokenBits | token;
    }

    private static long lowest(long value, int bits) {
        return value & ((1L << bits) - 1);
    }

    /** The probability of a token after two others, in the order of the text. */
    public double probability(int first, int second, int token) {
        requireToken(first);
        requireToken(second);
        return trigrams.interpolate(join(first, second), token, probability(second, token));
    }

    /**
     * The probability of a token after another one, with nothing known before that. It is the one that trigrams fall
     * back to, which is flatter than that of a bigram model by itself.
     */
    public double probability(int previous, int token) {
        requireToken(previous);
        return bigrams.interpolate(previous, token, probability(token));
    }

    /** The probability of a token without any context. */
    public double probability(int token) {
        requireToken(token);
        return unigrams.interpolate(0, token, 1.0 / vocabSize);
    }

    /**
     * The mean negative log-likelihood per token, in nats, over the tokens that the perplexity protocol {@code gptq}
     * scores: the text is cut into chunks from its start, the rest is dropped, and the first token of each chunk is not
     * scored.
     *
     * @param tokens of one text
     * @param seqLen length of a chunk, at least 2
     * @throws IllegalArgumentException if there is not one whole chunk, or a token is not in the vocabulary
     */
    public double loss(int[] tokens, int seqLen, Context context) {
        if (seqLen < 2) {
            throw new IllegalArgumentException("a chunk of " + seqLen + " tokens has none to score; take 2 or more");
        }
        int chunks = tokens.length / seqLen;
        if (chunks == 0) {
            throw new IllegalArgumentException(
                    "the text of " + tokens.length + " tokens is shorter than one chunk of " + seqLen);
        }
        requireTokens(tokens, vocabSize, "the text");
        double sum = 0;
        for (int chunk = 0; chunk < chunks; chunk++) {
            int from = chunk * seqLen;
            int visibleFrom = switch (context) {
                case CHUNK -> from;
                case STREAM -> 0;
            };
            for (int i = from + 1; i < from + seqLen; i++) {
                double probability = i - visibleFrom < 2
                        ? probability(tokens[i - 1], tokens[i])
                        : probability(tokens[i - 2], tokens[i - 1], tokens[i]);
                sum -= Math.log(probability);
            }
        }
        return sum / ((long) chunks * (seqLen - 1));
    }

    private static void requireTokens(int[] tokens, int vocabSize, String where) {
        for (int i = 0; i < tokens.length; i++) {
            if (tokens[i] < 0 || tokens[i] >= vocabSize) {
                throw new IllegalArgumentException("token " + tokens[i] + " at position " + i + " of " + where
                        + " is not in the vocabulary of " + vocabSize + " tokens");
            }
        }
    }

    private void requireToken(int token) {
        if (token < 0 || token >= vocabSize) {
            throw new IllegalArgumentException(
                    "token " + token + " is not in the vocabulary of " + vocabSize + " tokens");
        }
    }
}
