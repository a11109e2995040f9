package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;

/**
 * Best low-rank approximation in a weighted Frobenius norm: the factors that minimize {@code ||S (E - A B)||}. From
 * {@code S E = U Σ Vᵀ} they are {@code A = S⁻¹ U_r}, {@code B = Σ_r V_rᵀ}. Source: LQER (ICML 2024). As {@code S E V_r
 * = U_r Σ_r}, also {@code A = E V_r Σ_r⁻¹}, which takes only {@code SᵀS}, even a singular one. Source of the metrics
 * given by their square: QERA (ICLR 2025).
 *
 * @param kind how the leading singular vectors are found
 * @param iterations of the subspace, for {@link Kind#RANDOMIZED}
 * @param oversample columns carried beyond the rank, for {@link Kind#RANDOMIZED}
 * @param spectrum whether all singular values are wanted, for {@link Kind#EXACT}
 */
public record LowRankSolver(Kind kind, int iterations, int oversample, boolean spectrum) {
    /** If the smaller side is at most this, a full decomposition costs next to nothing. */
    private static final int SMALL = 512;
    /** From here on, and from as many times the columns that it takes, only the leading vectors are looked for. */
    private static final int LARGE = 1024;

    private static final int TIMES_COLUMNS = 8;
    /** Eigenvectors refined beyond the rank. */
    private static final int MARGIN = 16;

    /** Algorithm for the leading singular vectors. */
    public enum Kind {
        /**
         * To float32 accuracy. A small matrix is decomposed in full; for a larger one it is the Gram matrix of the
         * smaller side, whose leading eigenvectors are then refined on the matrix itself. Where these are few of many, and
         * not all singular values are wanted, no more than they are found, see {@link LeadingSubspace}.
         */
        EXACT,
        /** By subspace iteration from a random start: several times faster, and slightly worse than the best. */
        RANDOMIZED
    }

    private static final Key<Kind> SOLVER = Key.choice(
                    "solver",
                    Choices.of("exact", Kind.EXACT, "to float32 accuracy")
                            .and(
                                    "randomized",
                                    Kind.RANDOMIZED,
                                    "by subspace iteration, many times faster on large weights and a little less than the"
                                            + " best"))
            .preset(Kind.EXACT)
            .says("how the factors are found");

    private static final Key<Integer> ITERATIONS = Key.integer("iterations")
            .from(0)
            .to(100)
            .preset(8)
            .says("steps of the subspace iteration; only with `solver = \"randomized\"`");

    private static final Key<Integer> OVERSAMPLE = Key.integer("oversample")
            .from(0)
            .to(1024)
            .preset(16)
            .says("columns carried beyond the rank; only with `solver = \"randomized\"`");

    /** The solver's keys in a method's table. */
    static final Keys KEYS = Keys.of(SOLVER, ITERATIONS, OVERSAMPLE);

    /** Returns whether a method's table asks for the randomized solver. */
    static boolean isRandomized(ConfigTable table) {
        return table.read(SOLVER) == Kind.RANDOMIZED;
    }

    /** Reads the solver's keys of a method's table. */
    static LowRankSolver read(ConfigTable table, boolean spectrum) {
        Kind kind = table.read(SOLVER);
        boolean random = kind == Kind.RANDOMIZED;
        return new LowRankSolver(
                kind, random ? table.read(ITERATIONS) : 0, random ? table.read(OVERSAMPLE) : 0, spectrum && !random);
    }

    /**
     * The factors and the singular values, attached to the manager of the error, and the share of {@code ||S E||²} that
     * the factors capture.
     */
    public static final class Solution {
        private final NDArray a;
        private final NDArray b;
        private final Optional<NDArray> singularValues;
        private final double capturedEnergy;

        Solution(NDArray a, NDArray b, Optional<NDArray> singularValues, double capturedEnergy) {
            this.a = a;
            this.b = b;
            this.singularValues = singularValues;
            this.capturedEnergy = capturedEnergy;
        }

