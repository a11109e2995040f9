package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Parallel;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.util.Arrays;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * A tensor in a number format: a code for each value, and what the values share. It lies on the Java heap, never
 * changes and needs no closing.
 *
 * <p>Integers have a scale for each group and, unless symmetric, a zero point: {@code value = scale (code -
 * zeroPoint)}. With torchao's {@code asymmetric_float} mapping the stored zero point is the value of the middle code, and that
 * of {@code hqq} need not be whole. A code of {@code nf4}, {@code nf3} and {@code nf2} is a place in their table, and the scale of a block its largest
 * magnitude. In {@code mxint} a code is a signed mantissa, the lowest of two's complement being the negative zero,
 * and each block has an exponent. A code of {@code minifloat} holds sign, exponent and mantissa; one of {@code fixed}
 * is a number of steps. MX, FP8 and NVFP4 have codes of {@link SmallFloat} and a scale for each block.
 *
 * <p>Values that no code represents bit for bit are kept as exceptions. There are normally none. LQER's {@code mxint}
 * and {@code minifloat} do not round magnitudes up to 1e-8, {@code minifloat} and {@code fixed} have no code for NaN,
 * {@code fixed} has none for the negative zero, and a tensor that GPTQ's grid leaves unrounded has hardly any.
 */
public final class Grid {
    private static final String CODES = "codes";
    private static final String EXCEPTION_INDEX = "exception_index";
    private static final String EXCEPTION_VALUE = "exception_value";
    private static final int TILE = 1 << 14;
    /** The most float32 values that a Java buffer can hold. */
    private static final int MOST_VALUES = 1 << 29;

    private final GridFormat format;
    private final Shape shape;
    private final Operand operand;
    private final Encoding encoding;
    private final int[] codes;
    private final int[] exceptions;
    private final float[] exceptionValues;

    private Grid(
            GridFormat format,
            Shape shape,
            Operand operand,
            Encoding encoding,
            int[] codes,
            int[] exceptions,
            float[] exceptionValues) {
        this.format = format;
        this.shape = shape;
        this.operand = operand;
        this.encoding = encoding;
        this.codes = codes;
        this.exceptions = exceptions;
        this.exceptionValues = exceptionValues;
    }

    /**
     * Encodes a tensor.
     *
     * @param fit rounds a copy of the values in place and returns the encoding
     */
    static Grid of(GridFormat format, NDArray values, Operand operand, Function<FloatBuffer, Encoding> fit) {
        FloatBuffer source = NativeFloats.window(values);
        FloatBuffer rounded = FloatBuffer.allocate(source.capacity());
        rounded.put(0, source, 0, source.capacity());
        return ofRounded(format, values.getShape(), operand, fit.apply(rounded), rounded);
    }

    /** Encodes values that are already rounded. */
    static Grid ofRounded(GridFormat format, Shape shape, Operand operand, Encoding encoding, FloatBuffer rounded) {
        int[] codes = new int[rounded.capacity()];
        forEachTile(codes.length, (from, to) -> {
            for (int i = from; i < to; i++) {
                codes[i] = encoding.code(rounded.get(i), i);
            }
        });
        int[] exceptions = IntStream.range(0, codes.length)
                .filter(i -> !isSame(encoding.value(codes[i], i), rounded.get(i)))
                .toArray();
        float[] values = new float[exceptions.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = rounded.get(exceptions[i]);
        }
        return new Grid(format, shape, operand, encoding, codes, exceptions, values);
    }

    /** Returns whether both have the same bits, or are NaN: arithmetic does not determine which NaN. */
    private static boolean isSame(float a, float b) {
        return Float.floatToIntBits(a) == Float.floatToIntBits(b);
    }

    /** Processes the values from {@code from} (inclusive) to {@code to} (exclusive). */
    @FunctionalInterface
    private interface Tile {
        void run(int from, int to);
    }

    private static void forEachTile(int count, Tile work) {
        Parallel.forEach(
                (count + TILE - 1) / TILE,
                () -> work,
                (same, tile) -> same.run(tile * TILE, Math.min(count, (tile + 1) * TILE)));
    }

    public NumberFormat format() {
        return format;
    }

    /** Returns the shape of the tensor. */
    public Shape shape() {
        return shape;
    }

    /** Returns the role of the tensor, which decides how its blocks lie. */
    public Operand operand() {
        return operand;
    }

    /** Returns the codes, row-major. Those at exceptions have no meaning. */
    public IntBuffer codes() {
        return IntBuffer.wrap(codes).asReadOnlyBuffer();
    }

