package dev.ptq.calibrate;

import dev.ptq.model.HookInput;
import java.util.Arrays;

/** The largest or the smallest value, per feature. */
final class Extremes implements Accumulator {
    private final boolean largest;
    private final float[] extremes;

    Extremes(int features, boolean largest) {
        this.largest = largest;
        extremes = new float[features];
        Arrays.fill(extremes, largest ? Float.NEGATIVE_INFINITY : Float.POSITIVE_INFINITY);
    }

    @Override
    public void add(HookInput input) {
        Tokens.forEach(input, features -> {
            for (int i = 0; i < extremes.length; i++) {
                extremes[i] = largest ? Math.max(extremes[i], features[i]) : Math.min(extremes[i], features[i]);
            }
        });
    }

    @Override
    public void row(int row, float[] target) {
        System.arraycopy(extremes, 0, target, 0, target.length);
    }
}
