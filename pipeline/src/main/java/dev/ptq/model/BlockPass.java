package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Parallel;
import java.io.IOException;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntConsumer;

/** Applies single blocks of a model to hidden states. */
public final class BlockPass implements AutoCloseable {
    /** Hidden states that go through a block at once, in values; larger ones have use for all of the engine's threads. */
    private static final long VALUES = 1L << 23;

    private final LanguageModel model;
    /** Those of lengths that came lately, while nobody uses them. */
    private final Queue<SequenceConstants> spare = new ConcurrentLinkedQueue<>();

    public BlockPass(LanguageModel model) {
        this.model = model;
    }

    /**
     * Returns what a block makes of hidden states, attached to their manager.
     *
     * @param hidden {@code [batch, tokens, hiddenSize]}; stays as it is
     */
    public NDArray forward(Block block, NDArray hidden, ActivationObserver observer) {
        return forward(block, hidden, observer, Operators.inPlace());
    }

    /** As above, with other operators. */
    public NDArray forward(Block block, NDArray hidden, ActivationObserver observer, Operators operators) {
        SequenceConstants constants = plain((int) hidden.getShape().get(1));
        try {
            return model.architecture().forward(new ForwardPass(block, constants, observer, operators), hidden);
        } finally {
            spare.add(constants);
        }
    }

    /** Puts what a block makes of every batch in its place. */
    public void advance(Block block, HiddenStates states, ActivationObserver observer) throws IOException {
        advance(block, states, observer, done -> {});
    }

    /**
     * Puts what a block makes of every batch in its place, several at once where the observer does not mind.
     *
     * @param progress is told the number of batches done, by one thread at a time
     * @throws IOException naming the block, if it makes a value that is NaN or infinite
     */
    void advance(Block block, HiddenStates states, ActivationObserver observer, IntConsumer progress)
            throws IOException {
        AtomicInteger done = new AtomicInteger();
        forEach(states, observer, index -> {
            states.replace(index, output(block, states, index, observer));
            synchronized (done) {
                progress.accept(done.incrementAndGet());
            }
        });
    }

    /** Returns what a block makes of all batches; they stay as they are. */
    public HiddenStates outputs(Block block, HiddenStates states, ActivationObserver observer) throws IOException {
        NDArray[] outputs = new NDArray[states.size()];
        forEach(states, observer, index -> outputs[index] = output(block, states, index, observer));
        HiddenStates all = new HiddenStates(model.manager().newSubManager());
        for (int i = 0; i < outputs.length; i++) {
            all.add(outputs[i], states.trees(i));
        }
        return all;
    }

    /** How many batches of hidden states of {@code values} go through a block at once. */
    public static int atOnce(long values) {
        return (int) Math.max(1, Math.min(Parallel.THREADS, VALUES / values));
    }

    private static void forEach(HiddenStates states, ActivationObserver observer, Parallel.TensorPiece batch)
            throws IOException {
        if (observer.inAnyOrder()) {
            long largest = 1;
            for (int i = 0; i < states.size(); i++) {
                long mask = states.trees(i).map(TokenTrees::maskSize).orElse(0L);
                largest = Math.max(largest, states.batch(i).size() + mask);
            }
            Parallel.forEachOfTensors(states.size(), atOnce(largest), batch);
        } else {
            for (int i = 0; i < states.size(); i++) {
                batch.run(i);
            }
        }
    }

    private NDArray output(Block block, HiddenStates states, int index, ActivationObserver observer)
            throws IOException {
        NDArray batch = states.batch(index);
        try (NDManager scratch = model.manager().newSubManager()) {
            batch.tempAttach(scratch);
            Optional<TokenTrees> trees = states.trees(index);
            NDArray next =
                    trees.isPresent() ? forward(block, batch, trees.get(), observer) : forward(block, batch, observer);
            if (!NativeFloats.allFinite(next)) {
                throw new IOException("block " + block.index()
                        + " makes a value that is NaN or infinite; a number format of its operands is out of range");
            }
            next.attach(model.manager());
            return next;
        }
    }

    /** Constants are made anew: those of all batches would take more memory than the states. */
    private NDArray forward(Block block, NDArray hidden, TokenTrees trees, ActivationObserver observer) {
        if (block.roundsActivations()) {
            throw new IllegalArgumentException(
                    "block " + block.index() + " rounds what flows through it, which padding would change");
        }
        try (SequenceConstants branched = new SequenceConstants(hidden.getManager(), model.config(), trees)) {
            return model.architecture()
                    .forward(new ForwardPass(block, branched, observer, Operators.inPlace()), hidden);
        }
    }

    /** Returns the caller's own until it puts them back; of several lengths the last one's are kept for each thread. */
    private SequenceConstants plain(int tokens) {
        SequenceConstants last = spare.poll();
        if (last != null && last.tokens() == tokens) {
            return last;
        }
        if (last != null) {
            last.close();
        }
        return new SequenceConstants(model.manager(), model.config(), tokens);
    }

    @Override
    public void close() {
        spare.forEach(SequenceConstants::close);
        spare.clear();
    }
}
