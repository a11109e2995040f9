package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import java.io.IOException;
import java.util.Map;

/** How far other weights move the output of a module of a block. */
interface OutputError extends AutoCloseable {
    /**
     * Returns the mean square, over tokens and outputs.
     *
     * @param weights that replace those of the block, by path of the linear
     */
    double of(Map<String, NDArray> weights) throws IOException;

    @Override
    void close();
}
