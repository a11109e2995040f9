package dev.ptq.layout;

import dev.ptq.format.Formats;
import dev.ptq.format.Fp8Format;
import dev.ptq.format.Grid;
import dev.ptq.format.MxFormat;
import dev.ptq.format.Nvfp4Format;
import dev.ptq.format.SmallFloat;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Weights of small floats as compressed-tensors stores them: E4M3 with float32 scales, MXFP4, MXFP8 and NVFP4. */
final class SmallFloatMatrix {
    private static final String SCALES = "weight_scale";
    private static final String HALVES = "weight_packed";
    private static final String LAYOUT = "compressed-tensors";

    private final Grid grid;
    private final int out;
    private final int in;
    private final byte[] codes;

    private SmallFloatMatrix(Grid grid) {
        this.grid = grid;
        out = Math.toIntExact(grid.shape().get(0));
        in = Math.toIntExact(grid.shape().get(1));
        codes = new byte[out * in];
        IntBuffer stored = grid.codes();
        for (int i = 0; i < codes.length; i++) {
            codes[i] = (byte) stored.get(i);
        }
    }

    /**
     * A packed matrix.
     *
     * @param format as compressed-tensors names it
     * @param weights how its description differs from others: strategy, number of bits and so on
     */
    record Packed(String format, Map<String, Object> weights, Map<String, RawTensor> tensors) {}

    static Packed of(Grid grid, Fp8Format format, ScaleStore store) throws IOException {
        if (format.element() != SmallFloat.E4M3) {
            throw new IOException(LAYOUT + " has no place for " + Formats.written(format) + "; fp8_e4m3 has one");
        }
        SmallFloatMatrix matrix = new SmallFloatMatrix(grid);
        List<Integer> block = format.blockSize();
        int rows = matrix.out;
        int columns = matrix.in;
        Map<String, Object> weights = new LinkedHashMap<>();
        String strategy = switch (format.granularity()) {
            case TENSOR -> "tensor";
            case CHANNEL, TOKEN -> "channel";
            case BLOCK -> "block";
        };
        if (strategy.equals("channel")) {
            rows = 1;
        } else if (strategy.equals("block")) {
            rows = block.get(0) == -1 ? rows : block.get(0);
            columns = block.get(1) == -1 ? columns : block.get(1);
            weights.put("block_structure", List.of(rows, columns));
        }
        weights.put("num_bits", 8);
        weights.put("strategy", strategy);
        int down = (matrix.out + rows - 1) / rows;
        int across = (matrix.in + columns - 1) / columns;
        float[] scales = grid.scales();
        matrix.require(Tables.e4m3(), Scales.of(scales, across, rows, columns));
        Map<String, RawTensor> tensors = new LinkedHashMap<>();
        tensors.put(ByteCodes.CODES, matrix.bytes(StoredType.F8_E4M3));
        tensors.put(SCALES, strategy.equals("tensor") ? store.tensor(scales, 1) : store.tensor(scales, down, across));
        return new Packed("float-quantized", weights, tensors);
    }

    static Packed of(Grid grid, MxFormat format) throws IOException {
        SmallFloatMatrix matrix = new SmallFloatMatrix(grid);
        boolean isFour = format.element() == SmallFloat.E2M1;
        if (!isFour && format.element() != SmallFloat.E4M3) {
            throw new IOException(
                    LAYOUT + " has no place for " + Formats.written(format) + "; mxfp4 and mxfp8_e4m3 have one");
        }
        matrix.requireBlocks(32, format.blockSize());
        matrix.require(isFour ? Tables.e2m1() : Tables.e4m3(), Scales.of(grid.scales(), matrix.in / 32, 1, 32));
        Map<String, RawTensor> tensors = new LinkedHashMap<>();
        tensors.put(isFour ? HALVES : ByteCodes.CODES, isFour ? matrix.halves() : matrix.bytes(StoredType.F8_E4M3));
        tensors.put(SCALES, RawTensor.of(matrix.stored("scale"), matrix.out, matrix.in / 32));
        return new Packed(
                isFour ? "mxfp4-pack-quantized" : "mxfp8-quantized",
                ordered(
                        "group_size",
                        32,
                        "num_bits",
                        isFour ? 4 : 8,
                        "scale_dtype",
                        "torch.uint8",
                        "strategy",
                        "group"),
                tensors);
    }

    static Packed of(Grid grid, Nvfp4Format format) throws IOException {
        SmallFloatMatrix matrix = new SmallFloatMatrix(grid);
        matrix.requireBlocks(16, 16);
        RawTensor global = grid.parts().get("tensor_scale");
        if (format.rule() != Nvfp4Format.Rule.COMPRESSED_TENSORS || global == null) {
            throw new IOException(LAYOUT + " divides block scales by that of the tensor; set rule ="
                    + " \"compressed_tensors\" in the format");
        }
        matrix.require(Tables.e2m1(), Scales.of(grid.scales(), matrix.in / 16, 1, 16));
        Map<String, RawTensor> tensors = new LinkedHashMap<>();
        tensors.put(HALVES, matrix.halves());
        tensors.put(
                SCALES,
                new RawTensor(
                        StoredType.F8_E4M3,
                        List.of((long) matrix.out, matrix.in / 16L),
                        ByteBuffer.wrap(matrix.stored("scale"))));
        tensors.put(
                "weight_global_scale", RawTensor.of(new float[] {global.bytes().getFloat(0)}, 1));
        return new Packed(
                "nvfp4-pack-quantized",
                ordered(
                        "group_size",
                        16,
                        "num_bits",
                        4,
                        "scale_dtype",
                        "torch.float8_e4m3fn",
                        "strategy",
                        "tensor_group"),
                tensors);
    }

    private static Map<String, Object> ordered(Object... pairs) {
        Map<String, Object> map = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            map.put((String) pairs[i], pairs[i + 1]);
        }
        return map;
    }

    private void requireBlocks(int expected, int found) throws IOException {
        if (found != expected || in % expected != 0) {
            throw new IOException(LAYOUT + " has a place for blocks of " + expected + " that fill a row, got blocks of "
                    + found + " in rows of " + in + "; give such linears another format in an override, or use --format"
                    + " float");
        }
    }

    private void require(float[] table, Scales scales) throws IOException {
        CodedMatrix packed = new CodedMatrix(0, out, in, codes, table, scales);
        SameValues.require(
                packed, grid, LAYOUT, "they are no element times a scale that it stores; --format float keeps them");
    }

    private RawTensor bytes(StoredType type) {
        return new RawTensor(type, List.of((long) out, (long) in), ByteBuffer.wrap(codes));
    }

    private RawTensor halves() {
        return new RawTensor(StoredType.U8, List.of((long) out, in / 2L), Nibbles.LOW_FIRST.pack(codes));
    }

    private byte[] stored(String part) {
        return Tables.array(Objects.requireNonNull(grid.parts().get(part)).bytes());
    }
}
