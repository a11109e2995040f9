package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.tensor.NativeFloats;
import java.io.IOException;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Applies single blocks of a model to hidden states. */
public final class BlockPass implements AutoCloseable {
    private final LanguageModel model;
    private @Nullable SequenceConstants constants;

    public BlockPass(LanguageModel model) {
        this.model = model;
    }

    /**
     * Returns what a block makes of hidden states, attached to their manager.
     *
     * @param hidden {@code [batch, tokens, hiddenSize]}; stays as it is
     */
    public NDArray forward(Block block, NDArray hidden, ActivationObserver observer) {
        return model.architecture()
                .forward(block, hidden, constants((int) hidden.getShape().get(1)), observer);
    }

    /**
     * Puts what a block makes of a batch in its place.
     *
     * @throws IOException naming the block, if it makes a value that is NaN or infinite
     */
    public void advance(Block block, HiddenStates states, int index, ActivationObserver observer) throws IOException {
        states.replace(index, output(block, states, index, observer));
    }

    /** Puts what a block makes of every batch in its place. */
    public void advance(Block block, HiddenStates states, ActivationObserver observer) throws IOException {
        for (int i = 0; i < states.size(); i++) {
            advance(block, states, i, observer);
        }
    }

    /** Returns what a block makes of all batches; they stay as they are. */
    public HiddenStates outputs(Block block, HiddenStates states, ActivationObserver observer) throws IOException {
        HiddenStates outputs = new HiddenStates(model.manager().newSubManager());
        for (int i = 0; i < states.size(); i++) {
            outputs.add(output(block, states, i, observer), states.trees(i));
        }
        return outputs;
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
        if (!block.roundsTokensAlone()) {
            throw new IllegalArgumentException(
                    "block " + block.index() + " has formats that round several tokens together");
        }
        try (SequenceConstants branched = new SequenceConstants(hidden.getManager(), model.config(), trees)) {
            return model.architecture().forward(block, hidden, branched, observer);
        }
    }

    private SequenceConstants constants(int tokens) {
        if (constants == null || constants.tokens() != tokens) {
            close();
            constants = new SequenceConstants(model.manager(), model.config(), tokens);
        }
        return constants;
    }

    @Override
    public void close() {
        if (constants != null) {
            constants.close();
            constants = null;
        }
    }
}
