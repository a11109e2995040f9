package dev.ptq.weights;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** Vectors, stored one by one, as the rows of a matrix. */
record StackedWeight(List<Weight> vectors) implements Weight {
    StackedWeight {
        vectors = List.copyOf(vectors);
        List<Long> shape = vectors.get(0).shape();
        for (Weight vector : vectors) {
            if (shape.size() != 1 || !vector.shape().equals(shape)) {
                throw new IllegalArgumentException(vector.origin() + ": expected a vector like the " + vectors.size()
                        + " that belong together, its shape is " + vector.shape());
            }
        }
    }

    @Override
    public List<Long> shape() {
        return List.of((long) vectors.size(), vectors.get(0).shape().get(0));
    }

    @Override
    public StoredType type() {
        return vectors.get(0).type();
    }

    @Override
    public long storedBits() {
        return vectors.stream().mapToLong(Weight::storedBits).sum();
    }

    @Override
    public String origin() {
        return vectors.get(0).origin() + " and the " + (vectors.size() - 1) + " after it";
    }

    @Override
    public NDArray load(NDManager manager) throws IOException {
        return rows(manager, 0, vectors.size());
    }

    @Override
    public NDArray rows(NDManager manager, int from, int to) throws IOException {
        return gather(manager, IntStream.range(from, to).toArray());
    }

    @Override
    public NDArray gather(NDManager manager, int[] rows) throws IOException {
        try (NDManager scratch = manager.newSubManager()) {
            NDList parts = new NDList();
            for (int row : rows) {
                if (row < 0 || row >= vectors.size()) {
                    throw new IOException(
                            origin() + ": has no rows " + Arrays.toString(rows) + ", its shape is " + shape());
                }
                parts.add(vectors.get(row).load(scratch));
            }
            NDArray stacked = NDArrays.stack(parts);
            stacked.attach(manager);
            return stacked;
        }
    }
}