        /** {@code [inFeatures, rank]}. */
        public NDArray a() {
            return a;
        }

        /** {@code [rank, outFeatures]}. */
        public NDArray b() {
            return b;
        }

        /** All singular values of {@code S E}, the largest first, if the solver found them all. */
        public Optional<NDArray> singularValues() {
            return singularValues;
        }

        /** From 0 to 1; also 1 where there is no error. */
        public double capturedEnergy() {
            return capturedEnergy;
        }
    }

    /**
     * Solves for one layer in the metric {@code S = diag(scale)}.
     *
     * @param error quantization error {@code (W - Wq)ᵀ}, {@code [inFeatures, outFeatures]}, float32
     * @param scale channel weights, {@code [inFeatures]}, float32, all positive
     * @param rank at most the smaller side of {@code error}
     * @param seed of the random start
     */
    public Solution solve(NDArray error, NDArray scale, int rank, long seed) {
        requireRank(error, rank);
        long in = error.getShape().get(0);
        long out = error.getShape().get(1);
        NDManager outer = error.getManager();
        try (NDManager scratch = outer.newSubManager()) {
            error.tempAttach(scratch);
            NDArray column = scale.reshape(in, 1);
            NDArray scaled = error.mul(column);
            Leading leading;
            if (kind == Kind.EXACT && isSmall(error)) {
                leading = inDouble(scaled, rank);
            } else if (in < out) {
                leading = transposed(leading(transpose(scaled), rank, seed));
            } else {
                leading = leading(scaled, rank, seed);
            }
            NDArray a = leading.u().mul(reciprocal(column));
            NDArray b = leading.vt().mul(leading.sigma().reshape(rank, 1));
            double total = NativeFloats.sumOfSquares(scaled);
            double captured = total == 0 ? 1 : Math.min(1, NativeFloats.sumOfSquares(leading.sigma()) / total);
            a.attach(outer);
            b.attach(outer);
            leading.all().ifPresent(all -> all.attach(outer));
            return new Solution(a, b, leading.all(), captured);
        }
    }

    /**
     * Solves for one layer in a metric given by its square. Where the rank exceeds that of {@code S E}, the factors end
     * in zeros.
     *
     * @param error quantization error {@code (W - Wq)ᵀ}, {@code [inFeatures, outFeatures]}, float32
     * @param square the diagonal of {@code SᵀS}, {@code [inFeatures]}, or all of it, {@code [inFeatures, inFeatures]},
     *     float32, finite
     * @param rank at most the smaller side of {@code error}
     * @param seed of the random start
     */
    public Solution solveSquared(NDArray error, NDArray square, int rank, long seed) {
        requireRank(error, rank);
        NDManager outer = error.getManager();
        try (NDManager scratch = outer.newSubManager()) {
            error.tempAttach(scratch);
            square.tempAttach(scratch);
            WeightedError weighted;
            NDList eigen;
            Optional<NDArray> all = Optional.empty();
            Optional<NDList> few = Optional.empty();
            if (findsFew(Math.min(error.size(0), error.size(1)), rank)) {
                few = fewInDouble(scratch, error, square, rank, seed);
            }
            if (few.isPresent()) {
                weighted = WeightedError.of(error.toType(DataType.FLOAT64, false), square);
                eigen = few.get();
            } else if (kind == Kind.EXACT) {
                weighted = inDouble(error, square);
                eigen = Torch.eigh(weighted.gram());
                all = spectrum ? Optional.of(roots(eigen.get(0)).toType(DataType.FLOAT32, false)) : Optional.empty();
            } else {
                weighted = WeightedError.of(error, square);
                int count = (int) Math.min(Math.min(error.size(0), error.size(1)), rank + oversample);
                NDArray basis = subspace(
                        scratch, weighted.size(), count, seed, columns -> orthonormal(weighted.gramTimes(columns)));
                eigen = weighted.eigenWithin(basis);
            }
            NDList factors = weighted.factors(eigen, rank);
            // all of it takes a product with the whole metric, for which float32 will do
            double total = few.isPresent() ? WeightedError.energy(error, square) : weighted.energy();
            double captured = factors.get(2).sum().getDouble();
            factors.get(0).attach(outer);
            factors.get(1).attach(outer);
            all.ifPresent(values -> values.attach(outer));
            return new Solution(factors.get(0), factors.get(1), all, total <= 0 ? 1 : Math.min(1, captured / total));
        }
    }

