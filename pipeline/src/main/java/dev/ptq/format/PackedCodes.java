package dev.ptq.format;

import dev.ptq.tensor.Parallel;
import java.nio.ByteBuffer;

/**
 * Codes of a few bits packed side by side, the first in the lowest bits of a byte. Every row starts at a byte; bits
 * after its last code are 0 and ignored.
 *
 * @param rows of codes
 * @param columns codes of a row
 * @param bits of a code, 1 to 31
 */
record PackedCodes(int rows, int columns, int bits) {
    /** Returns the layout for a tensor's codes, one row per line of its last dimension. */
    static PackedCodes of(long[] shape, int bits) {
        int columns = shape.length == 0 ? 1 : Math.toIntExact(shape[shape.length - 1]);
        long rows = 1;
        for (int i = 0; i < shape.length - 1; i++) {
            rows = Math.multiplyExact(rows, shape[i]);
        }
        return new PackedCodes(Math.toIntExact(rows), columns, bits);
    }

    int rowBytes() {
        return Math.toIntExact(((long) columns * bits + 7) / 8);
    }

    /** Returns the shape of a tensor's bytes: its own, with the last dimension counted in bytes. */
    long[] shape(long[] tensor) {
        long[] shape = tensor.length == 0 ? new long[1] : tensor.clone();
        shape[shape.length - 1] = rowBytes();
        return shape;
    }

    /** Returns the lowest bits of the codes. */
    byte[] pack(int[] codes) {
        byte[] packed = new byte[Math.multiplyExact(rows, rowBytes())];
        long mask = (1L << bits) - 1;
        Parallel.forEach(rows, () -> codes, (same, row) -> {
            int at = row * rowBytes();
            int end = at + rowBytes();
            long pending = 0;
            int count = 0;
            for (int column = 0; column < columns; column++) {
                pending |= (same[row * columns + column] & mask) << count;
                count += bits;
                for (; count >= 8; count -= 8) {
                    packed[at++] = (byte) pending;
                    pending >>>= 8;
                }
            }
            if (at < end) {
                packed[at] = (byte) pending;
            }
        });
        return packed;
    }

    /**
     * Returns the unpacked codes.
     *
     * @param signed whether they are in two's complement
     */
    int[] unpack(ByteBuffer packed, boolean signed) {
        int[] codes = new int[Math.multiplyExact(rows, columns)];
        int mask = (int) ((1L << bits) - 1);
        int unused = signed ? Integer.SIZE - bits : 0;
        Parallel.forEach(rows, () -> codes, (same, row) -> {
            int at = row * rowBytes();
            long pending = 0;
            int count = 0;
            for (int column = 0; column < columns; column++) {
                for (; count < bits; count += 8) {
                    pending |= (packed.get(at++) & 0xffL) << count;
                }
                same[row * columns + column] = ((int) pending & mask) << unused >> unused;
                pending >>>= bits;
                count -= bits;
            }
        });
        return codes;
    }
}
