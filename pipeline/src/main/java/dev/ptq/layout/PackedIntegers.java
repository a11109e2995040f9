package dev.ptq.layout;

import dev.ptq.layout.CompressedTensors.Weights;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * The layout pack-quantized of compressed-tensors: {@code weight_packed} has rows of words of codes {@code q + 2^(bits-1)},
 * {@code weight_zero_point} likewise, but down the rows. Releases up to 0.17 let no code cross into the next word.
 */
final class PackedIntegers {
    private static final String CODES = "weight_packed";
    private static final String SHAPE = "weight_shape";
    private static final String SCALES = "weight_scale";
    private static final String ZEROS = "weight_zero_point";
    private static final String GROUPS = "weight_g_idx";

    private final ModuleTensors tensors;
    private final Weights weights;
    private final Words words;
    private final int out;
    private final int in;
    private final int groupSize;
    private final int groups;

    private PackedIntegers(ModuleTensors tensors, Weights weights) throws IOException {
        this.tensors = tensors;
        this.weights = weights;
        out = tensors.side(CODES, 0);
        in = inFeatures(tensors, out);
        int found = tensors.side(CODES, 1);
        words = packing(weights, in, out, found);
        tensors.require(CODES, StoredType.I32, out, words.count(in));
        groupSize = weights.columnsPerScale(in);
        groups = (in - 1) / groupSize + 1;
    }

    static PackedLinear open(ModuleTensors tensors, Weights weights) throws IOException {
        PackedIntegers packed = new PackedIntegers(tensors, weights);
        packed.scales();
        return new PackedLinear(weights.label(), weights.bits(), packed.out, packed.in, packed::read);
    }

    private static int inFeatures(ModuleTensors tensors, int out) throws IOException {
        ByteBuffer shape = tensors.raw(SHAPE, StoredType.I64, 2);
        long rows = shape.getLong(0);
        long columns = shape.getLong(8);
        if (rows != out || columns < 1 || columns >= 1 << 24) {
            throw tensors.wrong(SHAPE, "expected (" + out + ", columns)", "(" + rows + ", " + columns + ")");
        }
        return (int) columns;
    }

    /** Both packings may take equally many words: the release that wrote them decides then. */
    private Words packing(Weights weights, int in, int out, int found) throws IOException {
        Words dense = Words.dense(weights.bits());
        Words whole = new Words(weights.bits(), false);
        boolean isDense = dense.count(in) == found;
        boolean isWhole = whole.count(in) == found;
        if (isDense && isWhole && dense.count(out) != whole.count(out) && tensors.has(ZEROS)) {
            long zeroWords = tensors.side(ZEROS, 0);
            isDense = dense.count(out) == zeroWords;
            isWhole = whole.count(out) == zeroWords;
        }
        if (isDense && isWhole && !dense.isSameAs(whole, Math.max(in, tensors.has(ZEROS) ? out : 0))) {
            isWhole = weights.isWholeWords();
            isDense = !isWhole;
        }
        if (!isDense && !isWhole) {
            throw tensors.wrong(
                    CODES,
                    "expected " + dense.count(in) + " words a row for " + in + " codes of " + weights.bits() + " bits",
                    found);
        }
        return isDense ? dense : whole;
    }

    private CodedMatrix read(int from, int to) throws IOException {
        byte[] codes = words.unpack(tensors.rows(CODES, from, to), Words.Lines.rows(words, to - from, in));
        return new CodedMatrix(from, to - from, in, codes, CodedMatrix.wholeNumbers(weights.bits()), scales());
    }

    private Scales scales() throws IOException {
        Scales scales = Scales.of(tensors.scales(SCALES, out, groups), groups, 1, groupSize);
        scales = weights.symmetric()
                ? scales.withZero(1 << (weights.bits() - 1))
                : scales.withZeros(
                        words.unpackDown(tensors.raw(ZEROS, StoredType.I32, words.count(out), groups), out, groups));
        if (weights.ordered() && !tensors.has(GROUPS)) {
            throw new IOException(tensors.name(GROUPS)
                    + ": there is no such tensor, but the config has actorder = \"group\", with which only it says to which"
                    + " group a column belongs");
        }
        return tensors.has(GROUPS) ? scales.withGroups(groupOfColumn()) : scales;
    }

    private int[] groupOfColumn() throws IOException {
        int[] stored = new int[in];
        tensors.raw(GROUPS, StoredType.I32, in).asIntBuffer().get(stored);
        boolean isUnused = true;
        for (int group : stored) {
            isUnused &= group == -1;
        }
        return isUnused ? new int[0] : Groups.read(tensors, GROUPS, in, groupSize, weights.ordered());
    }
}
