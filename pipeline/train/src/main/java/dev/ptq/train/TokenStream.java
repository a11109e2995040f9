package dev.ptq.train;

import dev.ptq.data.Tokenizer;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * The documents of a corpus as one token sequence with an empty line of text between two documents, as perplexity
 * protocols join them, and the training sequences cut from it.
 */
final class TokenStream {
    private static final String BETWEEN = "\n\n";

    private final int[] tokens;
    /** Start of each document's separator. */
    private final int[] starts;
    /** Each document as a separate text: its first word is spelled with a space before it. */
    private final int[][] alone;

    private TokenStream(int[] tokens, int[] starts, int[][] alone) {
        this.tokens = tokens;
        this.starts = starts;
        this.alone = alone;
    }

    /**
     * Encodes documents.
     *
     * @throws IllegalArgumentException if together they have no more than {@code atLeast} tokens
     */
    static TokenStream of(List<String> documents, Tokenizer tokenizer, int atLeast) {
        int[][] alone = new int[documents.size()][];
        int[][] continued = new int[documents.size()][];
        IntStream.range(0, documents.size()).parallel().forEach(i -> {
            alone[i] = tokenizer.encodePlain(documents.get(i));
            int[] encoded = tokenizer.encodePlain(BETWEEN + documents.get(i));
            // without the space that the tokenizer puts before every text
            continued[i] = Arrays.copyOfRange(encoded, 1, encoded.length);
        });
        int[] starts = new int[documents.size()];
        int length = 0;
        for (int i = 0; i < starts.length; i++) {
            starts[i] = length;
            length += continued[i].length;
        }
        if (length <= atLeast) {
            throw new IllegalArgumentException(
                    "expected texts of more than " + atLeast + " tokens in all, got " + length);
        }
        int[] tokens = new int[length];
        for (int i = 0; i < starts.length; i++) {
            System.arraycopy(continued[i], 0, tokens, starts[i], continued[i].length);
        }
        return new TokenStream(tokens, starts, alone);
    }

    /** All tokens; every document has the separator before it. */
    int[] tokens() {
        return tokens;
    }

    /**
     * Draws a sequence: on average every other one starts with a document, after the token that starts a text; the
     * others start anywhere.
     */
    int[] draw(SplittableRandom random, int length) {
        if (random.nextBoolean()) {
            int document = random.nextInt(starts.length);
            int[] sequence = new int[length];
            sequence[0] = BytePairTokenizer.START;
            int own = Math.min(alone[document].length, length - 1);
            System.arraycopy(alone[document], 0, sequence, 1, own);
            // what follows the document; after the last, the first again
            int at = document + 1 < starts.length ? starts[document + 1] : 0;
            for (int i = 1 + own; i < length; i++) {
                sequence[i] = tokens[at];
                at = (at + 1) % tokens.length;
            }
            return sequence;
        }
        int from = random.nextInt(tokens.length - length + 1);
        return Arrays.copyOfRange(tokens, from, from + length);
    }

    /** The first {@code count} sequences, side by side. */
    int[][] first(int count, int length) {
        return IntStream.range(0, Math.min(count, tokens.length / length))
                .mapToObj(i -> Arrays.copyOfRange(tokens, i * length, (i + 1) * length))
                .toArray(int[][]::new);
    }
}
