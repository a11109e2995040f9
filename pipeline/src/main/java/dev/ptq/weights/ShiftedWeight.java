package dev.ptq.weights;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/** A tensor with a number added to every value. */
record ShiftedWeight(Weight stored, float number) implements Weight {
    @Override
    public List<Long> shape() {
        return stored.shape();
    }

    @Override
    public StoredType type() {
        return stored.type();
    }

    @Override
    public Optional<Packing> packing() {
        return stored.packing();
    }

    @Override
    public String origin() {
        return stored.origin() + ", plus " + number;
    }

    @Override
    public Weight plus(float more) {
        // there and back again is exact
        return number + more == 0 ? stored : new ShiftedWeight(this, more);
    }

    @Override
    public NDArray load(NDManager manager) throws IOException {
        return stored.load(manager).addi(number);
    }

    @Override
    public NDArray rows(NDManager manager, int from, int to) throws IOException {
        return stored.rows(manager, from, to).addi(number);
    }

    @Override
    public NDArray gather(NDManager manager, int[] rows) throws IOException {
        return stored.gather(manager, rows).addi(number);
    }
}
