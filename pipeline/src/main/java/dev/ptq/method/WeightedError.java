package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import dev.ptq.tensor.Torch;
import java.util.Optional;

/**
 * An error {@code E} and {@code P = SᵀS E}, in a metric {@code S} of which only {@code SᵀS} is known. The right
 * singular vectors of {@code S E} are the eigenvectors of the Gram matrix {@code EᵀP}, so no root of {@code SᵀS} is
 * taken. Arrays are attached to the manager of the error.
 */
final class WeightedError {
    /** Rows of {@code SᵀS} held in double at a time. */
    private static final int PANEL = 1024;

    private final NDArray error;
    private final NDArray square;
    /** {@code P}, once it is asked for. */
    private Optional<NDArray> product = Optional.empty();
    /** Has orthonormal columns: the error is {@code E} times its transpose. Absent: the error is {@code E}. */
    private final Optional<NDArray> rows;

    private WeightedError(NDArray error, NDArray square, Optional<NDArray> rows) {
        this.error = error;
        this.square = square;
        this.rows = rows;
    }

    private NDArray weighted() {
        if (product.isEmpty()) {
            product = Optional.of(
                    square.getShape().dimension() == 1
                            ? error.mul(
                                    square.toType(error.getDataType(), false).reshape(square.size(), 1))
                            : product(square, error));
        }
        return product.get();
    }

    private static NDArray product(NDArray square, NDArray error) {
        if (square.getDataType() == error.getDataType()) {
            return square.matMul(error);
        }
        NDList panels = new NDList();
        for (long from = 0; from < square.size(0); from += PANEL) {
            NDIndex rows = new NDIndex("{}:{}", from, Math.min(square.size(0), from + PANEL));
            try (NDArray panel = square.get(rows).toType(error.getDataType(), false)) {
                panels.add(panel.matMul(error));
            }
        }
        return NDArrays.concat(panels, 0);
    }

    /**
     * Multiplies.
     *
     * @param error {@code [inFeatures, outFeatures]}, float32, or float64 to multiply in double
     * @param square the diagonal of {@code SᵀS}, {@code [inFeatures]}, or all of it, {@code [inFeatures, inFeatures]},
     *     float32
     */
    static WeightedError of(NDArray error, NDArray square) {
        return new WeightedError(error, square, Optional.empty());
    }

    /** The same, with a Gram matrix no larger than the error's smaller side. */
    static WeightedError narrow(NDArray error, NDArray square) {
        if (error.size(0) >= error.size(1)) {
            return of(error, square);
        }
        NDList parts = Torch.qr(error.transpose(1, 0));
        return new WeightedError(parts.get(1).transpose(1, 0), square, Optional.of(parts.get(0)));
    }

    /** Side of the Gram matrix. */
    int size() {
        return Math.toIntExact(error.size(1));
    }

    /** {@code ||S E||²}. */
    double energy() {
        return error.mul(weighted()).sum().toType(DataType.FLOAT64, false).getDouble();
    }

    /**
     * {@code ||S E||²} in float32, without {@code P}: half of the products with a symmetric {@code SᵀS} are enough.
     *
     * @param error {@code [inFeatures, outFeatures]}, float32
     * @param square the diagonal of {@code SᵀS}, or all of it
     */
    static double energy(NDArray error, NDArray square) {
        if (square.getShape().dimension() == 1) {
            return of(error, square).energy();
        }
        double energy = 0;
        long size = square.size(0);
        for (long row = 0; row < size; row += PANEL) {
            for (long column = row; column < size; column += PANEL) {
                try (NDManager scratch = error.getManager().newSubManager();
                        NDArray left = panel(scratch, error, row);
                        NDArray right = panel(scratch, error, column)) {
                    NDArray between = panel(scratch, square, row)
                            .get(new NDIndex(":, {}:{}", column, Math.min(size, column + PANEL)));
                    double part = Torch.linear(left, right).mul(between).sum().getFloat();
                    energy += row == column ? part : 2 * part;
                }
            }
        }
        return energy;
    }

