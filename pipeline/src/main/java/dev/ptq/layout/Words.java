package dev.ptq.layout;

import dev.ptq.tensor.Parallel;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Codes of a few bits in 32-bit words, line by line. Dense, value i of a line takes the bits from {@code i · bits} of the
 * line's bit string, the lowest of a word first, and may cross into the next word; otherwise a word has as many whole codes
 * as fit, and its highest bits are unused.
 *
 * @param bits of a code, 1 to 8
 */
record Words(int bits, boolean dense) {
    /** Lines that are read side by side: in some layouts these are neighbours in memory. */
    private static final int TILE = 64;

    Words {
        if (bits < 1 || bits > 8) {
            throw new IllegalArgumentException("codes of " + bits + " bits");
        }
    }

    static Words dense(int bits) {
        return new Words(bits, true);
    }

    /**
     * The place of lines among words.
     *
     * @param first line
     * @param count of lines
     * @param lineStep words from a line to the next
     * @param wordStep words from a word of a line to its next
     * @param values in a line
     */
    record Lines(int first, int count, int lineStep, int wordStep, int values) {
        /** Lines one after the other, each without gaps. */
        static Lines rows(Words words, int count, int values) {
            return new Lines(0, count, words.count(values), 1, values);
        }

        /** Lines that run down the columns of a matrix of words. */
        static Lines columns(int first, int count, int columns, int values) {
            return new Lines(first, count, 1, columns, values);
        }

        private int word(int line, int word) {
            return (first + line) * lineStep + word * wordStep;
        }
    }

    /** Returns the number of words that a line takes. */
    int count(int values) {
        return dense ? Math.toIntExact(((long) values * bits + 31) / 32) : (values + perWord() - 1) / perWord();
    }

    private int perWord() {
        return 32 / bits;
    }

    private long start(int value) {
        return dense ? (long) value * bits : 32L * (value / perWord()) + (long) bits * (value % perWord());
    }

    /** Returns whether a line of this many codes lies the same way in both. */
    boolean isSameAs(Words other, int values) {
        return bits == other.bits() && start(values - 1) == other.start(values - 1);
    }

    /**
     * Returns codes whose lines run down the columns of a matrix of words, {@code [values, lines]}.
     *
     * @param words {@code [count(values), lines]}
     */
    byte[] unpackDown(ByteBuffer words, int values, int lines) {
        byte[] codes = unpack(words, Lines.columns(0, lines, lines, values));
        byte[] turned = new byte[codes.length];
        for (int line = 0; line < lines; line++) {
            for (int value = 0; value < values; value++) {
                turned[value * lines + line] = codes[line * values + value];
            }
        }
        return turned;
    }

    /** Returns codes from 0, {@code [lines, values]}. */
    byte[] unpack(ByteBuffer words, Lines lines) {
        byte[] codes = new byte[Math.multiplyExact(lines.count(), lines.values())];
        int mask = (1 << bits) - 1;
        int tiles = (lines.count() + TILE - 1) / TILE;
        Parallel.forEach(tiles, () -> codes, (target, tile) -> {
            int end = Math.min(lines.count(), (tile + 1) * TILE);
            for (int value = 0; value < lines.values(); value++) {
                long start = start(value);
                int word = (int) (start / 32);
                int shift = (int) (start % 32);
                boolean crosses = shift + bits > 32;
                for (int line = tile * TILE; line < end; line++) {
                    int code = words.getInt(4 * lines.word(line, word)) >>> shift;
                    if (crosses) {
                        code |= words.getInt(4 * lines.word(line, word + 1)) << (32 - shift);
                    }
                    target[line * lines.values() + value] = (byte) (code & mask);
                }
            }
        });
        return codes;
    }

    /**
     * Returns words, little-endian; bits without a code are 0.
     *
     * @param codes from 0, {@code [lines, values]}
     * @param size number of words of all lines
     */
    ByteBuffer pack(byte[] codes, Lines lines, int size) {
        ByteBuffer words = ByteBuffer.allocate(Math.multiplyExact(4, size)).order(ByteOrder.LITTLE_ENDIAN);
        int mask = (1 << bits) - 1;
        for (int line = 0; line < lines.count(); line++) {
            for (int value = 0; value < lines.values(); value++) {
                int code = codes[line * lines.values() + value] & mask;
                int word = (int) (start(value) / 32);
                int shift = (int) (start(value) % 32);
                add(words, lines.word(line, word), code << shift);
                if (shift + bits > 32) {
                    add(words, lines.word(line, word + 1), code >>> (32 - shift));
                }
            }
        }
        return words;
    }

    private static void add(ByteBuffer words, int index, int more) {
        words.putInt(4 * index, words.getInt(4 * index) | more);
    }
}
