package dev.ptq.layout;

import dev.ptq.tensor.Parallel;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.concurrent.atomic.AtomicInteger;

/** Neighbouring rows of a matrix as codes and scales: a value is {@code (table[code] - zeroPoint) · scale}. */
final class CodedMatrix {
    /** Rows that a thread takes at a time. */
    private static final int TILE = 16;

    private final int firstRow;
    private final int rows;
    private final int columns;
    private final byte[] codes;
    private final float[] table;
    private final Scales scales;

    /**
     * Takes rows of a matrix.
     *
     * @param firstRow of these, in the whole matrix
     * @param codes from 0 to 255, row-major
     * @param table the value of each code; NaN where a code has none
     * @param scales of the whole matrix
     */
    CodedMatrix(int firstRow, int rows, int columns, byte[] codes, float[] table, Scales scales) {
        this.firstRow = firstRow;
        this.rows = rows;
        this.columns = columns;
        this.codes = codes;
        this.table = table;
        this.scales = scales;
    }

    /** Returns whole numbers from 0 as the table of codes without a sign. */
    static float[] wholeNumbers(int bits) {
        float[] table = new float[1 << bits];
        for (int code = 0; code < table.length; code++) {
            table[code] = code;
        }
        return table;
    }

    /** Returns the values of bytes in two's complement. */
    static float[] signedBytes() {
        float[] table = new float[256];
        for (int code = 0; code < table.length; code++) {
            table[code] = (byte) code;
        }
        return table;
    }

    /**
     * Writes the values, row-major.
     *
     * @throws IOException if a code has no value; the message does not name the tensor
     */
    void write(FloatBuffer target) throws IOException {
        AtomicInteger invalid = new AtomicInteger(-1);
        Parallel.forEach((rows + TILE - 1) / TILE, () -> new float[columns], (line, tile) -> {
            int end = Math.min(rows, (tile + 1) * TILE);
            for (int row = tile * TILE; row < end; row++) {
                int from = row * columns;
                fill(line, row, from, invalid);
                target.put(from, line);
            }
        });
        if (invalid.get() >= 0) {
            throw new IOException(
                    "there is a code " + invalid.get() + ", which stands for no number; the file is damaged");
        }
    }

    private void fill(float[] line, int row, int from, AtomicInteger invalid) {
        for (int column = 0; column < columns; column++) {
            int code = codes[from + column] & 0xff;
            float value = code < table.length ? table[code] : Float.NaN;
            if (Float.isNaN(value)) {
                invalid.set(code);
            }
            int block = scales.block(firstRow + row, column, columns);
            line[column] = (value - scales.zero(block)) * scales.scale(block);
        }
    }
}
