package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import dev.ptq.tensor.NativeFloats;
import java.util.Arrays;

/**
 * The cost of an error of linears with one input, {@code ||S E||²}, with {@code E [inFeatures, outFeatures]}, the error
 * transposed.
 */
final class ErrorMetric {
    private final NDArray weights;
    private final boolean isSquared;

    private ErrorMetric(NDArray weights, boolean isSquared) {
        this.weights = weights;
        this.isSquared = isSquared;
    }

    /** The metric {@code S = diag(scale)}, with all of {@code scale}, {@code [inFeatures]}, above zero. */
    static ErrorMetric diagonal(NDArray scale) {
        return new ErrorMetric(scale, false);
    }

    /**
     * A metric given by its square.
     *
     * @param square the diagonal of {@code SᵀS}, {@code [inFeatures]}, or all of it, {@code [inFeatures, inFeatures]}
     */
    static ErrorMetric squared(NDArray square) {
        return new ErrorMetric(square, true);
    }

    /** The best factors of an error, see {@link LowRankSolver}. */
    LowRankSolver.Solution solve(LowRankSolver solver, NDArray error, int rank, long seed) {
        return isSquared ? solver.solveSquared(error, weights, rank, seed) : solver.solve(error, weights, rank, seed);
    }

    /** All singular values of {@code S E}, the largest first. */
    NDArray singularValues(NDArray error) {
        return isSquared
                ? LowRankSolver.singularValuesSquared(error, weights)
                : LowRankSolver.singularValues(error.mul(weights.reshape(weights.size(), 1)));
    }

    /**
     * {@code ||S E||²}, never below zero.
     *
     * @param solver the exact one is measured by in double: where it leaves little in large directions of a matrix, the
     *     round-off of float32 in these is more than all the rest
     */
    double cost(LowRankSolver solver, NDArray error) {
        boolean isExact =
                solver.kind() == LowRankSolver.Kind.EXACT && weights.getShape().dimension() > 1;
        NDArray precise = isExact ? error.toType(DataType.FLOAT64, false) : error;
        double[] perOutput = WeightedError.of(precise, square()).costs().toDoubleArray();
        return Math.max(0, Arrays.stream(perOutput).sum());
    }

    /**
     * The {@code B} that minimizes {@code ||S (E - A B)||} beside a given {@code A}: of several the smallest.
     *
     * @param a {@code [inFeatures, rank]}
     * @return {@code [rank, outFeatures]}, float32
     */
    NDArray fitted(NDArray error, NDArray a) {
        return WeightedError.of(a.toType(DataType.FLOAT64, true), square())
                .solved(error.toType(DataType.FLOAT64, false));
    }

    /** {@code SᵀS} or its diagonal. */
    private NDArray square() {
        return isSquared ? weights : weights.square();
    }

    /** Lends its tensors to a manager until that is closed. */
    void lend(NDManager scratch) {
        weights.tempAttach(scratch);
    }

    /** Returns whether all of it is finite. */
    boolean isFinite() {
        return NativeFloats.allFinite(weights);
    }
}
