package dev.ptq.format;

import dev.ptq.tensor.Parallel;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Map;

/**
 * Improves the zero points of {@link HqqFormat} one step at a time: rounds the weights {@code w} to {@code ŵ}, takes
 * {@code e = shrink(w - ŵ)} for errors that need not be made up for, and sets each zero point to the mean of {@code code - (w
 * - e) s} in its group. {@code shrink(x) = sign(x) max(|x| - |x|^(norm - 1) / beta, 0)}. Scales stay.
 *
 * @param iterations the most steps
 * @param stop when there are fewer
 * @param norm from 0.1 to 1; the smaller, the less large errors count
 * @param beta positive
 * @param kappa by which {@code beta} grows after each step
 */
public record HqqSolver(int iterations, Stop stop, double norm, double beta, double kappa) {
    /** Values that a thread processes at a time. */
    private static final int TILE = 1 << 12;

    /**
     * When the solver ends before its last step. The mean magnitude of {@code w - ŵ} in the whole tensor decides; where it
     * is no smaller than before, that was the last step.
     */
    public enum Stop {
        /** Never. */
        NEVER,
        /** Then, and what was computed last is kept, although it is worse or was never measured. */
        LAST,
        /** Then, and the best is kept. */
        BEST
    }

    public HqqSolver {
        if (iterations < 0 || !(norm >= 0.1 && norm <= 1) || !(beta > 0) || !(kappa >= 1)) {
            throw new IllegalArgumentException("no such solver: " + iterations + " iterations, norm " + norm + ", beta "
                    + beta + ", kappa " + kappa);
        }
    }

    /** Groups of weights, and the codes they have. */
    static final class Problem {
        private final FloatBuffer values;
        private final float[] reciprocals;
        private final float[] start;
        private final int highestCode;

        /**
         * Makes a problem.
         *
         * @param values of the groups, one after the other, each of the same size
         * @param reciprocals {@code s} of each group; NaN if the values of the group are none
         * @param start its zero point
         * @param highestCode the lowest is 0
         */
        Problem(FloatBuffer values, float[] reciprocals, float[] start, int highestCode) {
            this.values = values;
            this.reciprocals = reciprocals;
            this.start = start;
            this.highestCode = highestCode;
        }

        float[] reciprocals() {
            return reciprocals;
        }

        int groups() {
            return reciprocals.length;
        }

        int size() {
            return groups() == 0 ? 0 : values.capacity() / groups();
        }
    }

    /** What was found. */
    static final class Solution {
        private final float[] zeroPoints;
        private final int iterations;

        private Solution(float[] zeroPoints, int iterations) {
            this.zeroPoints = zeroPoints;
            this.iterations = iterations;
        }

        float[] zeroPoints() {
            return zeroPoints;
        }

        /** Returns the steps that lead to the zero points. */
        int iterations() {
            return iterations;
        }
    }

    /** Returns whether the number of steps depends on the weights. */
    boolean stopsEarly() {
        return stop != Stop.NEVER && iterations > 0;
    }

    /** Returns the solver that takes so many steps, whatever the weights are. */
    HqqSolver endingAfter(int steps) {
        return new HqqSolver(steps, Stop.NEVER, norm, beta, kappa);
    }

    Solution solve(Problem problem) {
        float[] before = problem.start;
        float[] zeroPoints = problem.start;
        float least = Float.POSITIVE_INFINITY;
        double growing = beta;
        for (int i = 0; i < iterations; i++) {
            float[] next = new float[zeroPoints.length];
            float error = step(problem, zeroPoints, (float) (1 / growing), next);
            if (stop != Stop.NEVER && !(error < least)) {
                return stop == Stop.LAST ? new Solution(next, i + 1) : new Solution(before, Math.max(0, i - 1));
            }
            least = error;
            before = zeroPoints;
            zeroPoints = next;
            growing *= kappa;
        }
        return new Solution(zeroPoints, iterations);
    }

    /** Finds the next zero points, and returns the mean error with the present ones, of groups that have values. */
    private float step(Problem problem, float[] zeroPoints, float threshold, float[] next) {
        int size = problem.size();
        int groupsInTile = Math.max(1, TILE / Math.max(1, size));
        double[] errors = new double[(problem.groups() + groupsInTile - 1) / groupsInTile];
        Parallel.forEach(errors.length, () -> new Step(problem, threshold), (step, tile) -> {
            int end = Math.min(problem.groups(), (tile + 1) * groupsInTile);
            for (int group = tile * groupsInTile; group < end; group++) {
                if (!Float.isNaN(problem.reciprocals[group])) {
                    next[group] = step.run(group, zeroPoints[group]);
                    errors[tile] += step.error;
                }
            }
        });
        long count = 0;
        for (float reciprocal : problem.reciprocals) {
            count += Float.isNaN(reciprocal) ? 0 : size;
        }
        return (float) (Arrays.stream(errors).sum() / count);
    }

    /** One thread's work on groups. */
    private final class Step {
        private final Problem problem;
        private final float threshold;
        private final float power;
        /** Errors below it shrink to 0; a little too small, as it is not exact. */
        private final float leastLeft;

        private final float[] values;
        private final float[] codes;
        private final float[] differences;
        private double error;

        Step(Problem problem, float threshold) {
            this.problem = problem;
            this.threshold = threshold;
            power = (float) (norm - 1);
            leastLeft = 0.999f * (float) Math.pow(threshold, 1 / (2 - norm));
            values = new float[problem.size()];
            codes = new float[values.length];
            differences = new float[values.length];
        }

        /** Returns the next zero point of a group, and leaves the sum of the errors with this one. */
        float run(int group, float zeroPoint) {
            float reciprocal = problem.reciprocals[group];
            float highest = problem.highestCode;
            problem.values.get(group * values.length, values);
            for (int i = 0; i < values.length; i++) {
                // what is too large to be rounded so is clamped
                float code = values[i] * reciprocal + zeroPoint + RowKernels.WHOLE - RowKernels.WHOLE;
                codes[i] = Math.min(Math.max(code, 0), highest);
                differences[i] = values[i] - (codes[i] - zeroPoint) / reciprocal;
            }
            error = 0;
            double sum = 0;
            for (int i = 0; i < values.length; i++) {
                error += Math.abs(differences[i]);
                sum += codes[i] - (values[i] - shrunk(differences[i])) * reciprocal;
            }
            return (float) (sum / values.length);
        }

        private float shrunk(float difference) {
            float size = Math.abs(difference);
            if (size <= leastLeft) {
                return 0;
            }
            float left = size - threshold * (float) Math.pow(size, power);
            return Math.copySign(Math.max(left, 0), difference);
        }
    }

    /** Adds its keys to a format's table. */
    void write(Map<String, Object> table) {
        table.put("iterations", iterations);
        table.put("early_stop", Formats.label(stop));
        table.put("lp_norm", norm);
        table.put("beta", beta);
        table.put("kappa", kappa);
    }
}