    /**
     * Returns the scale of each group of integers, and of each block of MX, FP8 and NVFP4, or the largest magnitude of each
     * block of a normal float, row by row; none for other formats. It is what codes are multiplied by, in NVFP4 the product
     * of both scales. It is not finite if the values are not.
     */
    public float[] scales() {
        return encoding.scales();
    }

    /** Returns the zero point of each group of integers that are not symmetric, if it is a whole number. */
    public int[] zeroPoints() {
        return encoding.zeroPoints();
    }

    /**
     * Returns the exponent of each block of {@code mxint}, row by row; none for other formats. It is 128 if the block's
     * values are NaN.
     */
    public int[] exponents() {
        return encoding.exponents();
    }

    /** Returns the number of values that no code represents. */
    public int exceptions() {
        return exceptions.length;
    }

    /**
     * What a tensor loses to its format besides precision.
     *
     * @param blocks that share values, or all values where none are shared
     * @param saturated blocks with values that lie more than half a step beyond the largest that the block can hold
     * @param notFinite blocks with values that are NaN or infinite
     */
    public record Faults(long blocks, long saturated, long notFinite) {}

    /**
     * Looks for the faults of a tensor that was fitted, except values that the format cuts off on purpose, by a range
     * that it searched for or a scale that is a mean.
     *
     * @param values as they were before, float32
     */
    public Faults faults(NDArray values) {
        Blocks blocks = format.blocks(shape, operand);
        FloatBuffer source = NativeFloats.window(values);
        BitSet saturated = new BitSet();
        BitSet notFinite = new BitSet();
        boolean cutsOnPurpose = format.cutsOnPurpose();
        for (int i = 0; i < codes.length; i++) {
            float value = source.get(i);
            if (!Float.isFinite(value)) {
                notFinite.set(blocks.blockOf(i));
            } else if (!cutsOnPurpose && isCutOff(value, i)) {
                saturated.set(blocks.blockOf(i));
            }
        }
        return new Faults(blocks.count(), saturated.cardinality(), notFinite.cardinality());
    }

    /** Beyond the largest value everything is rounded to it, and a value within half a step of it is the same mirrored. */
    private boolean isCutOff(float value, int index) {
        float rounded = encoding.value(codes[index], index);
        // less a hundredth, since steps of 16 bits are near the last bit of a float32
        float mirrored = rounded - 0.99f * (value - rounded);
        return Math.abs(rounded) < Math.abs(value)
                && encoding.rounded(2 * value, index) == rounded
                && encoding.rounded(mirrored, index) != rounded;
    }

    /** Returns the values: those of {@link NumberFormat#fakeQuantize}, bit for bit, for the tensor that was fitted. */
    public NDArray values(NDManager manager) {
        NDArray values = NativeFloats.create(manager, shape);
        FloatBuffer target = NativeFloats.window(values);
        forEachTile(codes.length, (from, to) -> {
            for (int i = from; i < to; i++) {
                target.put(i, encoding.value(codes[i], i));
            }
        });
        for (int i = 0; i < exceptions.length; i++) {
            target.put(exceptions[i], exceptionValues[i]);
        }
        return values;
    }

    /**
     * Returns another tensor rounded with the scales and exponents of this one. Values beyond the codes become the
     * nearest; with scales or exponents, values that are not finite become NaN. For the tensor that was fitted the
     * values are equal; not so for doubly quantized largest magnitudes that were read, by which values are divided.
     *
     * @param other float32
     * @throws IllegalArgumentException if its shape differs
     */
    public Grid round(NDArray other) {
        if (!other.getShape().equals(shape)) {
            throw new IllegalArgumentException("expected a tensor of shape " + shape + ", got " + other.getShape());
        }
        return of(format, other, operand, values -> {
            encoding.round(values);
            return encoding;
        });
    }

