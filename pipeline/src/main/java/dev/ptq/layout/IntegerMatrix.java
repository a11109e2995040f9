package dev.ptq.layout;

import dev.ptq.format.Formats;
import dev.ptq.format.Grid;
import dev.ptq.format.HalfScaleFormat;
import dev.ptq.format.IntegerFormat;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.IntegerGridFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.weights.RawTensor;
import java.io.IOException;
import java.nio.IntBuffer;
import java.util.Arrays;
import java.util.Optional;

/**
 * A weight on a grid of integers as all layouts see it, {@code (code - zeroPoint) · scale} with codes from 0.
 */
final class IntegerMatrix {
    private static final String ORDER = "column_order";

    private final Scheme scheme;
    private final int out;
    private final int in;
    private final byte[] codes;
    private final float[] scales;
    private final byte[] zeros;
    private final int[] groupOfColumn;

    /**
     * What matrices of one kind share.
     *
     * @param groupSize neighbours that share a scale; -1 if a row does
     * @param symmetric whether all zero points are the middle code
     * @param ordered whether columns may be in any group
     */
    record Scheme(int bits, int groupSize, boolean symmetric, boolean ordered) {
        int groups(int columns) {
            return groupSize == -1 ? 1 : (columns + groupSize - 1) / groupSize;
        }

        /** The columns of a group. */
        int size(int columns) {
            return groupSize == -1 ? columns : groupSize;
        }
    }

    private IntegerMatrix(
            Scheme scheme, int out, int in, byte[] codes, float[] scales, byte[] zeros, int[] groupOfColumn) {
        this.scheme = scheme;
        this.out = out;
        this.in = in;
        this.codes = codes;
        this.scales = scales;
        this.zeros = zeros;
        this.groupOfColumn = groupOfColumn;
    }

    /**
     * Takes a weight.
     *
     * @param layout for messages
     * @throws IOException if it is not on such a grid, saying which setting gives one
     */
    static IntegerMatrix of(Grid grid, String layout) throws IOException {
        NumberFormat format = grid.format().dynamic();
        format = format instanceof HalfScaleFormat half ? half.format() : format;
        final int bits;
        final int size;
        final Granularity granularity;
        final boolean symmetric;
        if (format instanceof IntegerFormat integers) {
            bits = integers.bits();
            granularity = integers.granularity();
            size = integers.groupSize();
            symmetric = integers.symmetric();
        } else if (format instanceof IntegerGridFormat integers) {
            bits = integers.bits();
            granularity = integers.granularity();
            size = integers.groupSize();
            symmetric = integers.isSymmetric();
        } else {
            throw new IOException(layout + " has no place for " + Formats.written(format)
                    + "; with format = \"int\" it has, and --format float has one for every format");
        }
        if (bits > 8) {
            throw new IOException(layout + " has no place for codes of " + bits + " bits; set bits to at most 8");
        }
        int out = Math.toIntExact(grid.shape().get(0));
        int in = Math.toIntExact(grid.shape().get(1));
        Optional<RawTensor> order =
                Optional.ofNullable(grid.parts().get(ORDER)).filter(found -> granularity == Granularity.GROUP);
        boolean isOrdered = order.isPresent();
        Scheme scheme = new Scheme(bits, granularity == Granularity.GROUP ? size : -1, symmetric, isOrdered);
        int blocks = out * scheme.groups(in);
        int middle = 1 << (bits - 1);
        int[] zeroPoints = grid.zeroPoints();
        boolean isSigned = zeroPoints.length == 0 || lowest(zeroPoints, grid.codes()) < 0;
        int shift = isSigned ? middle : 0;
        float[] scales = spread(grid.scales(), blocks);
        byte[] zeros = new byte[blocks];
        for (int i = 0; i < blocks; i++) {
            // a whole matrix may have one
            int zero = zeroPoints.length == 0 ? 0 : zeroPoints[zeroPoints.length == 1 ? 0 : i];
            zeros[i] = code(zero + shift, bits, layout);
        }
        byte[] codes = new byte[out * in];
        IntBuffer stored = grid.codes();
        for (int i = 0; i < codes.length; i++) {
            codes[i] = code(stored.get(i) + shift, bits, layout);
        }
        int[] groups = new int[in];
        for (int place = 0; place < in; place++) {
            int column = order.isPresent() ? order.get().bytes().getInt(4 * place) : place;
            groups[column] = place / scheme.size(in);
        }
        IntegerMatrix matrix = new IntegerMatrix(scheme, out, in, codes, scales, zeros, groups);
        matrix.requireSame(grid, layout);
        return matrix;
    }

    private static int lowest(int[] zeroPoints, IntBuffer codes) {
        int lowest = Arrays.stream(zeroPoints).min().orElse(0);
        for (int i = 0; i < codes.capacity(); i++) {
            lowest = Math.min(lowest, codes.get(i));
        }
        return lowest;
    }

    private static float[] spread(float[] scales, int blocks) throws IOException {
        if (scales.length == blocks) {
            return scales;
        }
        if (scales.length != 1) {
            throw new IOException("expected " + blocks + " scales, got " + scales.length);
        }
        float[] spread = new float[blocks];
        Arrays.fill(spread, scales[0]);
        return spread;
    }

    private static byte code(int code, int bits, String layout) throws IOException {
        if (code < 0 || code >= 1 << bits) {
            throw new IOException(layout + " has no place for a code or zero point " + code + " beside codes from 0 to "
                    + ((1 << bits) - 1) + "; with include_zero = true and a mapping of whole zero points it has");
        }
        return (byte) code;
    }

    /** Unpacks it as readers do. */
    private void requireSame(Grid grid, String layout) throws IOException {
        Scales blocks = Scales.of(scales, scheme.groups(in), 1, scheme.size(in))
                .withZeros(zeros)
                .withGroups(groupOfColumn);
        SameValues.require(
                new CodedMatrix(0, out, in, codes, CodedMatrix.wholeNumbers(scheme.bits()), blocks),
                grid,
                layout,
                "they are not (code - zero point) times a float32 scale; --format float keeps them");
    }

    Scheme scheme() {
        return scheme;
    }

    int out() {
        return out;
    }

    int in() {
        return in;
    }

    int groups() {
        return scheme.groups(in);
    }

    /** Codes, {@code [out, in]}. */
    byte[] codes() {
        return codes.clone();
    }

    /** Scales, {@code [out, groups]}. */
    float[] scales() {
        return scales.clone();
    }

    /** Zero points, likewise. */
    byte[] zeros() {
        return zeros.clone();
    }

    boolean hasNegativeScale() {
        for (float scale : scales) {
            if (scale < 0) {
                return true;
            }
        }
        return false;
    }

    /** Scales, {@code [groups, out]}. */
    float[] turnedScales() {
        float[] turned = new float[scales.length];
        for (int row = 0; row < out; row++) {
            for (int group = 0; group < groups(); group++) {
                turned[group * out + row] = scales[row * groups() + group];
            }
        }
        return turned;
    }

    /** Zero points, {@code [groups, out]}. */
    byte[] turnedZeros() {
        byte[] turned = new byte[zeros.length];
        for (int row = 0; row < out; row++) {
            for (int group = 0; group < groups(); group++) {
                turned[group * out + row] = zeros[row * groups() + group];
            }
        }
        return turned;
    }

    /** The group of each column. */
    int[] groupOfColumn() {
        return groupOfColumn.clone();
    }
}
