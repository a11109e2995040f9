package dev.ptq.method;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import dev.ptq.method.LowRankSolver.Kind;
import dev.ptq.method.LowRankSolver.Solution;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.tensor.Torch;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** The solver in metrics that are given by their square, against a matrix root and a full decomposition in double. */
class SquaredMetricTest {
    private static final LowRankSolver EXACT = new LowRankSolver(Kind.EXACT, 0, 0, true);
    private static final LowRankSolver RANDOMIZED = new LowRankSolver(Kind.RANDOMIZED, 8, 16, false);

    private final NDManager manager = TensorEngine.newManager();

    @AfterEach
    void close() {
        manager.close();
    }

    /** What a matrix root gives: {@code S E = U Σ Vᵀ}, {@code A B = S⁻¹ U_r Σ_r V_rᵀ}, in double. */
    private static final class Reference {
        private final NDArray root;
        private final NDArray inverse;
        private final NDList parts;

        Reference(NDArray error, NDArray square) {
            NDList eigen = Torch.eigh(square.toType(DataType.FLOAT64, false));
            NDArray roots = eigen.get(0).maximum(eigen.get(0).zerosLike()).sqrt();
            NDArray turned = eigen.get(1).transpose(1, 0);
            root = eigen.get(1).mul(roots).matMul(turned);
            inverse = eigen.get(1).div(roots).matMul(turned);
            parts = Torch.svd(root.matMul(error.toType(DataType.FLOAT64, false)));
        }

        double[] singularValues() {
            return parts.get(1).toDoubleArray();
        }

        NDArray product(int rank) {
            return inverse.matMul(parts.get(0)
                    .get(new NDIndex(":, :{}", rank))
                    .mul(parts.get(1).get(new NDIndex(":{}", rank)))
                    .matMul(parts.get(2).get(new NDIndex(":{}", rank))));
        }

        /** {@code ||S (E - A B)||²}. */
        double loss(NDArray error, Solution solution) {
            NDArray left = error.toType(DataType.FLOAT64, false)
                    .sub(solution.a()
                            .toType(DataType.FLOAT64, false)
                            .matMul(solution.b().toType(DataType.FLOAT64, false)));
            return root.matMul(left).square().sum().getDouble();
        }
    }

    @ParameterizedTest
    @CsvSource({"24, 40, 5", "40, 24, 5", "20, 20, 1", "7, 172, 7", "172, 7, 7", "1, 9, 1", "9, 1, 1"})
    void agreesWithARootAndAFullDecomposition(int in, int out, int rank) {
        NDArray error = noise(1, in, out);
        NDArray square = hessian(activations(2, 4 * in, in));
        Reference reference = new Reference(error, square);
        double[] values = reference.singularValues();

        Solution solution = EXACT.solveSquared(error, square, rank, 0);

        assertThat(solution.a().getShape().getShape()).containsExactly(in, rank);
        assertThat(solution.b().getShape().getShape()).containsExactly(rank, out);
        assertThat(solution.capturedEnergy())
                .isCloseTo(energy(values, 0, rank) / energy(values, 0, values.length), within(1e-6));
        assertSpectrum(solution.singularValues().orElseThrow(), values);
        assertThat(distance(product(solution), reference.product(rank))).isLessThan(1e-4);
        // the rows of B are the singular values times right singular vectors
        double[] rows = doubles(solution.b().square().sum(new int[] {1}).sqrt().toType(DataType.FLOAT32, false));
        assertThat(rows).containsExactly(Arrays.copyOf(values, rank), within(1e-5 * values[0]));
    }

    /** Of sizes that other metrics decompose in float32. */
    @ParameterizedTest
    @CsvSource({"700, 600", "600, 700", "560, 560"})
    void largeErrorsAreDecomposedAsWell(int in, int out) {
        NDArray error = noise(3, in, out);
        NDArray square = hessian(activations(4, 2 * in, in));
        Reference reference = new Reference(error, square);
        double[] values = reference.singularValues();
        double total = energy(values, 0, values.length);
        for (int rank : new int[] {1, 32, 500}) {
            Solution solution = EXACT.solveSquared(error, square, rank, 0);
            double best = energy(values, rank, values.length);

            assertThat(reference.loss(error, solution)).as("rank %d", rank).isCloseTo(best, within(1e-5 * best));
            assertThat(solution.capturedEnergy()).as("rank %d", rank).isCloseTo(1 - best / total, within(1e-4));
            assertSpectrum(solution.singularValues().orElseThrow(), values);
        }
    }

