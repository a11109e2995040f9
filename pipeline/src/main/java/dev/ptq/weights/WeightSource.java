package dev.ptq.weights;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.gguf.Gguf;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/**
 * The tensors of a model by name, wherever their values come from: a checkpoint, parts of its tensors, or the results
 * of a method. Nothing is in memory until it is asked for.
 */
public interface WeightSource extends AutoCloseable {
    /**
     * Opens the checkpoint in a model folder, or a GGUF file, and checks its headers.
     *
     * @throws IOException naming the file, and the tensor where one is at fault
     */
    static WeightSource open(Path place) throws IOException {
        return Gguf.isNameOf(place) && !Files.isDirectory(place) ? GgufWeights.open(place) : Checkpoint.open(place);
    }

    /** The names of all tensors. */
    Set<String> names();

    /**
     * Returns a tensor without reading its values.
     *
     * @throws IOException naming the source, if it has no such tensor
     */
    Weight weight(String name) throws IOException;

    /**
     * Returns a tensor as float32, attached to {@code manager}.
     *
     * @throws IOException naming source and tensor, if it is missing, or a value is NaN or infinite
     */
    default NDArray load(NDManager manager, String name) throws IOException {
        return weight(name).load(manager);
    }

    /** What describes the model, for messages about a tensor that does not fit. */
    default String description() {
        return "config.json";
    }

    /**
     * Checks that a tensor is there with the shape that the model's description implies.
     *
     * @throws IOException naming source and tensor
     */
    default void expect(String name, List<Long> shape) throws IOException {
        Weight weight = weight(name);
        if (!weight.shape().equals(shape)) {
            throw new IOException(
                    weight.origin() + ": " + description() + " implies shape " + shape + ", found " + weight.shape());
        }
    }

    /**
     * Checks that the weight of a linear is stored the way the checkpoint's description says: packed or as floating point
     * numbers.
     *
     * @throws IOException naming source and tensor
     */
    default void checkLinear(String name) throws IOException {}

    @Override
    void close() throws IOException;
}
