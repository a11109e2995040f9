package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The residual stream of many chunks on their way through the model: batches of {@code [batch, tokens, hiddenSize]}. */
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

    /** Adds a batch whose sequences are trees, if there are any. */
    void add(NDArray batch, Optional<TokenTrees> layout) {
        batch.attach(manager);
        batches.add(batch);
        trees.add(layout);
    }

    /** The trees that a batch is of; absent where it is of plain sequences. */
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
