package dev.ptq.tensor;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.util.Arrays;

/** Creates float32 tensors whose memory the engine owns, and windows onto that memory. */
public final class NativeFloats {
    private static final int TILE = 1 << 14;

    private NativeFloats() {}

    /** Returns an uninitialized tensor. */
    public static NDArray create(NDManager manager, Shape shape) {
        return manager.create(shape, DataType.FLOAT32);
    }

    /** Returns a tensor with the values of {@code data}; unlike {@code manager.create(float[])} it owns its memory. */
    public static NDArray of(NDManager manager, float[] data, long... shape) {
        NDArray array = create(manager, new Shape(shape));
        if (array.size() != data.length) {
            throw new IllegalArgumentException(data.length + " values do not fill " + array.getShape());
        }
        if (data.length > 0) {
            window(array).put(data);
        }
        return array;
    }

    /** Returns a constant whose memory the engine owns, as automatic differentiation needs it. */
    public static NDArray scalar(NDManager manager, float value) {
        return manager.full(new Shape(), value, DataType.FLOAT32);
    }

    /** Returns an int64 tensor with the values of {@code data}, owning its memory likewise. */
    public static NDArray indices(NDManager manager, int[] data, long... shape) {
        NDArray array = manager.create(new Shape(shape), DataType.INT64);
        if (array.size() != data.length) {
            throw new IllegalArgumentException(data.length + " values do not fill " + array.getShape());
        }
        LongBuffer window = array.toByteBuffer(true).asLongBuffer();
        for (int index : data) {
            window.put(index);
        }
        return array;
    }

    /**
     * Returns the values of a float32 tensor for reading, without a copy where it is contiguous. The window is valid
     * until the tensor is closed.
     *
     * @throws IllegalArgumentException if the data type is not float32, or the tensor has 2^29 values or more, which
     *     is what a Java buffer can show
     */
    public static FloatBuffer window(NDArray array) {
        if (array.getDataType() != DataType.FLOAT32) {
            throw new IllegalArgumentException("expected a float32 tensor, got " + array.getDataType());
        }
        if (array.size() >= 1L << 29) {
            throw new IllegalArgumentException("a tensor of " + array.getShape() + " is too large for one window");
        }
        // a tensor without values may have no memory to show
        return array.size() == 0
                ? FloatBuffer.allocate(0)
                : array.toByteBuffer(true).asFloatBuffer();
    }

    /**
     * Returns the values of a float32 tensor for writing.
     *
     * @throws IllegalArgumentException as {@link #window}, and if the tensor is not contiguous: the engine would show a
     *     copy, and writes would be silently lost
     */
    public static FloatBuffer writableWindow(NDArray array) {
        FloatBuffer window = window(array);
        ByteBuffer again = array.toByteBuffer(true);
        if (window.capacity() > 0 && !sameMemory(window, again.asFloatBuffer())) {
            throw new IllegalArgumentException("a tensor of " + array.getShape() + " is not contiguous");
        }
        return window;
    }

    /** Returns whether no value is NaN or infinite. */
    public static boolean allFinite(NDArray array) {
        // a product with zero is zero, unless the value is NaN or infinite
        return sum(array, value -> value * 0) == 0;
    }

    /** Returns {@code Σ x²}, summed in double, always in the same order. */
    public static double sumOfSquares(NDArray array) {
        return sum(array, value -> (double) value * value);
    }

    /** Returns {@code Σ |x|}, likewise. */
    public static double sumOfMagnitudes(NDArray array) {
        return sum(array, Math::abs);
    }

    /** A value's contribution to a sum. */
    @FunctionalInterface
    private interface Term {
        double of(float value);
    }

    private static double sum(NDArray array, Term term) {
        // the window of a tensor that is not contiguous is a copy in Java's heap, which would stay there for long
        try (NDArray rows = Torch.contiguous(array)) {
            return sum(window(rows), term);
        }
    }

    private static double sum(FloatBuffer values, Term term) {
        double[] sums = new double[(values.capacity() + TILE - 1) / TILE];
        Parallel.forEach(sums.length, () -> new float[TILE], (tile, index) -> {
            int from = index * TILE;
            int count = Math.min(TILE, values.capacity() - from);
            values.get(from, tile, 0, count);
            double sum = 0;
            for (int i = 0; i < count; i++) {
                sum += term.of(tile[i]);
            }
            sums[index] = sum;
        });
        return Arrays.stream(sums).sum();
    }

    private static boolean sameMemory(FloatBuffer a, FloatBuffer b) {
        float first = a.get(0);
        float other = first == 1 ? 2 : 1;
        a.put(0, other);
        boolean same = b.get(0) == other;
        a.put(0, first);
        return same;
    }
}
