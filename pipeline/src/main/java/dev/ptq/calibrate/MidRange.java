package dev.ptq.calibrate;

import dev.ptq.model.HookInput;
import java.util.Arrays;

/**
 * A moving average, per feature, of the midpoint of a sequence's extremes: {@code 0.99 old + 0.01 (max + min) / 2},
 * starting from the first sequence. It depends on the order of the sequences. Source: OmniQuant (ICLR 2024), released
 * code, the shifts of its activations.
 */
final class MidRange implements Accumulator {
    private static final double KEPT = 0.99;

    private final double[] average;
    private final float[] lowest;
    private final float[] highest;
    private boolean begun;

    MidRange(int features) {
        average = new double[features];
        lowest = new float[features];
        highest = new float[features];
        startSequence();
    }

    @Override
    public void add(HookInput input) {
        Tokens.forEach(input, new Tokens.Visitor() {
            @Override
            public void see(float[] features) {
                for (int i = 0; i < features.length; i++) {
                    lowest[i] = Math.min(lowest[i], features[i]);
                    highest[i] = Math.max(highest[i], features[i]);
                }
            }

            @Override
            public void endSequence(int tokens) {
                if (tokens > 0) {
                    average();
                }
            }
        });
    }

    private void average() {
        for (int i = 0; i < average.length; i++) {
            double middle = ((double) highest[i] + lowest[i]) / 2;
            average[i] = begun ? KEPT * average[i] + (1 - KEPT) * middle : middle;
        }
        begun = true;
        startSequence();
    }

    private void startSequence() {
        Arrays.fill(lowest, Float.POSITIVE_INFINITY);
        Arrays.fill(highest, Float.NEGATIVE_INFINITY);
    }

    @Override
    public void row(int row, float[] target) {
        for (int i = 0; i < target.length; i++) {
            target[i] = (float) average[i];
        }
    }
}
