package dev.ptq.layout;

import dev.ptq.weights.StoredType;
import java.io.IOException;

/** Codes of type E2M1, {@code [outFeatures, inFeatures / 2]}: the even columns in the low halves of bytes. */
final class E2m1Codes {
    private E2m1Codes() {}

    /**
     * Checks the tensors of a linear.
     *
     * @param codes the name of the tensor with the codes
     */
    static PackedLinear open(String label, ModuleTensors tensors, String codes, ByteCodes.ScaleReader scales)
            throws IOException {
        int out = tensors.side(codes, 0);
        int in = Math.multiplyExact(2, tensors.side(codes, 1));
        tensors.require(codes, StoredType.U8, out, in / 2);
        scales.read(out, in);
        return new PackedLinear(
                label,
                4,
                out,
                in,
                (from, to) -> new CodedMatrix(
                        from,
                        to - from,
                        in,
                        Nibbles.LOW_FIRST.unpack(tensors.rows(codes, from, to)),
                        Tables.e2m1(),
                        scales.read(out, in)));
    }

    /**
     * Reads block scales of type E4M3 for 16 columns each.
     *
     * @param name of the tensor
     */
    static float[] blockScales(ModuleTensors tensors, String name, int out, int in, int blockSize) throws IOException {
        if (in % blockSize != 0) {
            throw tensors.wrong(name, "expected blocks of " + blockSize + " that fill a row", in + " columns");
        }
        byte[] codes = Tables.array(tensors.raw(name, StoredType.F8_E4M3, out, in / blockSize));
        float[] table = Tables.e4m3();
        float[] scales = new float[codes.length];
        for (int i = 0; i < scales.length; i++) {
            scales[i] = table[codes[i] & 0xff];
            if (!(scales[i] >= 0)) {
                throw new IOException(
                        tensors.name(name) + ": expected scales that are not negative, got " + scales[i] + " at " + i);
            }
        }
        return scales;
    }

    /** Reads block scales of type E8M0, stored as bytes. */
    static float[] powersOfTwo(ModuleTensors tensors, String name, int out, int in, int blockSize) throws IOException {
        if (in % blockSize != 0) {
            throw tensors.wrong(name, "expected blocks of " + blockSize + " that fill a row", in + " columns");
        }
        byte[] codes = Tables.array(tensors.raw(name, StoredType.U8, out, in / blockSize));
        float[] table = Tables.e8m0();
        float[] scales = new float[codes.length];
        for (int i = 0; i < scales.length; i++) {
            scales[i] = table[codes[i] & 0xff];
            if (Float.isNaN(scales[i])) {
                throw new IOException(tensors.name(name) + ": has the scale 255, which stands for no number, at " + i);
            }
        }
        return scales;
    }
}