    /** A few channels a thousand times as large, and a mean: the squares of singular values go over seven decades. */
    @ParameterizedTest
    @CsvSource({"600, 560, EXACT", "560, 600, EXACT", "600, 560, RANDOMIZED"})
    void outliersLeaveEnoughToFindTheRest(int in, int out, Kind kind) {
        NDArray error = noise(5, in, out);
        float[] values = activations(6, 2 * in, in).toFloatArray();
        for (int i = 0; i < values.length; i++) {
            values[i] = (values[i] + 3) * (i % in % 200 == 7 ? 1000 : 1);
        }
        NDArray square = hessian(NativeFloats.of(manager, values, 2L * in, in));
        Reference reference = new Reference(error, square);
        double[] singular = reference.singularValues();
        double best = energy(singular, 32, singular.length);
        assertThat(singular[0]).isGreaterThan(1000 * singular[31]);

        Solution solution = new LowRankSolver(kind, 8, 16, false).solveSquared(error, square, 32, 1);

        assertThat(reference.loss(error, solution)).isCloseTo(best, within((kind == Kind.EXACT ? 1e-5 : 2e-2) * best));
    }

    @Test
    void fullRankRestoresTheError() {
        for (int[] shape : new int[][] {{20, 12}, {12, 20}, {16, 16}}) {
            NDArray error = noise(7, shape[0], shape[1]);
            int rank = Math.min(shape[0], shape[1]);
            for (NDArray square : List.of(lognormal(8, shape[0]), hessian(activations(9, 100, shape[0])))) {
                for (LowRankSolver solver : List.of(EXACT, RANDOMIZED)) {
                    Solution solution = solver.solveSquared(error, square, rank, 3);

                    // no inverse of the metric: channels of a small weight are as near as the others
                    assertThat(distance(product(solution), error)).isLessThan(1e-5);
                    assertThat(solution.capturedEnergy()).isCloseTo(1, within(1e-5));
                }
            }
        }
    }

    @Test
    void whatRemainsIsTheOtherSingularValuesAndFallsWithTheRank() {
        NDArray error = noise(10, 24, 40);
        NDArray square = hessian(activations(11, 60, 24));
        Reference reference = new Reference(error, square);
        double[] values = reference.singularValues();
        double total = energy(values, 0, values.length);
        double before = Double.POSITIVE_INFINITY;
        for (int rank = 1; rank <= 24; rank++) {
            Solution solution = EXACT.solveSquared(error, square, rank, 0);
            double remaining = reference.loss(error, solution);

            assertThat(remaining).isCloseTo(energy(values, rank, values.length), within(1e-6 * total));
            assertThat(remaining).isLessThanOrEqualTo(before);
            assertThat(solution.capturedEnergy()).isCloseTo(1 - remaining / total, within(1e-6));
            before = remaining;
        }
    }

    /** On the activations that the metric is of, no other metric's factors leave a smaller error of the output. */
    @ParameterizedTest
    @CsvSource({"30, 50, 1", "30, 50, 8", "50, 30, 4", "48, 48, 30"})
    void theHessianLeavesTheSmallestErrorOfTheOutput(int in, int out, int rank) {
        for (int seed = 0; seed < 10; seed++) {
            NDArray error = noise(seed, in, out);
            NDArray x = activations(100 + seed, 3 * in, in);
            NDArray square = hessian(x);
            NDArray moments = diagonal(square);
            NDArray magnitudes = x.abs().mean(new int[] {0});
            double exact = outputError(x, error, EXACT.solveSquared(error, square, rank, 0));

            for (Solution other : List.of(
                    EXACT.solveSquared(error, moments, rank, 0),
                    EXACT.solve(error, magnitudes, rank, 0),
                    EXACT.solve(error, ones(in), rank, 0),
                    RANDOMIZED.solveSquared(error, square, rank, 0))) {
                assertThat(exact).isLessThanOrEqualTo(outputError(x, error, other) * (1 + 1e-6));
            }
        }
    }

