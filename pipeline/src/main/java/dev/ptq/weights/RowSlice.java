package dev.ptq.weights;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Adjacent rows of a matrix, or values of a vector. */
record RowSlice(Weight whole, int from, int to) implements Weight {
    RowSlice {
        long rows = whole.shape().isEmpty() ? 0 : whole.shape().get(0);
        if (from < 0 || from >= to || to > rows) {
            throw new IllegalArgumentException(
                    whole.origin() + ": has no rows " + from + " to " + to + ", its shape is " + whole.shape());
        }
    }

    @Override
    public List<Long> shape() {
        List<Long> shape = new ArrayList<>(whole.shape());
        shape.set(0, (long) to - from);
        return shape;
    }

    @Override
    public StoredType type() {
        return whole.type();
    }

    @Override
    public boolean isPacked() {
        return whole.isPacked();
    }

    @Override
    public long storedBits() {
        return whole.storedBits() / whole.shape().get(0) * (to - from);
    }

    @Override
    public String origin() {
        return whole.origin() + ", rows " + from + " to " + to;
    }

    @Override
    public NDArray load(NDManager manager) throws IOException {
        return whole.rows(manager, from, to);
    }

    @Override
    public NDArray rows(NDManager manager, int first, int last) throws IOException {
        if (first < 0 || first > last || last > to - from) {
            throw new IOException(origin() + ": has no rows " + first + " to " + last + ", its shape is " + shape());
        }
        return whole.rows(manager, from + first, from + last);
    }

    @Override
    public NDArray gather(NDManager manager, int[] rows) throws IOException {
        for (int row : rows) {
            if (row < 0 || row >= to - from) {
                throw new IOException(origin() + ": has no row " + row + ", its shape is " + shape());
            }
        }
        return whole.gather(manager, Arrays.stream(rows).map(row -> from + row).toArray());
    }
}
