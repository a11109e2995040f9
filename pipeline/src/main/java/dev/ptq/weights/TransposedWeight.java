package dev.ptq.weights;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.NativeFloats;
import java.io.IOException;
import java.util.List;

/** The transpose of a stored matrix. Its rows are stored columns, so reading any of them reads the whole matrix. */
record TransposedWeight(Weight stored) implements Weight {
    TransposedWeight {
        if (stored.shape().size() != 2) {
            throw new IllegalArgumentException(
                    stored.origin() + ": expected a matrix to transpose, its shape is " + stored.shape());
        }
    }

    @Override
    public List<Long> shape() {
        return List.of(stored.shape().get(1), stored.shape().get(0));
    }

    @Override
    public StoredType type() {
        return stored.type();
    }

    @Override
    public boolean isPacked() {
        return stored.isPacked();
    }

    @Override
    public long storedBits() {
        return stored.storedBits();
    }

    @Override
    public String origin() {
        return stored.origin() + ", transposed";
    }

    @Override
    public NDArray load(NDManager manager) throws IOException {
        return columns(manager, new NDIndex(":"));
    }

    @Override
    public NDArray rows(NDManager manager, int from, int to) throws IOException {
        if (from < 0 || from > to || to > shape().get(0)) {
            throw new IOException(origin() + ": has no rows " + from + " to " + to + ", its shape is " + shape());
        }
        return columns(manager, new NDIndex("{}:{}", from, to));
    }

    private NDArray columns(NDManager manager, NDIndex index) throws IOException {
        try (NDManager scratch = manager.newSubManager()) {
            NDArray turned = stored.load(scratch).transpose(1, 0).get(index);
            NDArray own = NativeFloats.create(manager, turned.getShape());
            turned.copyTo(own);
            return own;
        }
    }

    @Override
    public NDArray gather(NDManager manager, int[] rows) throws IOException {
        for (int row : rows) {
            if (row < 0 || row >= shape().get(0)) {
                throw new IOException(origin() + ": has no row " + row + ", its shape is " + shape());
            }
        }
        try (NDManager scratch = manager.newSubManager()) {
            NDArray turned = stored.load(scratch).transpose(1, 0);
            NDArray own = NativeFloats.create(manager, new Shape(rows.length, shape().get(1)));
            for (int i = 0; i < rows.length; i++) {
                own.set(new NDIndex("{}", i), turned.get(rows[i]));
            }
            return own;
        }
    }
}
