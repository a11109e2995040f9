package dev.ptq.calibrate;

import dev.ptq.model.HookInput;

/** The mean magnitude, per feature: {@code mean over tokens of |x|}, summed in double. Source: AWQ (MLSys 2024). */
final class MeanAbs implements Accumulator {
    private final double[] sums;
    private long tokens;

    MeanAbs(int features) {
        sums = new double[features];
    }

    @Override
    public void add(HookInput input) {
        Tokens.forEach(input, features -> {
            for (int i = 0; i < sums.length; i++) {
                sums[i] += Math.abs(features[i]);
            }
            tokens++;
        });
    }

    @Override
    public void row(int row, float[] target) {
        for (int i = 0; i < target.length; i++) {
            target[i] = (float) (sums[i] / tokens);
        }
    }
}
