package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.List;

/** The residual stream of many chunks on their way through the model: batches of {@code [batch, tokens, hiddenSize]}. */
public final class HiddenStates implements AutoCloseable {
    private final NDManager manager;
    private final List<NDArray> batches = new ArrayList<>();

    HiddenStates(NDManager manager) {
        this.manager = manager;
    }

    NDManager manager() {
        return manager;
    }

    void add(NDArray batch) {
        batch.attach(manager);
        batches.add(batch);
    }

    /** Number of batches. */
    public int size() {
        return batches.size();
    }

    /** A batch as the last block left it. */
    public NDArray batch(int index) {
        return batches.get(index);
    }

    /** Puts {@code next} in the place of a batch, which is closed. */
    void replace(int index, NDArray next) {
        next.attach(manager);
        batches.set(index, next).close();
    }

    @Override
    public void close() {
        manager.close();
    }
}
