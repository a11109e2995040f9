package dev.ptq.model;

import java.io.IOException;
import java.util.HashMap;
import java.util.Map;

/** The blocks of a model as they run, each loaded and changed when it is asked for; resident ones stay in memory. */
final class LoadedBlocks implements AutoCloseable {
    private final LanguageModel model;
    private final BlockRunner.BlockChange change;
    private final boolean resident;
    private final Map<Integer, Block> kept = new HashMap<>();

    LoadedBlocks(LanguageModel model, BlockRunner.BlockChange change, boolean resident) {
        this.model = model;
        this.change = change;
        this.resident = resident;
    }

    /** Returns a block, to be {@linkplain #release released} after use. */
    Block take(int index) throws IOException {
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

    /** Closes a block, unless it stays. */
    void release(Block block) {
        if (!resident) {
            block.close();
        }
    }

    @Override
    public void close() {
        kept.values().forEach(Block::close);
    }
}
