package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.progress.Progress;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What enters each block of a model in full precision, sequence by sequence: in a file for each block, since all of them
 * together are larger than a block.
 */
public final class EnteringStates {
    private final LanguageModel model;
    private final Path folder;
    private final int sequences;

    private EnteringStates(LanguageModel model, Path folder, int sequences) {
        this.model = model;
        this.folder = folder;
        this.sequences = sequences;
    }

    /**
     * Takes sequences through the model, from the last block that an earlier attempt came to.
     *
     * @param folder for the files, which the caller deletes
     * @param inputs token ids, all of one length
     * @param progress is told the blocks done
     */
    public static EnteringStates of(LanguageModel model, int[][] inputs, Path folder, Progress progress)
            throws IOException {
        EnteringStates entering = new EnteringStates(model, folder, inputs.length);
        int blocks = model.config().blocks();
        int block = blocks;
        while (block >= 0 && !Files.exists(entering.file(block))) {
            block--;
        }
        if (block < 0) {
            try (HiddenStates embedded = model.embed(inputs, 1)) {
                entering.write(0, embedded);
            }
            block = 0;
        }
        try (BlockPass pass = new BlockPass(model)) {
            for (; block < blocks; block++) {
                try (HiddenStates states = entering.states(block);
                        Block loaded = model.load(block)) {
                    pass.advance(loaded, states, ActivationObserver.NONE);
                    entering.write(block + 1, states);
                }
                progress.step(block + 1L);
            }
        }
        return entering;
    }

    private Path file(int block) {
        return folder.resolve("entering-" + block + ".safetensors");
    }

    private void write(int block, HiddenStates states) throws IOException {
        Map<String, NDArray> batches = new LinkedHashMap<>();
        for (int i = 0; i < states.size(); i++) {
            batches.put(String.valueOf(i), states.batch(i));
        }
        SafetensorsWriter.write(file(block), batches, Map.of());
    }

    /** Number of sequences. */
    public int sequences() {
        return sequences;
    }

    /**
     * What enters a block, or for the number of blocks what leaves the last.
     *
     * @param owner of the tensor, {@code [1, tokens, hiddenSize]}
     */
    public NDArray of(int block, int sequence, NDManager owner) throws IOException {
        try (Safetensors file = Safetensors.open(file(block))) {
            return file.load(owner, String.valueOf(sequence));
        }
    }

    /** The same of all sequences, each a batch; the caller's own. */
    public HiddenStates states(int block) throws IOException {
        HiddenStates states = new HiddenStates(model.manager().newSubManager());
        try (Safetensors file = Safetensors.open(file(block))) {
            for (int i = 0; i < sequences; i++) {
                states.add(file.load(states.manager(), String.valueOf(i)));
            }
            return states;
        } catch (IOException | RuntimeException e) {
            states.close();
            throw e;
        }
    }
}
