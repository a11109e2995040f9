package dev.ptq.layout;

import dev.ptq.tensor.Parallel;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * The layout of AWQ, version gemm: 4 bits, eight output features in a word, in an order of their own. {@code qweight
 * [inFeatures, outFeatures / 8]}, {@code qzeros [groups, outFeatures / 8]}, {@code scales [groups, outFeatures]}.
 */
final class Awq implements Layout {
    private static final String CODES = "qweight";
    private static final String ZEROS = "qzeros";
    private static final String SCALES = "scales";
    private static final int BITS = 4;
    private static final int MIDDLE = 8;
    private static final int PER_WORD = 8;
    /** The output feature, among the eight of a word, whose code is in each nibble from the lowest on. */
    private static final int[] ORDER = {0, 2, 4, 6, 1, 3, 5, 7};

    @Override
    public Set<String> methods() {
        return Set.of("awq");
    }

    @Override
    public Reader reader(QuantizationConfig config) throws IOException {
        String bits = config.has("bits") ? "bits" : "w_bit";
        if (config.number(bits) != BITS) {
            throw config.wrong(bits, "4");
        }
        for (String key : List.of("version", "checkpoint_format", "format")) {
            if (config.has(key) && !config.text(key).toLowerCase(Locale.ROOT).equals("gemm")) {
                throw config.wrong(key, "\"gemm\"");
            }
        }
        config.expect("pack_dtype", "int32", "int32");
        config.expectNone("dynamic");
        String size = config.has("group_size") ? "group_size" : "q_group_size";
        int groupSize = config.number(size);
        if (groupSize == 0 || groupSize < -1) {
            throw config.wrong(size, "-1, or at least 1");
        }
        return new AwqReader(groupSize, config.flag("zero_point", true), config.texts("modules_to_not_convert"));
    }

    private record AwqReader(int groupSize, boolean hasZeros, List<String> skipped) implements Reader {
        @Override
        public Set<String> suffixes() {
            return Set.of(CODES, ZEROS, SCALES);
        }

        @Override
        public boolean packs(String module) {
            return skipped.stream().noneMatch(module::contains);
        }

        @Override
        public PackedLinear open(ModuleTensors tensors) throws IOException {
            int in = tensors.side(CODES, 0);
            int out = Math.multiplyExact(PER_WORD, tensors.side(CODES, 1));
            int size = groupSize == -1 ? in : groupSize;
            int groups = (in + size - 1) / size;
            tensors.require(CODES, StoredType.I32, in, out / PER_WORD);
            Matrix matrix = new Matrix(tensors, out, in, size, groups, hasZeros);
            matrix.scales();
            String label = "AWQ int4" + (groupSize > 0 ? ", groups of " + groupSize : ", channels")
                    + (hasZeros ? ", zero points" : "");
            return new PackedLinear(label, BITS, out, in, matrix::read);
        }
    }

    /** A packed matrix whose shapes have been checked. */
    private record Matrix(ModuleTensors tensors, int out, int in, int groupSize, int groups, boolean hasZeros) {
        CodedMatrix read(int from, int to) throws IOException {
            byte[] codes = unpack(tensors.raw(CODES, StoredType.I32, in, out / PER_WORD), in, out, from, to);
            return new CodedMatrix(from, to - from, in, codes, CodedMatrix.wholeNumbers(BITS), scales());
        }

        Scales scales() throws IOException {
            float[] stored = tensors.floats(SCALES, groups, out);
            byte[] zeros = unpack(tensors.raw(ZEROS, StoredType.I32, groups, out / PER_WORD), groups, out, 0, out);
            for (byte zero : zeros) {
                if (!hasZeros && zero != MIDDLE) {
                    throw new IOException(tensors.name(ZEROS) + ": has a zero point " + zero
                            + ", but the config has zero_point = false, with which all are " + MIDDLE);
                }
            }
            float[] scales = new float[stored.length];
            for (int group = 0; group < groups; group++) {
                for (int row = 0; row < out; row++) {
                    scales[row * groups + group] = stored[group * out + row];
                }
            }
            return Scales.of(scales, groups, 1, groupSize).withZeros(zeros);
        }
    }

    /**
     * Returns codes {@code [to - from, lines]}: those of some output features.
     *
     * @param packed {@code [lines, outFeatures / 8]}
     */
    static byte[] unpack(ByteBuffer packed, int lines, int out, int from, int to) {
        byte[] codes = new byte[Math.multiplyExact(to - from, lines)];
        Parallel.forEach(out / PER_WORD, () -> codes, (target, word) -> {
            for (int nibble = 0; nibble < PER_WORD; nibble++) {
                int row = word * PER_WORD + ORDER[nibble];
                for (int line = 0; line < lines && row >= from && row < to; line++) {
                    int found = packed.getInt(4 * (line * (out / PER_WORD) + word));
                    target[(row - from) * lines + line] = (byte) ((found >>> (BITS * nibble)) & 0xf);
                }
            }
        });
        return codes;
    }

    /**
     * Returns words {@code [lines, outFeatures / 8]}.
     *
     * @param codes {@code [outFeatures, lines]}
     */
    static ByteBuffer pack(byte[] codes, int lines, int out) {
        ByteBuffer packed =
                ByteBuffer.allocate(Math.multiplyExact(lines, out / 2)).order(ByteOrder.LITTLE_ENDIAN);
        for (int line = 0; line < lines; line++) {
            for (int word = 0; word < out / PER_WORD; word++) {
                int bits = 0;
                for (int nibble = 0; nibble < PER_WORD; nibble++) {
                    bits |= (codes[(word * PER_WORD + ORDER[nibble]) * lines + line] & 0xf) << (BITS * nibble);
                }
                packed.putInt(bits);
            }
        }
        return packed.flip();
    }
}
