package dev.ptq.calibrate;

import dev.ptq.model.HookInput;

/** The number of tokens that a router sends to an expert. */
final class RoutedTokens implements Accumulator {
    private long tokens;

    @Override
    public void add(HookInput input) {
        tokens += input.routed();
    }

    @Override
    public void row(int row, float[] target) {
        target[0] = tokens;
    }
}
