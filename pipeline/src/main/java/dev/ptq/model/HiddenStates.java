package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The residual stream of many chunks as they pass through the model: batches of {@code [batch, tokens, hiddenSize]}.
 */
public final class HiddenStates implements AutoCloseable {
    private final NDManager manager;
    private final List<NDArray> batches = new ArrayList<>();
    private final List<Optional<TokenTrees>> trees = new ArrayList<>();

    HiddenStates(NDManager manager) {
        this.manager = manager;
    }

    NDManager manager() {
        return manager;
    }

    void add(NDArray batch) {
        add(batch, Optional.empty());
    }

    /** Adds a batch, with the trees its sequences form, if any. */
    void add(NDArray batch, Optional<TokenTrees> layout) {
        batch.attach(manager);
        batches.add(batch);
        trees.add(layout);
    }

    /** The trees of a batch; absent for plain sequences. */
    Optional<TokenTrees> trees(int index) {
        return trees.get(index);
    }

    /** Number of batches. */
    public int size() {
        return batches.size();
    }

    /** A batch as the last block left it. */
    public NDArray batch(int index) {
        return batches.get(index);
    }

    /** Replaces a batch by {@code next} and closes it. */
    void replace(int index, NDArray next) {
        next.attach(manager);
        batches.set(index, next).close();
    }

    @Override
    public void close() {
        manager.close();
    }
}
