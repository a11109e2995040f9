package dev.ptq.weights;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/**
 * One tensor of a {@link WeightSource}: its shape, and its values as float32 on request. Values that are NaN or
 * infinite are an error in every method that reads them.
 */
public interface Weight {
    /** Its dimensions. */
    List<Long> shape();

    /** The stored type of its values; of packed ones, the type that they are unpacked to. */
    StoredType type();

    /** Its origin, for messages: the file and the tensor in it. */
    String origin();

    /** Returns how the tensor is packed; empty if it is stored as floating point numbers. */
    default Optional<Packing> packing() {
        return Optional.empty();
    }

    /** Returns all values, attached to {@code manager}. */
    NDArray load(NDManager manager) throws IOException;

    /** Returns rows {@code from} (inclusive) to {@code to} (exclusive) of a matrix. */
    NDArray rows(NDManager manager, int from, int to) throws IOException;

    /** Returns the rows of a matrix that {@code rows} names, in that order: an embedding's look-up. */
    NDArray gather(NDManager manager, int[] rows) throws IOException;

    /** Returns whether another matrix has the same shape and, read as float32, the same values. */
    default boolean hasSameValues(Weight other) throws IOException {
        if (shape().size() != 2 || !shape().equals(other.shape())) {
            return false;
        }
        int rows = Math.toIntExact(shape().get(0));
        int step = (int) Math.max(1, Math.min(rows, (1L << 22) / Math.max(1, shape().get(1))));
        for (int from = 0; from < rows; from += step) {
            try (NDManager scratch = TensorEngine.newManager()) {
                int to = Math.min(rows, from + step);
                if (!rows(scratch, from, to).contentEquals(other.rows(scratch, from, to))) {
                    return false;
                }
            }
        }
        return true;
    }

    /** Rows {@code from} (inclusive) to {@code to} (exclusive) as a tensor: a part of a fused projection. */
    default Weight slice(int from, int to) {
        return new RowSlice(this, from, to);
    }

    /** The transpose of a matrix stored as {@code [inFeatures, outFeatures]}. */
    default Weight transposed() {
        return new TransposedWeight(this);
    }

    /** Vectors of one length as the rows of a matrix. */
    static Weight stacked(List<Weight> rows) {
        return new StackedWeight(rows);
    }

    /** The tensor with a number added to every value: for norms stored as their difference from one. */
    default Weight plus(float number) {
        return new ShiftedWeight(this, number);
    }
}
