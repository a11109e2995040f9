package dev.ptq.calibrate;

import dev.ptq.model.HookInput;
import java.util.Arrays;

/**
 * The largest batch mean of magnitudes, per feature: {@code max over batches of mean over tokens of |x|}, summed in
 * double. It depends on the batch size. Source: LQER (ICML 2024), the scale of its activation-weighted variant.
 */
final class MaxBatchMeanAbs implements Accumulator {
    private final int batchSize;
    private final float[] maxima;
    /** Of the batch at hand. */
    private final double[] sums;

    private int sequences;
    private long tokens;

    MaxBatchMeanAbs(int features, int batchSize) {
        this.batchSize = batchSize;
        maxima = new float[features];
        sums = new double[features];
    }

    @Override
    public void add(HookInput input) {
        Tokens.forEach(input, new Tokens.Visitor() {
            @Override
            public void see(float[] features) {
                for (int i = 0; i < sums.length; i++) {
                    sums[i] += Math.abs(features[i]);
                }
                tokens++;
            }

            @Override
            public void endSequence(int length) {
                if (++sequences == batchSize) {
                    endBatch();
                }
            }
        });
    }

    private void endBatch() {
        for (int i = 0; i < sums.length; i++) {
            maxima[i] = largest(i);
        }
        Arrays.fill(sums, 0);
        sequences = 0;
        tokens = 0;
    }

    /** With the batch at hand, which may be a last one with fewer sequences. */
    private float largest(int feature) {
        return tokens == 0 ? maxima[feature] : Math.max(maxima[feature], (float) (sums[feature] / tokens));
    }

    @Override
    public void row(int row, float[] target) {
        for (int i = 0; i < target.length; i++) {
            target[i] = largest(i);
        }
    }
}
