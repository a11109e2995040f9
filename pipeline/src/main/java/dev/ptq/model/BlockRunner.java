package dev.ptq.model;

import dev.ptq.progress.Progress;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * Takes hidden states through the model block by block: each block is loaded, changed as asked, applied to every batch,
 * and released, so memory holds one block and the hidden states. A resident runner keeps the changed blocks for the
 * next hidden states.
 */
public final class BlockRunner implements AutoCloseable {
    private final LanguageModel model;
    private final LoadedBlocks loaded;
    private final BlockPass pass;
    private @Nullable Boolean activations;

    /** A change to a block in full precision before it is applied. */
    @FunctionalInterface
    public interface BlockChange {
        void apply(Block block) throws IOException;

        /** Leaves the block in full precision. */
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
        this.loaded = new LoadedBlocks(model, change, resident);
        this.pass = new BlockPass(model);
    }

    /**
     * Runs all blocks; {@code states} then holds the last one's output.
     *
     * @param observer sees every input of a linear
     * @param progress is told the batches done, of {@code blocks × states.size()}
     * @throws IOException naming the block, if it makes a value that is NaN or infinite
     */
    public void run(HiddenStates states, ActivationObserver observer, Progress progress) throws IOException {
        run(states, observer, progress, "", ResumeState.none(), ResumeState.Carried.nothing());
    }

    /**
     * Runs all blocks, resuming where an earlier process was killed.
     *
     * @param name of the pass in {@code unfinished}
     * @param carried state that {@code observer} gathers
     */
    public void run(
            HiddenStates states,
            ActivationObserver observer,
            Progress progress,
            String name,
            ResumeState unfinished,
            ResumeState.Carried carried)
            throws IOException {
        ResumeState.Pass saved = unfinished.pass(name, carried);
        int blocks = model.config().blocks();
        for (int index = saved.resume(states); index < blocks; index++) {
            Block block = loaded.take(index);
            try {
                long before = (long) index * states.size();
                pass.advance(block, states, observer, done -> progress.step(before + done));
            } finally {
                loaded.release(block);
            }
            saved.blockDone(index, states);
        }
    }

    /**
     * Returns whether any activation in a block is rounded. A runner that is not resident makes every block once to
     * find out.
     */
    public boolean roundsActivations() throws IOException {
        if (activations == null) {
            boolean rounds = false;
            for (int index = 0; !rounds && index < model.config().blocks(); index++) {
                Block block = loaded.take(index);
                rounds = block.roundsActivations();
                loaded.release(block);
            }
            activations = rounds;
        }
        return activations;
    }

    @Override
    public void close() {
        loaded.close();
        pass.close();
    }
}
