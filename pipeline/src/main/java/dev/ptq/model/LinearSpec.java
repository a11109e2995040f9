package dev.ptq.model;

/**
 * A linear layer's place and shape.
 *
 * @param block of the model, from 0
 * @param module name in the checkpoint, such as {@code model.layers.0.self_attn.q_proj}
 * @param path of the module in its block, such as {@code self_attn.q_proj}; {@code module} ends with it
 * @param hookPoint whose activation it takes
 */
public record LinearSpec(
        int block, String module, String path, HookPoint hookPoint, int outFeatures, int inFeatures, boolean hasBias) {
    public LinearSpec {
        if (!module.endsWith(path)) {
            throw new IllegalArgumentException(module + " is not the module " + path + " of a block");
        }
    }

    /** The weight's name in the checkpoint, which override patterns match. */
    public String weightName() {
        return module + ".weight";
    }

    /** The bias's name in the checkpoint, of a linear that has one. */
    public String biasName() {
        return module + ".bias";
    }

    /** Its input. */
    public InputSpec input() {
        return new InputSpec(block, hookPoint, inFeatures);
    }

    /** Number of weights. */
    public long size() {
        return (long) outFeatures * inFeatures;
    }
}
