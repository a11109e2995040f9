package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import java.util.Map;

/** A change of a block's tensors on one mapping that preserves the block's function in full precision. */
interface EquivalentTransform extends Learned {
    /**
     * Replaces the tensors on both sides of the mapping; differentiable in tensors and parameters. Used for training
     * and for the final weights alike.
     *
     * @param tensors by the names of {@link dev.ptq.model.Block#tensors}, fused ones apart, see {@link FusedParts}
     */
    void apply(Map<String, NDArray> tensors);
}
