package dev.ptq.model;

import ai.djl.ndarray.NDArray;

/** Sees the inputs of linear layers, and of the cache, on their way through the model, before they are rounded. */
@FunctionalInterface
public interface ActivationObserver {
    /**
     * Looks at an input without keeping it. Each hook point of a block shows its inputs one after the other, in the order
     * of the sequences; different hook points may do so at the same time, on several threads. Every sequence is shown at
     * every hook point, if only as one without tokens.
     */
    void observe(int block, HookPoint hookPoint, HookInput input);

    /** Looks at whole sequences, {@code [sequences, tokens, features]}. */
    default void observe(int block, HookPoint hookPoint, NDArray input) {
        observe(block, hookPoint, HookInput.of(input));
    }

    /**
     * Whether it looks at a hook point. It may be shown others, too, but not those of the cache, where a token's heads have
     * to be put together for it.
     */
    default boolean wants(int block, HookPoint hookPoint) {
        return !hookPoint.isOfCache();
    }

    /** Whether the experts of a mixture show it all tokens, not just those that the router sends to them. */
    default boolean seesAllTokens() {
        return false;
    }

    /** Looks at nothing. */
    ActivationObserver NONE = (block, hookPoint, input) -> {};
}
