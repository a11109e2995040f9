package dev.ptq.layout;

import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.nio.file.Path;

/**
 * The checkpoint in a model folder: its tensors as floating point numbers, however they are packed, and what it says about
 * activations.
 */
public record StoredCheckpoint(WeightSource weights, StoredActivations activations) {
    /**
     * Opens the checkpoint in a Hugging Face model folder, or a GGUF file, and checks everything but the values and codes of weights.
     *
     * @throws IOException naming the file, and the tensor or setting where one is at fault
     */
    public static StoredCheckpoint open(Path folder) throws IOException {
        return Layouts.open(folder);
    }

    /** Tensors that are not packed. */
    public static StoredCheckpoint of(WeightSource weights) {
        return new StoredCheckpoint(weights, StoredActivations.none());
    }
}