    private static NDArray panel(NDManager scratch, NDArray matrix, long from) {
        NDArray panel = matrix.get(new NDIndex("{}:{}", from, Math.min(matrix.size(0), from + PANEL)));
        panel.attach(scratch);
        return panel;
    }

    /** {@code ||S E||²} of each column of the error, float64. */
    NDArray costs() {
        return error.mul(weighted()).toType(DataType.FLOAT64, false).sum(new int[] {0});
    }

    /**
     * The {@code X} that minimizes {@code ||S (F - E X)||}, of several the smallest, for an error in double. Eigenvalues of
     * the Gram matrix that are zero up to the round-off of float32 are not inverted.
     *
     * @param other {@code F}, {@code [inFeatures, n]}, float64
     * @return {@code [outFeatures, n]}, float32
     */
    NDArray solved(NDArray other) {
        NDList eigen = Torch.eigh(gram());
        NDArray values = eigen.get(0);
        double least = values.getDouble(values.size() - 1) * values.size() * Math.ulp(1f);
        NDArray kept = values.gt(Math.max(0, least)).toType(DataType.FLOAT64, false);
        NDArray inverse = kept.div(values.mul(kept).add(kept.neg().add(1)));
        NDArray right = weighted().transpose(1, 0).matMul(other);
        NDArray vectors = eigen.get(1);
        return vectors.mul(inverse.reshape(1, inverse.size()))
                .matMul(vectors.transpose(1, 0).matMul(right))
                .toType(DataType.FLOAT32, false);
    }

    NDArray gram() {
        return error.transpose(1, 0).matMul(weighted());
    }

    /** Multiplies the Gram matrix by columns. */
    NDArray gramTimes(NDArray columns) {
        return error.transpose(1, 0).matMul(weighted().matMul(columns));
    }

    /** Eigenvalues, ascending, and eigenvectors, as columns, within the span of orthonormal columns; in double. */
    NDList eigenWithin(NDArray basis) {
        NDArray left = error.matMul(basis).toType(DataType.FLOAT64, false);
        NDArray right = weighted().matMul(basis).toType(DataType.FLOAT64, false);
        NDList eigen = Torch.eigh(left.transpose(1, 0).matMul(right));
        NDArray vectors = basis.matMul(eigen.get(1).toType(basis.getDataType(), false));
        return new NDList(eigen.get(0), vectors);
    }

    /**
     * {@code A = E V Σ⁻¹}, {@code [inFeatures, rank]}, {@code B = Σ Vᵀ}, {@code [rank, outFeatures]}, float32, and
     * {@code Σ²}, the largest first, float64. Values that are zero up to round-off are zero in all of them.
     *
     * @param eigen eigenvalues and eigenvectors in the order of {@link #eigenWithin}, at least {@code rank}
     */
    NDList factors(NDList eigen, int rank) {
        NDArray squares = eigen.get(0)
                .toType(DataType.FLOAT64, false)
                .get(new NDIndex("{}:", eigen.get(0).size() - rank))
                .flip(0);
        NDArray vectors = lastColumns(eigen.get(1), rank).flip(1);
        double least = squares.getDouble(0) * size() * Math.ulp(1.0);
        NDArray kept = squares.gt(Math.max(0, least)).toType(DataType.FLOAT64, false);
        squares = squares.mul(kept);
        NDArray sigma = squares.sqrt();
        NDArray inverse = kept.div(sigma.add(kept.neg().add(1)));
        NDArray a = error.matMul(vectors)
                .mul(inverse.toType(vectors.getDataType(), false).reshape(1, rank));
        NDArray right = rows.isPresent() ? rows.get().matMul(vectors) : vectors;
        NDArray b = right.transpose(1, 0)
                .mul(sigma.toType(vectors.getDataType(), false).reshape(rank, 1));
        return new NDList(a.toType(DataType.FLOAT32, false), b.toType(DataType.FLOAT32, false), squares);
    }

    static NDArray lastColumns(NDArray matrix, int count) {
        return matrix.get(new NDIndex(":, {}:", matrix.size(1) - count));
    }
}
