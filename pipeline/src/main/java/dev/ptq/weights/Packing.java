package dev.ptq.weights;

/**
 * How a tensor is packed in its checkpoint.
 *
 * @param module that the tensors belong to, such as {@code model.layers.0.mlp.up_proj}
 * @param label of layout and format, for people
 * @param valueBits of a code, without what values share
 * @param bits that codes, scales and all else that decides the values take
 */
public record Packing(String module, String label, int valueBits, double bits) {
    /** Returns the packing of a part of the values. */
    Packing part(double share) {
        return new Packing(module, label, valueBits, bits * share);
    }
}
