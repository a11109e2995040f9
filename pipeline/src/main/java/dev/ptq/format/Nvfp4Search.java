package dev.ptq.format;

import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.stream.IntStream;

/**
 * Searches, for each block of NVFP4, for the largest magnitude that gives the least sum of {@code |x - x̂|^2.4}, where
 * x̂ has the scale {@code magnitude / 6} in float32, without a tensor scale. Candidates are {@code p · expand · amax} with
 * {@code p = 1 - i / parts} for i = 0, 1, ...; of equal ones the first wins. The search ends after {@code patience}
 * candidates in a row that improved no block of the tensor. Source: the observers of compressed-tensors and
 * llm-compressor.
 *
 * @param expand times the largest magnitude there is, the largest candidate
 * @param candidates at most
 */
record Nvfp4Search(float expand, int candidates, double parts, int patience) {
    /** The observer {@code memoryless_mse}. */
    static final Nvfp4Search MSE = new Nvfp4Search(1, 20, 100, 5);
    /** The observer {@code nvfp4_expanded_mse}. */
    static final Nvfp4Search EXPANDED_MSE = new Nvfp4Search(1.8f, 111, 200, 1000);

    private static final FloatPower POWER = new FloatPower(2.4);
    private static final SmallFloatKernel.Rounding ROUNDING = SmallFloatKernel.Rounding.even(SmallFloat.E2M1, true);

    /**
     * Returns the best magnitude for each block.
     *
     * @param values left as they are
     * @param amaxes the blocks' largest magnitudes
     */
    float[] run(FloatBuffer values, Blocks blocks, float[] amaxes) {
        int[] best = new int[amaxes.length];
        boolean[] improves = best(values, blocks, amaxes, candidates, best);
        int end = end(improves);
        if (end < candidates) {
            best(values, blocks, amaxes, end, best);
        }
        float[] found = new float[amaxes.length];
        for (int block = 0; block < found.length; block++) {
            found[block] = candidate(amaxes[block], best[block]);
        }
        return found;
    }

    /** Returns the number of candidates that are tried. */
    private int end(boolean[] improves) {
        int idle = 0;
        for (int i = 0; i < candidates; i++) {
            idle = improves[i] ? 0 : idle + 1;
            if (idle >= patience) {
                return i + 1;
            }
        }
        return candidates;
    }

    private float candidate(float amax, int index) {
        return (float) (1 - index / parts) * (expand * amax);
    }

    /**
     * Finds the best of the first {@code count} candidates for each block.
     *
     * @return which of them improved any block
     */
    private boolean[] best(FloatBuffer values, Blocks blocks, float[] amaxes, int count, int[] best) {
        AtomicIntegerArray improves = new AtomicIntegerArray(count);
        blocks.visit(values, layout -> {
            ScaleTrial trial = new ScaleTrial(ROUNDING, layout);
            double[] least = new double[layout.across()];
            return (strip, tile, at, rows) -> {
                int first = strip * layout.across();
                Arrays.fill(least, Double.POSITIVE_INFINITY);
                for (int i = 0; i < count; i++) {
                    for (int block = 0; block < least.length; block++) {
                        trial.set(block, candidate(amaxes[first + block], i) / Nvfp4Scales.LARGEST, Float.NaN);
                    }
                    trial.round(tile, at, rows);
                    for (int block = 0; block < least.length; block++) {
                        double error = trial.error(block, tile, at, rows, Nvfp4Search::error, least[block]);
                        if (error < least[block]) {
                            least[block] = error;
                            best[first + block] = i;
                            improves.set(i, 1);
                        }
                    }
                }
            };
        });
        boolean[] any = new boolean[count];
        IntStream.range(0, count).forEach(i -> any[i] = improves.get(i) != 0);
        return any;
    }

    private static double error(float rounded, float value) {
        return POWER.of(Math.abs(rounded - value));
    }
}
