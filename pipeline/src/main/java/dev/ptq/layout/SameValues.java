package dev.ptq.layout;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.format.Grid;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.FloatBuffer;

/** Compares a packed matrix, as readers unpack it, with the weight that was packed. */
final class SameValues {
    private SameValues() {}

    /**
     * Makes sure that all are equal.
     *
     * @param hint what would make them so
     * @throws IOException with the number of those that differ
     */
    static void require(CodedMatrix packed, Grid grid, String layout, String hint) throws IOException {
        float[] values = new float[Math.toIntExact(grid.shape().size())];
        packed.write(FloatBuffer.wrap(values));
        int different = 0;
        try (NDManager scratch = TensorEngine.newManager()) {
            NDArray expected = grid.values(scratch);
            FloatBuffer window = NativeFloats.window(expected);
            for (int i = 0; i < values.length; i++) {
                different += values[i] == window.get(i) ? 0 : 1;
            }
        }
        if (different > 0) {
            throw new IOException(
                    layout + " would change " + different + " of its " + values.length + " values: " + hint);
        }
    }
}