    @Test
    void aMultipleOfTheIdentityIsNoMetric() {
        NDArray error = noise(12, 24, 18);
        NDArray plain = product(EXACT.solve(error, ones(24), 5, 0));
        for (float factor : new float[] {1, 37, 1e-6f}) {
            NDArray diagonal = ones(24).mul(factor);
            NDArray matrix = NativeFloats.of(manager, identity(24, factor), 24, 24);
            for (NDArray square : List.of(diagonal, matrix)) {
                assertThat(distance(product(EXACT.solveSquared(error, square, 5, 0)), plain))
                        .isLessThan(1e-5);
            }
        }
    }

    @Test
    void aConstantFactorOfTheMetricChangesNothing() {
        NDArray error = noise(13, 24, 18);
        for (NDArray square : List.of(lognormal(14, 24), hessian(activations(15, 50, 24)))) {
            Solution one = EXACT.solveSquared(error, square, 5, 0);
            for (float factor : new float[] {4, 1e6f, 1e-12f}) {
                Solution other = EXACT.solveSquared(error, square.mul(factor), 5, 0);
                assertThat(distance(product(other), product(one))).isLessThan(1e-5);
                assertThat(other.capturedEnergy()).isCloseTo(one.capturedEnergy(), within(1e-6));
            }
        }
    }

    /** Three ways to say the same: squares on a diagonal, the diagonal alone, and the weights themselves. */
    @Test
    void aDiagonalMatrixIsItsDiagonal() {
        NDArray error = noise(16, 18, 30);
        NDArray scale = lognormal(17, 18);
        float[] squares = scale.square().toFloatArray();
        float[] matrix = new float[18 * 18];
        for (int i = 0; i < 18; i++) {
            matrix[19 * i] = squares[i];
        }
        Solution weights = EXACT.solve(error, scale, 4, 0);
        for (NDArray square :
                List.of(NativeFloats.of(manager, squares, 18), NativeFloats.of(manager, matrix, 18, 18))) {
            Solution solution = EXACT.solveSquared(error, square, 4, 0);
            NDArray column = scale.reshape(18, 1);
            assertThat(distance(product(solution).mul(column), product(weights).mul(column)))
                    .isLessThan(1e-5);
            assertThat(solution.capturedEnergy()).isCloseTo(weights.capturedEnergy(), within(1e-6));
        }
    }

    /** Fewer tokens than channels: what lies outside of their span costs nothing. */
    @ParameterizedTest
    @CsvSource({"30, 20, 5", "20, 30, 5", "30, 20, 12", "600, 560, 12", "560, 600, 12"})
    void aSingularMetricWorks(int in, int out, int rank) {
        int tokens = 8;
        NDArray error = noise(18, in, out);
        NDArray x = activations(19, tokens, in);
        NDArray square = hessian(x);
        Reference reference = new Reference(error, square);
        double[] values = reference.singularValues();
        double total = energy(values, 0, values.length);
        for (LowRankSolver solver : List.of(EXACT, RANDOMIZED)) {
            Solution solution = solver.solveSquared(error, square, rank, 0);

            assertThat(NativeFloats.allFinite(solution.a())).isTrue();
            assertThat(NativeFloats.allFinite(solution.b())).isTrue();
            assertThat(outputError(x, error, solution) / tokens)
                    .isCloseTo(energy(values, rank, values.length), within(1e-4 * total));
            assertThat(solution.capturedEnergy()).isCloseTo(energy(values, 0, rank) / total, within(1e-4));
        }
    }

