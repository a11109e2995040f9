package dev.ptq.model;

/**
 * A linear layer's place and shape.
 *
 * @param block of the model, from 0
 * @param module name in the checkpoint, such as {@code model.layers.0.self_attn.q_proj}
 * @param hookPoint whose activation it takes
 */
public record LinearSpec(
        int block, String module, HookPoint hookPoint, int outFeatures, int inFeatures, boolean hasBias) {
    /** The weight's name in the checkpoint, which override patterns match. */
    public String weightName() {
        return module + ".weight";
    }

    /** Number of weights. */
    public long size() {
        return (long) outFeatures * inFeatures;
    }

    /** The module's last name, such as {@code q_proj}. */
    public String shortName() {
        return module.substring(module.lastIndexOf('.') + 1);
    }
}
