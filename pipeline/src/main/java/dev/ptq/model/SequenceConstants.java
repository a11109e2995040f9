package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.tensor.NativeFloats;

/** What depends only on the length of a sequence: the causal mask, and the rotations by position. */
final class SequenceConstants implements AutoCloseable {
    private final NDManager manager;
    private final int tokens;
    private final NDArray mask;
    private final NDArray cos;
    private final NDArray sin;

    SequenceConstants(NDManager parent, ModelConfig config, int tokens) {
        this.manager = parent.newSubManager();
        this.tokens = tokens;
        mask = Attention.causalMask(manager, tokens);
        int half = config.rope() == null ? 0 : config.headDim() / 2;
        NDArray angles = NativeFloats.of(
                manager,
                config.rope() == null ? new float[0] : config.rope().angles(tokens, config.headDim()),
                tokens,
                half);
        cos = angles.cos();
        sin = angles.sin();
    }

    int tokens() {
        return tokens;
    }

    /** {@code [tokens, tokens]}. */
    NDArray mask() {
        return mask;
    }

    /** {@code [tokens, headDim / 2]}. */
    NDArray cos() {
        return cos;
    }

    /** {@code [tokens, headDim / 2]}. */
    NDArray sin() {
        return sin;
    }

    @Override
    public void close() {
        manager.close();
    }
}
