package dev.ptq.model;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * The requested predictions: at a position of a sequence, the probability of a token. Places at one position share the
 * head's computation for it.
 */
public final class TargetPositions {
    private final int[] sequences;
    private final int[] positions;
    private final int[] tokens;
    /** The first place of each row, and the number of places. */
    private final int[] rows;

    /**
     * Makes places.
     *
     * @param sequences index of each place's sequence, ascending
     * @param positions the token before the predicted one; ascending within a sequence
     * @param tokens ids
     */
    public TargetPositions(int[] sequences, int[] positions, int[] tokens) {
        for (int i = 1; i < sequences.length; i++) {
            if (sequences[i] < sequences[i - 1]
                    || (sequences[i] == sequences[i - 1] && positions[i] < positions[i - 1])) {
                throw new IllegalArgumentException("place " + i + " is out of order");
            }
        }
        this.sequences = sequences;
        this.positions = positions;
        this.tokens = tokens;
        this.rows = IntStream.rangeClosed(0, sequences.length)
                .filter(i -> i == 0
                        || i == sequences.length
                        || sequences[i] != sequences[i - 1]
                        || positions[i] != positions[i - 1])
                .toArray();
    }

    /** Every token of the sequences except the first of each. */
    public static TargetPositions ofNextTokens(int[][] sequences) {
        int count =
                Arrays.stream(sequences).mapToInt(tokens -> tokens.length - 1).sum();
        int[] which = new int[count];
        int[] positions = new int[count];
        int[] tokens = new int[count];
        int place = 0;
        for (int sequence = 0; sequence < sequences.length; sequence++) {
            for (int position = 0; position < sequences[sequence].length - 1; position++) {
                which[place] = sequence;
                positions[place] = position;
                tokens[place++] = sequences[sequence][position + 1];
            }
        }
        return new TargetPositions(which, positions, tokens);
    }

    /** Number of places. */
    public int count() {
        return sequences.length;
    }

    /** Number of distinct sequence positions. */
    int rows() {
        return Math.max(0, rows.length - 1);
    }

    int firstPlace(int row) {
        return rows[row];
    }

    int sequence(int row) {
        return sequences[rows[row]];
    }

    int position(int row) {
        return positions[rows[row]];
    }

    int token(int place) {
        return tokens[place];
    }
}
