package dev.ptq.family;

/**
 * A linear of a block.
 *
 * @param path in the block, such as {@code self_attn.q_proj}
 * @param turned whether its weight is stored as {@code [inFeatures, outFeatures]}
 */
public record Projection(String path, boolean hasBias, boolean turned) {
    /** One whose weight is stored as {@code [outFeatures, inFeatures]}. */
    static Projection of(String path, boolean hasBias) {
        return new Projection(path, hasBias, false);
    }

    /** The same with a bias. */
    Projection withBias() {
        return new Projection(path, true, turned);
    }
}
