package dev.ptq.format;

import dev.ptq.format.SmallFloat.Ties;
import java.nio.FloatBuffer;
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
        blocks.read(values, () -> (block, own, size) -> {
            double least = Double.POSITIVE_INFINITY;
            for (int i = 0; i < count; i++) {
                double error = error(own, size, candidate(amaxes[block], i) / Nvfp4Scales.LARGEST, least);
                if (error < least) {
                    least = error;
                    best[block] = i;
                    improves.set(i, 1);
                }
            }
        });
        boolean[] any = new boolean[count];
        IntStream.range(0, count).forEach(i -> any[i] = improves.get(i) != 0);
        return any;
    }

    /** Returns the error with a scale; some number not below the bound if it is not below. */
    private static double error(float[] values, int size, float scale, double bound) {
        double sum = 0;
        for (int i = 0; i < size && !(sum >= bound); i++) {
            float rounded = SmallFloat.E2M1.round(values[i] / scale, Ties.EVEN) * scale;
            sum += POWER.of(Math.abs(rounded - values[i]));
        }
        return sum;
    }
}
