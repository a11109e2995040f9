package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import java.util.Map;

/** A change of a block's tensors on one mapping that leaves what the block computes in full precision as it is. */
interface EquivalentTransform extends Learned {
    /**
     * Replaces the tensors on both sides of the mapping; differentiable in tensors and parameters. Training and the final
     * weights take the same way.
     *
     * @param tensors by the names of {@link dev.ptq.model.Block#tensors}
     */
    void apply(Map<String, NDArray> tensors);
}
