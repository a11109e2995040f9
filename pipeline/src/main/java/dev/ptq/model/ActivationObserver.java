package dev.ptq.model;

import ai.djl.ndarray.NDArray;

/** Sees the inputs of linear layers on their way through the model, before they are rounded. */
@FunctionalInterface
public interface ActivationObserver {
    /** Looks at an input, {@code [batch, tokens, features]}, without keeping it. */
    void observe(int block, HookPoint hookPoint, NDArray input);

    /** Whether it does not matter in which order inputs are shown, nor whether several are at once. */
    default boolean inAnyOrder() {
        return false;
    }

    /** Looks at nothing. */
    static ActivationObserver none() {
        return new ActivationObserver() {
            @Override
            public void observe(int block, HookPoint hookPoint, NDArray input) {}

            @Override
            public boolean inAnyOrder() {
                return true;
            }
        };
    }
}