    /**
     * All singular values of {@code S E}, found as in {@link #solveSquared} and attached to the manager of the error.
     */
    public static NDArray singularValuesSquared(NDArray error, NDArray square) {
        NDManager outer = error.getManager();
        try (NDManager scratch = outer.newSubManager()) {
            error.tempAttach(scratch);
            square.tempAttach(scratch);
            NDArray values =
                    roots(Torch.eigenvalues(inDouble(error, square).gram())).toType(DataType.FLOAT32, false);
            values.attach(outer);
            return values;
        }
    }

    /**
     * Doubles, because a few large channels set the squares of the first and of the other singular values far apart.
     */
    private static WeightedError inDouble(NDArray error, NDArray square) {
        return WeightedError.narrow(error.toType(DataType.FLOAT64, false), square);
    }

    /** Whether the leading vectors of a Gram matrix are looked for alone. */
    private boolean findsFew(long size, int rank) {
        return kind == Kind.EXACT
                && !spectrum
                && size >= Math.max(LARGE, TIMES_COLUMNS * LeadingSubspace.columns(rank));
    }

    private static Optional<NDList> fewInDouble(NDManager scratch, NDArray error, NDArray square, int rank, long seed) {
        return LeadingSubspace.find(
                scratch,
                Math.toIntExact(error.size(1)),
                rank,
                seed,
                gramOf(error, Optional.of(square)),
                gramOf(error.toType(DataType.FLOAT64, false), Optional.of(square.toType(DataType.FLOAT64, false))));
    }

    /** Multiplies columns by {@code EᵀE}, or by {@code Eᵀ SᵀS E}. Rows of few are multiplied faster than columns. */
    private static UnaryOperator<NDArray> gramOf(NDArray error, Optional<NDArray> square) {
        NDArray turned = transpose(error);
        return columns -> {
            NDList made = new NDList();
            NDArray seen = transpose(columns).matMul(turned);
            made.add(seen);
            if (square.isPresent()) {
                NDArray metric = square.get();
                seen = metric.getShape().dimension() == 1
                        ? seen.mul(metric.reshape(1, metric.size()))
                        : seen.matMul(metric);
                made.add(seen);
            }
            NDArray product = seen.matMul(error);
            made.add(product);
            NDArray image = transpose(product);
            image.attach(columns.getManager());
            made.close();
            return image;
        };
    }

    private static boolean isSmall(NDArray error) {
        return Math.min(error.size(0), error.size(1)) <= SMALL;
    }

    private static void requireRank(NDArray error, int rank) {
        if (rank < 1 || rank > Math.min(error.size(0), error.size(1))) {
            throw new IllegalArgumentException("rank " + rank + " of an error of " + error.getShape());
        }
    }

    /**
     * All singular values of a matrix, the largest first, attached to its manager. If the matrix is large on both
     * sides, they are the roots of the Gram matrix's eigenvalues: below a thousandth of the largest they are noise.
     */
    public static NDArray singularValues(NDArray matrix) {
        NDManager outer = matrix.getManager();
        long rows = matrix.getShape().get(0);
        long columns = matrix.getShape().get(1);
        try (NDManager scratch = outer.newSubManager()) {
            matrix.tempAttach(scratch);
            NDArray values = isSmall(matrix)
                    ? Torch.singularValues(matrix.toType(DataType.FLOAT64, false))
                            .toType(DataType.FLOAT32, false)
                    : roots(Torch.eigenvalues(gram(rows < columns ? transpose(matrix) : matrix)));
            values.attach(outer);
            return values;
        }
    }

