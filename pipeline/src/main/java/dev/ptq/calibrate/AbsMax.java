package dev.ptq.calibrate;

import dev.ptq.model.HookInput;

/** The largest magnitude, per feature: {@code max over tokens of |x|}. */
final class AbsMax implements Accumulator {
    private final float[] maxima;

    AbsMax(int features) {
        maxima = new float[features];
    }

    @Override
    public void add(HookInput input) {
        Tokens.forEach(input, features -> {
            for (int i = 0; i < maxima.length; i++) {
                maxima[i] = Math.max(maxima[i], Math.abs(features[i]));
            }
        });
    }

    @Override
    public void row(int row, float[] target) {
        System.arraycopy(maxima, 0, target, 0, target.length);
    }
}
