package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import java.util.Arrays;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;

/**
 * The leading eigenvectors of a large symmetric matrix without negative eigenvalues, of which only products with some
 * columns are known. A block of orthonormal columns is multiplied by a Chebyshev polynomial of the matrix, which is
 * small on the eigenvalues below those of the block and large above, until the residuals are small. Source: Zhou, Saad,
 * Tiago and Chelikowsky, Self-consistent-field calculations using Chebyshev-filtered subspace iteration (2006).
 *
 * <p>The work is nearly all in products of the matrix with the block, so spectra without a gap, as errors of rounding have
 * them, take tens of products instead of a decomposition.
 */
final class LeadingSubspace {
    /** Columns beyond those that are wanted; more of them need fewer products. */
    private static final int LEAST_SPARE = 32;

    private static final int MOST_DEGREE = 12;
    private static final int MOST_ROUNDS = 60;

    /** By how much more residuals are to shrink than they must: the eigenvalues below the block are not known. */
    private static final double SURPLUS = 4;

    /** Of a residual of singular vectors, in parts of the largest singular value. */
    private static final double TOLERANCE = 5e-5;

    /** Of a residual of eigenvectors, in units in the last place of the largest eigenvalue: no less can be asked for. */
    private static final double ROUNDING = 32;

    /** In parts of the largest eigenvalue, one that counts as zero. */
    private static final double NEGLIGIBLE = 1e-12;

    private final int wanted;
    private final DataType type;
    private final UnaryOperator<NDArray> operator;

    private LeadingSubspace(int wanted, DataType type, UnaryOperator<NDArray> operator) {
        this.wanted = wanted;
        this.type = type;
        this.operator = operator;
    }

    /** Returns the columns that are multiplied at a time. */
    static int columns(int wanted) {
        return wanted + Math.max(wanted, LEAST_SPARE);
    }

    /**
     * Looks for eigenvectors.
     *
     * @param manager for the result
     * @param size of the matrix, at least {@link #columns}
     * @param seed of the first columns
     * @param operator returns the product with float32 columns {@code [size, n]}, attached to their manager
     * @return the eigenvalues, ascending, float64, and the eigenvectors {@code [size, wanted]}; empty if they were not found
     *     to the tolerance
     */
    static Optional<NDList> find(NDManager manager, int size, int wanted, long seed, UnaryOperator<NDArray> operator) {
        LeadingSubspace search = new LeadingSubspace(wanted, DataType.FLOAT32, operator);
        return search.find(manager, start(manager, size, columns(wanted), seed))
                .map(block -> search.leading(manager, block));
    }

    /**
     * The same for a matrix whose eigenvalues are too far apart for float32, in which most of the work is done nevertheless.
     *
     * @param precise the operator for float64 columns
     * @return eigenvectors in float64
     */
    static Optional<NDList> find(
            NDManager manager,
            int size,
            int wanted,
            long seed,
            UnaryOperator<NDArray> operator,
            UnaryOperator<NDArray> precise) {
        LeadingSubspace search = new LeadingSubspace(wanted, DataType.FLOAT64, precise);
        return new LeadingSubspace(wanted, DataType.FLOAT32, operator)
                .find(manager, start(manager, size, columns(wanted), seed))
                .flatMap(block -> search.find(manager, block))
                .map(block -> search.leading(manager, block));
    }