    /**
     * Returns the tensors that a file must hold for {@link #read}, by name.
     *
     * <ul>
     *   <li>{@code codes}, U8: {@link PackedCodes}, exactly the bits of the format to a code; integers from 0, or where
     *       the format has negative ones, in two's complement
     *   <li>{@code scale}, F32 {@code [rows of groups, groups of a row]}, of integers
     *   <li>{@code zero_point}, likewise, U8 where codes and zero points have at most 8 bits, else I32; of integers
     *       that are not symmetric. I32 in the grids of tools, F32 with {@code asymmetric_float}
     *   <li>{@code scale} and {@code zero_point}, F32, of {@code hqq}: the reciprocal of the scale of each group of the
     *       flattened tensor, {@code [groups, 1]} or, along the other axis, {@code [1, groups]}
     *   <li>{@code scale}, likewise, of FP8, its reciprocal with the rule {@code torchao_blockwise}; of MX U8, the
     *       exponent + 127 or 255 for NaN; of NVFP4 U8, codes of E4M3
     *   <li>{@code tensor_scale}, F32 {@code [matrices]} or {@code [1]}, of NVFP4
     *   <li>{@code absmax}, F32 {@code [lines of blocks, blocks of a line]}, of normal floats; doubly quantized
     *       {@code absmax_code}, U8, likewise, {@code absmax_scale} or torchao's {@code absmax_factor}, F32, one for
     *       each second block, and {@code absmax_mean}, F32 {@code [1]}
     *   <li>{@code exponent}, {@code [rows of blocks, blocks of a row]}, U8, of {@code mxint}: with the bias of the format,
     *       255 for NaN; I32 and 256 if
     *       255 is a number's
     *   <li>{@code column_order}, I32, if groups of other columns than neighbours share values: the columns, group by
     *       group
     *   <li>{@code exception_index}, I64, ascending places in the tensor, and {@code exception_value}, F32; if there
     *       are any
     * </ul>
     */
    public Map<String, RawTensor> parts() {
        Map<String, RawTensor> parts = new LinkedHashMap<>();
        PackedCodes packed = PackedCodes.of(shape.getShape(), encoding.bits());
        parts.put(CODES, RawTensor.of(packed.pack(codes), packed.shape(shape.getShape())));
        parts.putAll(encoding.parts());
        if (exceptions.length > 0) {
            long[] index = Arrays.stream(exceptions).asLongStream().toArray();
            parts.put(EXCEPTION_INDEX, RawTensor.of(index, index.length));
            parts.put(EXCEPTION_VALUE, RawTensor.of(exceptionValues, exceptionValues.length));
        }
        return parts;
    }

    /**
     * Reads a grid.
     *
     * @param parts as {@link #parts} gives them
     * @throws IOException naming the part, if one is missing, left over, or not what the format and shape say
     * @throws IllegalArgumentException if the format has no codes
     */
    public static Grid read(NumberFormat format, Shape shape, Operand operand, Map<String, RawTensor> parts)
            throws IOException {
        if (!(format instanceof GridFormat coded)) {
            throw new IllegalArgumentException("expected a format with codes, got " + Formats.written(format));
        }
        Parts found = new Parts(parts);
        int size = size(shape);
        Encoding read = coded.read(shape, operand, found);
        Encoding encoding = found.has(OrderedEncoding.ORDER) ? OrderedEncoding.read(read, shape, found) : read;
        PackedCodes packed = PackedCodes.of(shape.getShape(), encoding.bits());
        ByteBuffer bytes = found.require(CODES, StoredType.U8, packed.shape(shape.getShape()));
        int[] exceptions = new int[0];
        float[] values = new float[0];
        if (found.has(EXCEPTION_INDEX) || found.has(EXCEPTION_VALUE)) {
            exceptions = places(found, size);
            values = new float[exceptions.length];
            found.require(EXCEPTION_VALUE, StoredType.F32, values.length)
                    .asFloatBuffer()
                    .get(values);
        }
        found.finish();
        int[] codes = packed.unpack(bytes, encoding.signed());
        return new Grid(coded, shape, operand, encoding, codes, exceptions, values);
    }

    /** Returns the number of values; rejects a tensor that is too large, even if another dimension makes it empty. */
    private static int size(Shape shape) throws IOException {
        double most = Arrays.stream(shape.getShape()).asDoubleStream().reduce(1, (a, b) -> a * Math.max(1, b));
        if (most >= MOST_VALUES) {
            throw new IOException("expected a tensor of fewer than 2^29 values, got " + shape);
        }
        return Math.toIntExact(shape.size());
    }

    private static int[] places(Parts parts, int size) throws IOException {
        int[] places = new int[parts.length(EXCEPTION_INDEX, size)];
        LongBuffer stored =
                parts.require(EXCEPTION_INDEX, StoredType.I64, places.length).asLongBuffer();
        long before = -1;
        for (int i = 0; i < places.length; i++) {
            long place = stored.get(i);
            if (place <= before || place >= size) {
                throw parts.wrong(EXCEPTION_INDEX, "ascending places below " + size, place + " at " + i);
            }
            places[i] = (int) place;
            before = place;
        }
        return places;
    }
}
