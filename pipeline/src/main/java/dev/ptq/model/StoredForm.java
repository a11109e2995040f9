package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import dev.ptq.family.ModelConfig;
import dev.ptq.family.Norm;
import dev.ptq.family.Projection;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import java.nio.FloatBuffer;
import java.util.HashSet;
import java.util.Set;

/** The form in which checkpoints of a family store tensors that the model computes with in another. */
public final class StoredForm {
    private final Set<String> turned = new HashSet<>();
    private final Set<String> lessOne = new HashSet<>();

    /** Finds out for each tensor of a model of this shape. */
    public StoredForm(ModelConfig config) {
        Decoder decoder = new Decoder(config);
        for (int block = 0; block < config.blocks(); block++) {
            String prefix = decoder.prefix(block);
            for (Projection linear : Decoder.linears(config.block(block))) {
                if (linear.turned()) {
                    turned.add(prefix + linear.path() + ".weight");
                }
            }
            for (Norm norm : Decoder.norms(config.block(block))) {
                note(norm, prefix);
            }
        }
        decoder.outerNorms().forEach(norm -> note(norm, ""));
    }

    private void note(Norm norm, String prefix) {
        if (norm.plusOne()) {
            lessOne.add(prefix + norm.weight());
        }
    }

    /** Returns whether a tensor is stored as the model has it. */
    public boolean isSame(String name) {
        return !turned.contains(name) && !lessOne.contains(name);
    }

    /** Returns a tensor as it is stored, in the same manager; itself if that {@link #isSame}. */
    public NDArray of(String name, NDArray values) {
        if (turned.contains(name)) {
            return Torch.contiguous(values.transpose());
        }
        return lessOne.contains(name) ? values.sub(1f) : values;
    }

    /** Returns how many values another program, which turns a stored tensor into its own, will have in other bits. */
    public long inexact(String name, NDArray values) {
        long count = 0;
        if (lessOne.contains(name)) {
            FloatBuffer window = NativeFloats.window(values);
            for (int i = 0; i < window.capacity(); i++) {
                count += (window.get(i) - 1f) + 1f == window.get(i) ? 0 : 1;
            }
        }
        return count;
    }
}
