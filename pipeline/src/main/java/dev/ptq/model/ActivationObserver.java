package dev.ptq.model;

import ai.djl.ndarray.NDArray;

/** Sees the inputs of linear layers on their way through the model, before they are rounded. */
@FunctionalInterface
public interface ActivationObserver {
    /** Looks at an input, {@code [batch, tokens, features]}, without keeping it. */
    void observe(int block, Site site, NDArray input);

    /** Looks at nothing. */
    static ActivationObserver none() {
        return (block, site, input) -> {};
    }
}
