package dev.ptq.model;

import ai.djl.ndarray.NDArray;

/** Sees the inputs of linear layers on their way through the model, before they are rounded. */
@FunctionalInterface
public interface ActivationObserver {
    /**
     * Looks at an input without keeping it. Each hook point of a block shows its inputs one after the other, in the order
     * of the sequences; different hook points may do so at the same time, on several threads.
     *
     * @param input {@code [sequences, tokens, features]}
     */
    void observe(int block, HookPoint hookPoint, NDArray input);

    /** Looks at nothing. */
    ActivationObserver NONE = (block, hookPoint, input) -> {};
}
