package dev.ptq.calibrate;

import dev.ptq.model.HookInput;
import java.util.Arrays;

/**
 * A moving average of the largest or the smallest value of a sequence, per feature or of all: {@code 0.9 old + 0.1 new},
 * starting from the first sequence. It depends on the order of the sequences.
 */
final class MovingExtremes implements Accumulator {
    private static final double KEPT = 0.9;

    private final double[] averages;
    private final float[] extremes;
    private final boolean largest;
    private boolean begun;

    /**
     * Starts with nothing seen.
     *
     * @param width features; 1 for all of them together
     * @param largest or else the smallest
     */
    MovingExtremes(int width, boolean largest) {
        averages = new double[width];
        extremes = new float[width];
        this.largest = largest;
        Arrays.fill(averages, start());
        Arrays.fill(extremes, start());
    }

    private float start() {
        return largest ? Float.NEGATIVE_INFINITY : Float.POSITIVE_INFINITY;
    }

    @Override
    public void add(HookInput input) {
        Tokens.forEach(input, new Tokens.Visitor() {
            @Override
            public void see(float[] features) {
                for (int i = 0; i < features.length; i++) {
                    int at = extremes.length == 1 ? 0 : i;
                    extremes[at] = largest ? Math.max(extremes[at], features[i]) : Math.min(extremes[at], features[i]);
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
        for (int i = 0; i < averages.length; i++) {
            averages[i] = begun ? KEPT * averages[i] + (1 - KEPT) * extremes[i] : extremes[i];
        }
        begun = true;
        Arrays.fill(extremes, start());
    }

    @Override
    public void row(int row, float[] target) {
        for (int i = 0; i < target.length; i++) {
            target[i] = (float) averages[i];
        }
    }
}
