package dev.ptq.layout;

import dev.ptq.format.Grid;
import dev.ptq.weights.RawTensor;
import java.io.IOException;
import java.util.List;
import java.util.Map;

/** The way back into a layout: it packs weights that lie on grids. What it has no place for, it refuses. */
public interface Packer {
    /**
     * Returns the tensors of a linear, by name behind its module's.
     *
     * @param grid of its weight, {@code [outFeatures, inFeatures]}
     * @throws IOException saying which setting the layout has a place for; the message does not name the linear
     */
    Map<String, RawTensor> pack(Grid grid) throws IOException;

    /**
     * Returns the {@code quantization_config} of all linears that were packed.
     *
     * @param unpacked modules that stay floating point numbers, the head included
     */
    Map<String, Object> config(List<String> unpacked);
}