    /** A metric of rank one, to the last bit: the other columns are zeros. */
    @Test
    void beyondTheRankOfTheMetricFactorsAreZeros() {
        NDArray error = noise(20, 6, 5);
        float[] matrix = new float[36];
        matrix[14] = 4;
        Solution solution = EXACT.solveSquared(error, NativeFloats.of(manager, matrix, 6, 6), 3, 0);

        float[] a = solution.a().toFloatArray();
        float[] b = solution.b().toFloatArray();
        for (int i = 0; i < 6; i++) {
            assertThat(a[3 * i + 1]).isZero();
            assertThat(a[3 * i + 2]).isZero();
        }
        assertThat(sumOfMagnitudes(Arrays.copyOfRange(b, 5, 15))).isZero();
        // the one channel that counts is restored
        assertThat(distance(product(solution).get(2), error.get(2))).isLessThan(1e-6);
        assertThat(solution.capturedEnergy()).isEqualTo(1);
    }

    /** A channel that calibration never saw: its weight's limit, not a noise that its inverse would make. */
    @Test
    void aChannelWithoutWeightHasTheFactorsOfItsLimit() {
        for (int[] shape : new int[][] {{30, 20}, {600, 560}}) {
            NDArray error = noise(21, shape[0], shape[1]);
            float[] squares = lognormal(22, shape[0]).toFloatArray();
            squares[3] = 0;
            NDArray without =
                    product(EXACT.solveSquared(error, NativeFloats.of(manager, squares, squares.length), 6, 0));
            squares[3] = 1e-12f;
            NDArray nearly =
                    product(EXACT.solveSquared(error, NativeFloats.of(manager, squares, squares.length), 6, 0));

            assertThat(distance(without, nearly)).isLessThan(1e-3);
            assertThat(NativeFloats.sumOfSquares(without.get(3))).isPositive();
        }
    }

