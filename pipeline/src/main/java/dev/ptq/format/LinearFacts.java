package dev.ptq.format;

import java.io.IOException;
import java.util.List;

/** What formats can ask about a linear, besides the values that they round. */
public interface LinearFacts {
    /**
     * Returns the range of the linear's input by the rule of a format, or one for each feature.
     *
     * @throws IOException if it cannot be read, or is not finite
     */
    List<Bounds> inputRange(StaticFormat format) throws IOException;

    /**
     * Returns the mean square of each feature of the linear's input, all 1 if there is nothing to go by.
     *
     * @throws IOException if they cannot be read, or are not finite
     */
    MeanSquares meanSquares() throws IOException;

    /**
     * Returns the largest magnitude that a format covers in the weights of the linear and of those with the same input
     * and format.
     *
     * @throws IOException if weights cannot be read
     */
    float sharedAmax(Nvfp4Format format) throws IOException;
}
