package dev.ptq.calibrate;

import ai.djl.ndarray.NDArray;

/**
 * The largest batch mean of magnitudes, per feature: {@code max over batches of mean over tokens of |x|}. It depends on
 * the batch size. Source: LQER (ICML 2024), the scale of its activation-weighted variant.
 */
final class MaxBatchMeanAbs implements Accumulator {
    private float[] maxima = new float[0];

    @Override
    public void add(NDArray input) {
        float[] means;
        try (NDArray magnitudes = input.abs();
                NDArray tokens = magnitudes.reshape(-1, Tokens.features(input));
                NDArray mean = tokens.mean(new int[] {0})) {
            means = mean.toFloatArray();
        }
        if (maxima.length == 0) {
            maxima = means;
        }
        for (int i = 0; i < means.length; i++) {
            maxima[i] = Math.max(maxima[i], means[i]);
        }
    }

    @Override
    public void row(int row, float[] target) {
        System.arraycopy(maxima, 0, target, 0, target.length);
    }
}