    private static Block start(NDManager manager, int size, int count, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] start = new float[Math.multiplyExact(size, count)];
        for (int i = 0; i < start.length; i++) {
            start[i] = (float) random.nextGaussian();
        }
        return new Block(NativeFloats.of(manager, start, size, count), new double[count]);
    }

    /** Columns, and what is known of their eigenvalues, the largest first. */
    private static final class Block {
        private final NDArray columns;
        private final double[] values;

        Block(NDArray columns, double[] values) {
            this.columns = columns;
            this.values = values;
        }
    }

    private Optional<Block> find(NDManager manager, Block from) {
        NDArray block;
        try (NDManager scratch = manager.newSubManager()) {
            from.columns.attach(scratch);
            block = orthonormal(from.columns.toType(type, false));
            block.attach(manager);
        }
        for (int round = 0; round < MOST_ROUNDS; round++) {
            try (NDManager scratch = manager.newSubManager()) {
                block.attach(scratch);
                NDArray image = operator.apply(block);
                NDList inner = Torch.eigh(symmetric(block, image));
                NDArray turn = inner.get(1).flip(1).toType(type, false);
                double[] values = descending(inner.get(0));
                NDArray vectors = block.matMul(turn);
                image = image.matMul(turn);
                double excess = excess(values, vectors, image);
                if (excess <= 1) {
                    vectors.attach(manager);
                    return Optional.of(new Block(vectors, values));
                }
                block = orthonormal(filtered(values, vectors, image, excess));
                block.attach(manager);
            }
        }
        block.close();
        return Optional.empty();
    }

    private static NDArray symmetric(NDArray block, NDArray image) {
        NDArray product =
                block.toType(DataType.FLOAT64, false).transpose(1, 0).matMul(image.toType(DataType.FLOAT64, false));
        return product.add(product.transpose(1, 0)).mul(0.5);
    }

    private static double[] descending(NDArray ascending) {
        double[] values = ascending.toDoubleArray();
        double[] turned = new double[values.length];
        Arrays.setAll(turned, i -> Math.max(0, values[values.length - 1 - i]));
        return turned;
    }

    /** How many times as large as it may be {@code ||E'u - s v||} is, at most, for the wanted pairs of singular vectors. */
    private double excess(double[] values, NDArray vectors, NDArray image) {
        NDIndex leading = new NDIndex(":, :{}", wanted);
        NDArray eigenvalues =
                vectors.getManager().create(Arrays.copyOf(values, wanted)).toType(type, false);
        NDArray residuals = image.get(leading).sub(vectors.get(leading).mul(eigenvalues.reshape(1, wanted)));
        double[] squares = residuals
                .toType(DataType.FLOAT64, false)
                .square()
                .sum(new int[] {0})
                .toDoubleArray();
        double noise = ROUNDING * (type == DataType.FLOAT64 ? Math.ulp(1.0) : Math.ulp(1f));
        double excess = 0;
        for (int i = 0; i < wanted; i++) {
            double allowed = Math.max(TOLERANCE * Math.sqrt(values[i] * values[0]), noise * values[0]);
            double found = Math.sqrt(squares[i]) / allowed;
            if (!(found <= excess)) {
                excess = squares[i] == 0 ? excess : found;
            }
        }
        return excess;
    }

    private NDList leading(NDManager manager, Block block) {
        double[] ascending = new double[wanted];
        Arrays.setAll(ascending, i -> block.values[wanted - 1 - i]);
        return new NDList(
                manager.create(ascending),
                block.columns.get(new NDIndex(":, :{}", wanted)).flip(1));
    }

    /**
     * Multiplies eigenvectors, as far as they are known, by a polynomial that is at most 1 from 0 to the least eigenvalue of
     * the block, relative to which that of the largest is scaled to 1.
     */
    private NDArray filtered(double[] values, NDArray vectors, NDArray image, double excess) {
        double half = values[values.length - 1] / 2;
        if (half <= NEGLIGIBLE * values[0]) {
            return image.mul(1 / values[0]);
        }
        double largest = values[0] / half - 1;
        double least = Math.max(1, values[wanted - 1] / half - 1);
        int degree = degree(largest, least, excess);
        double sigma = 1 / largest;
        double scale = 1 / (values[0] - half);
        NDArray previous = vectors;
        NDArray current = image.sub(vectors.mul(half)).mul(scale);
        for (int i = 1; i < degree; i++) {
            double next = 1 / (2 * largest - sigma);
            NDArray product = operator.apply(current);
            product.subi(current.mul(half)).muli(2 * next / half).subi(previous.mul(sigma * next));
            previous = current;
            current = product;
            sigma = next;
        }
        return current;
    }

    /**
     * The highest degree whose polynomial leaves the least of the wanted ones visible beside the largest, and no more than
     * residuals need.
     */
    private int degree(double largest, double least, double excess) {
        double spread = type == DataType.FLOAT64 ? 1e10 : 1e5;
        int degree = 1;
        while (degree < MOST_DEGREE
                && chebyshev(degree, least) <= SURPLUS * excess
                && chebyshev(degree + 1, largest) <= spread * chebyshev(degree + 1, least)) {
            degree++;
        }
        return degree;
    }

    /** The polynomial at a point of at least 1. */
    private static double chebyshev(int degree, double at) {
        return Math.cosh(degree * Math.log(at + Math.sqrt(at * at - 1)));
    }

    private static NDArray orthonormal(NDArray columns) {
        return Torch.qr(columns).get(0);
    }
}