    @ParameterizedTest
    @EnumSource(Kind.class)
    void withoutAnErrorOrAMetricThereIsNoCorrection(Kind kind) {
        LowRankSolver solver = new LowRankSolver(kind, 2, 4, false);
        for (int[] shape : new int[][] {{8, 6}, {6, 8}, {530, 520}}) {
            NDArray none = NativeFloats.of(manager, new float[shape[0] * shape[1]], shape[0], shape[1]);
            NDArray zero = NativeFloats.of(manager, new float[shape[0]], shape[0]);
            for (Solution solution : List.of(
                    solver.solveSquared(none, ones(shape[0]), 3, 0),
                    solver.solveSquared(noise(23, shape[0], shape[1]), zero, 3, 0))) {
                assertThat(sumOfMagnitudes(solution.a().toFloatArray())).isZero();
                assertThat(sumOfMagnitudes(solution.b().toFloatArray())).isZero();
                assertThat(solution.capturedEnergy()).isEqualTo(1);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"700, 600, 32", "300, 700, 16", "256, 64, 8"})
    void randomizedCapturesNearlyAllThatExactDoes(int in, int out, int rank) {
        NDArray error = noise(24, in, out);
        NDArray square = hessian(activations(25, 2 * in, in));
        double exact = EXACT.solveSquared(error, square, rank, 0).capturedEnergy();
        double randomized = RANDOMIZED.solveSquared(error, square, rank, 12).capturedEnergy();

        assertThat(randomized).isBetween(0.995 * exact, exact * (1 + 1e-5));
        assertThat(RANDOMIZED.solveSquared(error, square, rank, 12).singularValues())
                .isEmpty();
    }

    @Test
    void theSameSeedGivesTheSameFactors() {
        NDArray error = noise(26, 40, 30);
        NDArray square = hessian(activations(27, 90, 40));
        Solution first = RANDOMIZED.solveSquared(error, square, 4, 15);
        Solution second = RANDOMIZED.solveSquared(error, square, 4, 15);

        assertThat(second.a().toFloatArray()).isEqualTo(first.a().toFloatArray());
        assertThat(second.b().toFloatArray()).isEqualTo(first.b().toFloatArray());
    }

    @ParameterizedTest
    @CsvSource({"24, 40", "40, 24", "700, 600", "600, 700"})
    void allSingularValuesAreThoseOfTheSolver(int in, int out) {
        NDArray error = noise(28, in, out);
        NDArray square = hessian(activations(29, 2 * in, in));
        double[] expected =
                doubles(EXACT.solveSquared(error, square, 1, 0).singularValues().orElseThrow());

        assertSpectrum(LowRankSolver.singularValuesSquared(error, square), expected);
    }

    @Test
    void refusesARankBeyondTheSmallerSide() {
        NDArray error = noise(30, 4, 6);
        for (int rank : new int[] {0, 5}) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> EXACT.solveSquared(error, ones(4), rank, 0))
                    .withMessage("rank " + rank + " of an error of (4, 6)");
        }
    }

    @Test
    void leavesErrorAndMetricToTheirOwner() {
        NDArray error = noise(31, 9, 5);
        NDArray square = hessian(activations(32, 20, 9));
        float[] before = error.toFloatArray();
        float[] squareBefore = square.toFloatArray();
        Solution solution = EXACT.solveSquared(error, square, 2, 0);

        assertThat(error.toFloatArray()).isEqualTo(before);
        assertThat(square.toFloatArray()).isEqualTo(squareBefore);
        assertThat(error.getManager()).isSameAs(manager);
        assertThat(square.getManager()).isSameAs(manager);
        assertThat(solution.a().getManager()).isSameAs(manager);
        assertThat(solution.b().getManager()).isSameAs(manager);
    }

    private NDArray noise(long seed, int rows, int columns) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[rows * columns];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return NativeFloats.of(manager, values, rows, columns);
    }

    /** Correlated channels of different sizes. */
    private NDArray activations(long seed, int tokens, int features) {
        NDArray sizes = lognormal(seed, features);
        return noise(seed + 1000, tokens, features)
                .add(noise(seed + 2000, tokens, 3).matMul(noise(seed + 3000, 3, features)))
                .mul(sizes);
    }

    private static NDArray hessian(NDArray activations) {
        NDArray wide = activations.toType(DataType.FLOAT64, false);
        return wide.transpose(1, 0).matMul(wide).div(activations.size(0)).toType(DataType.FLOAT32, false);
    }

    private NDArray diagonal(NDArray matrix) {
        int side = (int) matrix.size(0);
        float[] all = matrix.toFloatArray();
        float[] values = new float[side];
        for (int i = 0; i < side; i++) {
            values[i] = all[i * side + i];
        }
        return NativeFloats.of(manager, values, side);
    }

    private NDArray lognormal(long seed, int count) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) Math.exp(random.nextGaussian());
        }
        return NativeFloats.of(manager, values, count);
    }

    private NDArray ones(int count) {
        float[] values = new float[count];
        Arrays.fill(values, 1);
        return NativeFloats.of(manager, values, count);
    }

    private static float[] identity(int side, float factor) {
        float[] values = new float[side * side];
        for (int i = 0; i < side; i++) {
            values[i * (side + 1)] = factor;
        }
        return values;
    }

    private static NDArray product(Solution solution) {
        return solution.a().matMul(solution.b());
    }

    /** {@code ||X (E - A B)||²}. */
    private static double outputError(NDArray x, NDArray error, Solution solution) {
        NDArray left = error.sub(product(solution)).toType(DataType.FLOAT64, false);
        return x.toType(DataType.FLOAT64, false).matMul(left).square().sum().getDouble();
    }

    /** {@code ||a - b|| / ||b||}. */
    private static double distance(NDArray a, NDArray b) {
        NDArray wide = b.toType(DataType.FLOAT64, false);
        return Math.sqrt(
                a.toType(DataType.FLOAT64, false).sub(wide).square().sum().getDouble()
                        / wide.square().sum().getDouble());
    }

    private static void assertSpectrum(NDArray found, double[] expected) {
        double[] values = doubles(found);
        assertThat(values).hasSameSizeAs(expected);
        for (int i = 0; i < values.length; i++) {
            assertThat(values[i]).as("value %d", i).isCloseTo(expected[i], within(1e-6 * expected[0]));
        }
    }

    private static double sumOfMagnitudes(float[] values) {
        double sum = 0;
        for (float value : values) {
            sum += Math.abs(value);
        }
        return sum;
    }

    private static double energy(double[] values, int from, int to) {
        return Arrays.stream(values, from, to).map(value -> value * value).sum();
    }

    private static double[] doubles(NDArray values) {
        return values.toType(DataType.FLOAT64, false).toDoubleArray();
    }
}