    /**
     * {@code [rows, r]}, {@code [r]} and {@code [r, columns]}.
     *
     * @param all singular values, if known
     */
    private record Leading(NDArray u, NDArray sigma, NDArray vt, Optional<NDArray> all) {}

    private static Leading transposed(Leading leading) {
        return new Leading(transpose(leading.vt()), leading.sigma(), transpose(leading.u()), leading.all());
    }

    /** Leading singular triples of a matrix with at least as many rows as columns. */
    private Leading leading(NDArray matrix, int rank, long seed) {
        int columns = (int) matrix.getShape().get(1);
        Optional<NDArray> all = Optional.empty();
        NDArray basis;
        NDArray turned = transpose(matrix);
        Optional<NDList> few = findsFew(columns, rank)
                ? LeadingSubspace.find(matrix.getManager(), columns, rank, seed, gramOf(matrix, Optional.empty()))
                : Optional.empty();
        if (few.isPresent()) {
            basis = few.get().get(1);
        } else if (kind == Kind.EXACT) {
            NDList eigen = Torch.eigh(gram(matrix));
            // ascending order: the leading ones are the last columns
            basis = WeightedError.lastColumns(eigen.get(1), Math.min(columns, rank + MARGIN));
            all = spectrum ? Optional.of(roots(eigen.get(0))) : Optional.empty();
        } else {
            basis = subspace(
                    matrix.getManager(),
                    columns,
                    Math.min(columns, rank + oversample),
                    seed,
                    start -> orthonormal(turned.matMul(orthonormal(matrix.matMul(start)))));
        }
        // Rayleigh-Ritz on the matrix itself: M V = (U Σ W) with V's columns orthonormal
        NDList parts = Torch.svd(matrix.matMul(basis));
        NDArray vt = parts.get(2).matMul(transpose(basis));
        return cut(new NDList(parts.get(0), parts.get(1), vt), rank, all);
    }

    /** Decomposes a small matrix in double, so that the factors are rounded from accurate values. */
    private static Leading inDouble(NDArray matrix, int rank) {
        NDList parts = new NDList();
        for (NDArray part : Torch.svd(matrix.toType(DataType.FLOAT64, false))) {
            parts.add(part.toType(DataType.FLOAT32, false));
        }
        return cut(parts, rank, Optional.of(parts.get(1)));
    }

    private static Leading cut(NDList parts, int rank, Optional<NDArray> all) {
        return new Leading(
                parts.get(0).get(new NDIndex(":, :{}", rank)),
                parts.get(1).get(new NDIndex(":{}", rank)),
                parts.get(2).get(new NDIndex(":{}", rank)),
                all);
    }

    private static NDArray gram(NDArray matrix) {
        NDArray turned = transpose(matrix);
        return Torch.linear(turned, turned);
    }

    /**
     * Eigenvalues of a Gram matrix, ascending, as singular values; round-off leaves some of the smallest below zero.
     */
    private static NDArray roots(NDArray eigenvalues) {
        return eigenvalues.maximum(eigenvalues.zerosLike()).sqrt().flip(0);
    }

    /** Returns {@code count} orthonormal columns after {@link #iterations} steps from a random start. */
    private NDArray subspace(NDManager manager, int rows, int count, long seed, UnaryOperator<NDArray> step) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] start = new float[rows * count];
        for (int i = 0; i < start.length; i++) {
            start[i] = (float) random.nextGaussian();
        }
        NDArray basis = orthonormal(NativeFloats.of(manager, start, rows, count));
        for (int i = 0; i < iterations; i++) {
            basis = step.apply(basis);
        }
        return basis;
    }

    private static NDArray orthonormal(NDArray columns) {
        return Torch.qr(columns).get(0);
    }

    private static NDArray reciprocal(NDArray values) {
        return values.onesLike().div(values);
    }

    private static NDArray transpose(NDArray matrix) {
        return matrix.transpose(1, 0);
    }
}
