package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.progress.Progress;
import dev.ptq.tensor.NativeFloats;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Takes hidden states through the model block by block: each block is loaded, changed as asked, applied to every batch,
 * and released, so memory follows one block and the hidden states. A resident runner keeps the changed blocks for the
 * next hidden states.
 */
public final class BlockRunner implements AutoCloseable {
    private final LanguageModel model;
    private final BlockChange change;
    private final boolean resident;
    private final Map<Integer, Block> kept = new HashMap<>();
    private @Nullable SequenceConstants constants;

    /** What is done to a block in full precision before it is applied. */
    @FunctionalInterface
    public interface BlockChange {
        void apply(Block block) throws IOException;

        /** Leaves it in full precision. */
        static BlockChange none() {
            return block -> {};
        }
    }

    /**
     * Makes a runner.
     *
     * @param resident whether changed blocks stay in memory until the runner is closed
     */
    public BlockRunner(LanguageModel model, BlockChange change, boolean resident) {
        this.model = model;
        this.change = change;
        this.resident = resident;
    }

    /**
     * Runs all blocks; {@code states} then holds the last one's output.
     *
     * @param observer sees every input of a linear
     * @param progress is told the batches done, of {@code blocks × states.size()}
     * @throws IOException naming the block, if it makes a value that is NaN or infinite
     */
    public void run(HiddenStates states, ActivationObserver observer, Progress progress) throws IOException {
        run(states, observer, progress, "", Unfinished.none(), Unfinished.Carried.nothing());
    }

    /**
     * As above, going on from where an earlier process was killed.
     *
     * @param name of the pass among those that {@code unfinished} keeps
     * @param carried what {@code observer} gathers
     */
    public void run(
            HiddenStates states,
            ActivationObserver observer,
            Progress progress,
            String name,
            Unfinished unfinished,
            Unfinished.Carried carried)
            throws IOException {
        Unfinished.Pass pass = unfinished.pass(name, carried);
        int blocks = model.config().blocks();
        for (int index = pass.resume(states); index < blocks; index++) {
            Block block = block(index);
            try {
                for (int i = 0; i < states.size(); i++) {
                    advance(block, states, i, observer);
                    progress.step((long) index * states.size() + i + 1);
                }
            } finally {
                if (!resident) {
                    block.close();
                }
            }
            pass.blockDone(index, states);
        }
    }

    private Block block(int index) throws IOException {
        Block present = kept.get(index);
        if (present != null) {
            return present;
        }
        Block block = model.load(index);
        try {
            change.apply(block);
        } catch (IOException | RuntimeException e) {
            block.close();
            throw e;
        }
        if (resident) {
            kept.put(index, block);
        }
        return block;
    }

    private void advance(Block block, HiddenStates states, int index, ActivationObserver observer) throws IOException {
        NDArray batch = states.batch(index);
        SequenceConstants sequence = constants((int) batch.getShape().get(1));
        try (NDManager scratch = model.manager().newSubManager()) {
            batch.tempAttach(scratch);
            NDArray next = model.architecture().forward(block, batch, sequence, observer);
            if (!NativeFloats.allFinite(next)) {
                throw new IOException("block " + block.index()
                        + " makes a value that is NaN or infinite; a number format of its operands is out of range");
            }
            next.attach(states.manager());
            states.replace(index, next);
        }
    }

    private SequenceConstants constants(int tokens) {
        if (constants == null || constants.tokens() != tokens) {
            if (constants != null) {
                constants.close();
            }
            constants = new SequenceConstants(model.manager(), model.config(), tokens);
        }
        return constants;
    }

    @Override
    public void close() {
        kept.values().forEach(Block::close);
        if (constants != null) {
            constants.close();
        }
    }
}
