package dev.ptq.weights;

import dev.ptq.tensor.HalfFloats;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;

/**
 * A tensor in the form of a safetensors file, on the Java heap.
 *
 * @param type of its values
 * @param shape may have no dimensions, for one value
 * @param bytes the values row-major, little-endian; read-only
 */
public record RawTensor(StoredType type, List<Long> shape, ByteBuffer bytes) {
    public RawTensor {
        shape = List.copyOf(shape);
        long expected = shape.stream().reduce((long) type.bytes(), Math::multiplyExact);
        if (bytes.remaining() != expected) {
            throw new IllegalArgumentException(
                    "expected " + expected + " bytes for " + type + " " + shape + ", got " + bytes.remaining());
        }
        bytes = bytes.slice().asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
    }

    /** A tensor of type U8. */
    public static RawTensor of(byte[] values, long... shape) {
        return new RawTensor(StoredType.U8, boxed(shape), ByteBuffer.wrap(values));
    }

    /** A tensor of type U8, of numbers from 0 to 255. */
    public static RawTensor ofBytes(int[] values, long... shape) {
        byte[] bytes = new byte[values.length];
        for (int i = 0; i < bytes.length; i++) {
            if (values[i] < 0 || values[i] > 255) {
                throw new IllegalArgumentException("expected numbers from 0 to 255, got " + values[i] + " at " + i);
            }
            bytes[i] = (byte) values[i];
        }
        return of(bytes, shape);
    }

    /** A tensor of type I32. */
    public static RawTensor of(int[] values, long... shape) {
        ByteBuffer bytes = allocate(StoredType.I32, values.length);
        bytes.asIntBuffer().put(values);
        return new RawTensor(StoredType.I32, boxed(shape), bytes);
    }

    /** A tensor of type I64. */
    public static RawTensor of(long[] values, long... shape) {
        ByteBuffer bytes = allocate(StoredType.I64, values.length);
        bytes.asLongBuffer().put(values);
        return new RawTensor(StoredType.I64, boxed(shape), bytes);
    }

    /** A tensor of type F32. */
    public static RawTensor of(float[] values, long... shape) {
        ByteBuffer bytes = allocate(StoredType.F32, values.length);
        bytes.asFloatBuffer().put(values);
        return new RawTensor(StoredType.F32, boxed(shape), bytes);
    }

    /** A tensor of type F16, rounded half to even. */
    public static RawTensor ofHalves(float[] values, long... shape) {
        ByteBuffer bytes = allocate(StoredType.F16, values.length);
        for (float value : values) {
            bytes.putShort(HalfFloats.of(value));
        }
        return new RawTensor(StoredType.F16, boxed(shape), bytes.flip());
    }

    private static ByteBuffer allocate(StoredType type, int count) {
        return ByteBuffer.allocate(Math.multiplyExact(count, type.bytes())).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static List<Long> boxed(long[] shape) {
        return Arrays.stream(shape).boxed().toList();
    }

    @Override
    public ByteBuffer bytes() {
        return bytes.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    }
}
