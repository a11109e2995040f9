package dev.ptq.layout;

import dev.ptq.weights.StoredType;
import java.io.IOException;

/** Codes of a whole byte, {@code weight [outFeatures, inFeatures]}: signed integers, or E4M3. */
final class ByteCodes {
    static final String CODES = "weight";

    private ByteCodes() {}

    /** Reads the scales of a matrix. */
    @FunctionalInterface
    interface ScaleReader {
        Scales read(int out, int in) throws IOException;
    }

    /**
     * Checks the tensors of a linear.
     *
     * @param type I8 or F8_E4M3
     * @param bits of signed integers
     */
    static PackedLinear open(String label, ModuleTensors tensors, StoredType type, int bits, ScaleReader scales)
            throws IOException {
        int out = tensors.side(CODES, 0);
        int in = tensors.side(CODES, 1);
        tensors.require(CODES, type, out, in);
        scales.read(out, in);
        float[] table = type == StoredType.I8 ? signed(bits) : Tables.e4m3();
        return new PackedLinear(
                label,
                type == StoredType.I8 ? bits : Byte.SIZE,
                out,
                in,
                (from, to) -> new CodedMatrix(
                        from, to - from, in, Tables.array(tensors.rows(CODES, from, to)), table, scales.read(out, in)));
    }

    /** Returns the values of signed bytes; those beyond the bits have none. */
    private static float[] signed(int bits) {
        float[] table = CodedMatrix.signedBytes();
        int limit = 1 << (bits - 1);
        for (int code = 0; code < table.length; code++) {
            if (table[code] < -limit || table[code] >= limit) {
                table[code] = Float.NaN;
            }
        }
        return table;
    }
}
