package dev.ptq.evaluate;

import dev.ptq.config.ConfigException;
import dev.ptq.data.Chunks;
import dev.ptq.data.Tokenizer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;

/** The token streams that OmniQuant's code makes of each of its data sets. */
public enum OmniquantStream {
    /** The rows joined by two newlines. */
    WIKITEXT2("the rows joined by two newlines"),
    /** Likewise. */
    PTB("the same"),
    /** The rows joined by a space. */
    PTB_NEW("the rows joined by a space"),
    /** One-chunk pieces of documents drawn at random. */
    C4("256 pieces of a chunk each, drawn as OmniQuant's code draws them"),
    /** The first documents joined by a space, with as many tokens as {@link #C4}. */
    C4_NEW("256 chunks from the first 1100 rows, joined by a space");

    private static final int C4_CHUNKS = 256;
    private static final int C4_NEW_DOCUMENTS = 1100;

    private final String text;

    OmniquantStream(String text) {
        this.text = text;
    }

    /** Returns the description in the reference. */
    String text() {
        return text;
    }

    /** Returns the name in configs. */
    String label() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /**
     * Returns the chunks of a text.
     *
     * @throws ConfigException if pieces are to be drawn and no row is longer than a chunk
     */
    int[][] chunks(List<String> rows, Tokenizer tokenizer, int length) {
        return switch (this) {
            case WIKITEXT2, PTB -> Chunks.oneStream(rows, tokenizer, length);
            case PTB_NEW -> Chunks.oneStream(List.of(String.join(" ", rows)), tokenizer, length);
            case C4 -> drawn(rows, tokenizer, length);
            case C4_NEW -> {
                List<String> first = rows.subList(0, Math.min(C4_NEW_DOCUMENTS, rows.size()));
                int[][] chunks = Chunks.oneStream(List.of(String.join(" ", first)), tokenizer, length);
                yield Arrays.copyOf(chunks, Math.min(C4_CHUNKS, chunks.length));
            }
        };
    }

    /** Draws as OmniQuant's code does, but skips rows of exactly a chunk's length, on which that code fails. */
    private static int[][] drawn(List<String> rows, Tokenizer tokenizer, int length) {
        PythonRandom random = new PythonRandom(0);
        Map<Integer, int[]> seen = new HashMap<>();
        int[] none = {};
        return IntStream.range(0, C4_CHUNKS)
                .mapToObj(chunk -> {
                    while (true) {
                        int row = random.below(rows.size());
                        int[] tokens = seen.computeIfAbsent(row, key -> {
                            int[] encoded = tokenizer.encode(rows.get(key));
                            return encoded.length > length ? encoded : none;
                        });
                        if (tokens.length > 0) {
                            int from = random.below(tokens.length - length);
                            return Arrays.copyOfRange(tokens, from, from + length);
                        }
                        if (seen.size() == rows.size() && seen.values().stream().allMatch(found -> found.length == 0)) {
                            throw new ConfigException("no row has more than " + length
                                    + " tokens, of which stream c4 takes pieces; lower seq_len or take a text of longer"
                                    + " documents");
                        }
                    }
                })
                .toArray(int[][]::new);
    }
}
