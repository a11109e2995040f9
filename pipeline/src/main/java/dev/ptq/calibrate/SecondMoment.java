package dev.ptq.calibrate;

import dev.ptq.model.HookInput;

/** The mean square, per feature: {@code mean over tokens of x²}, summed in double. */
final class SecondMoment implements Accumulator {
    private final double[] sums;
    private long tokens;

    SecondMoment(int features) {
        sums = new double[features];
    }

    @Override
    public void add(HookInput input) {
        Tokens.forEach(input, features -> {
            for (int i = 0; i < sums.length; i++) {
                sums[i] += (double) features[i] * features[i];
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
