package dev.ptq.method;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.format.LqerQuantizers;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Shared;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.tensor.Torch;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.JsonNode;

class LowRankSolverTest {
    private static final LowRankSolver EXACT = new LowRankSolver(LowRankSolver.Kind.EXACT, 0, 0, true);
    private static final LowRankSolver RANDOMIZED = new LowRankSolver(LowRankSolver.Kind.RANDOMIZED, 6, 16, false);

    private final NDManager manager = TensorEngine.newManager();

    @AfterEach
    void close() {
        manager.close();
    }

    /**
     * The reference's float32 product and the exact one differ by up to 1e-4, and by 1e-2 in rows whose scale was raised:
     * there the scale's inverse multiplies the noise of the SVD. Weighted by the scale all rows agree to 1e-4.
     */
    @Test
    void givesTheReferenceProducts() throws IOException {
        Path file = Shared.golden("approx.safetensors");
        int compared = 0;
        try (Safetensors tensors = Safetensors.open(file)) {
            for (JsonNode one : Shared.cases(file)) {
                String name = one.get("name").asString();
                JsonNode names = one.get("tensors");
                NDArray error = tensors.load(manager, names.get("error_T").asString());
                boolean weighted = one.get("mode").asString().equals("act");
                NDArray scale = weighted
                        ? tensors.load(manager, names.get("scale").asString())
                        : ones(error.getShape().get(0));
                if (weighted) {
                    // the reference keeps the error as it was decomposed
                    error = unscaledError(tensors, names);
                }
                int rank = one.get("rank").asInt();
                LowRankSolver.Solution solution = EXACT.solve(error, scale, rank, 0);

                float[] weights = scale.toFloatArray();
                for (String expected : List.of("AB_unquantized", "AB_exact")) {
                    assertRowsClose(
                            name + " " + expected,
                            solution.a().matMul(solution.b()),
                            tensors.floats(names.get(expected).asString()),
                            weights);
                }
                double[] values =
                        doubles(tensors.floats(names.get("singular_values").asString()));
                assertThat(solution.capturedEnergy())
                        .as(name)
                        .isCloseTo(energy(values, 0, rank) / energy(values, 0, values.length), within(1e-5));
                float[] all = solution.singularValues().orElseThrow().toFloatArray();
                assertThat(doubles(all)).as(name).containsExactly(values, within(1e-5 * values[0]));
                compareRounded(one, solution, tensors, weights);
                compared++;
            }
        }
        assertThat(compared).isPositive();
    }

    /** Rounded factors depend on the last bits of the SVD in a few entries; their product hardly does. */
    private static void compareRounded(
            JsonNode one, LowRankSolver.Solution solution, Safetensors tensors, float[] weights) throws IOException {
        NumberFormat format = LqerQuantizers.read(one.get("A_quantizer"));
        NDArray a = format.fakeQuantize(solution.a(), Operand.FACTOR);
        NDArray b = format.fakeQuantize(solution.b(), Operand.FACTOR);
        NDManager owner = a.getManager();
        NDArray expected = tensors.load(owner, one.get("tensors").get("A").asString())
                .matMul(tensors.load(owner, one.get("tensors").get("B").asString()));
        NDArray scale = NativeFloats.of(owner, weights, weights.length, 1);
        NDArray difference = a.matMul(b).sub(expected).mul(scale);
        double relative = norm(difference) / norm(expected.mul(scale));
        assertThat(relative).as("%s, rounded", one.get("name").asString()).isLessThan(2e-3);
    }

    private NDArray unscaledError(Safetensors tensors, JsonNode names) throws IOException {
        NDArray weight = tensors.load(manager, names.get("W").asString());
        return weight.sub(tensors.load(manager, names.get("Wq").asString())).transpose(1, 0);
    }

    @Test
    void fullRankRestoresTheError() {
        for (int[] shape : new int[][] {{20, 12}, {12, 20}, {16, 16}}) {
            NDArray error = noise(1, shape[0], shape[1]);
            NDArray scale = lognormal(2, shape[0]);
            for (LowRankSolver solver : List.of(EXACT, RANDOMIZED)) {
                LowRankSolver.Solution solution = solver.solve(error, scale, Math.min(shape[0], shape[1]), 3);

                // rows of a small scale carry the noise of the large ones
                NDArray column = scale.reshape(shape[0], 1);
                NDArray restored = solution.a().matMul(solution.b());
                assertClose(restored.mul(column), error.mul(column).toFloatArray(), 1e-4);
                assertClose(restored, error.toFloatArray(), 1e-2);
                assertThat(solution.capturedEnergy()).isCloseTo(1, within(1e-5));
            }
        }
    }

    @Test
    void whatRemainsIsTheOtherSingularValuesAndFallsWithTheRank() {
        NDArray error = noise(4, 24, 40);
        NDArray scale = lognormal(5, 24);
        NDArray column = scale.reshape(24, 1);
        double[] values = doubles(Torch.svd(error.mul(column)).get(1).toFloatArray());
        double before = Double.POSITIVE_INFINITY;
        for (int rank = 1; rank <= 24; rank++) {
            LowRankSolver.Solution solution = EXACT.solve(error, scale, rank, 0);
            double remaining = norm(error.sub(solution.a().matMul(solution.b())).mul(column));
            double total = energy(values, 0, values.length);

            assertThat(remaining * remaining).isCloseTo(energy(values, rank, values.length), within(1e-5 * total));
            assertThat(remaining).isLessThanOrEqualTo(before + 1e-6);
            assertThat(solution.capturedEnergy()).isCloseTo(1 - remaining * remaining / total, within(1e-5));
            before = remaining;
        }
    }

    @Test
    void aConstantFactorOfTheScaleChangesNothing() {
        NDArray error = noise(6, 24, 18);
        NDArray scale = lognormal(7, 24);
        float[] product = product(EXACT.solve(error, scale, 5, 0));

        assertClose(productArray(EXACT.solve(error, scale.mul(37f), 5, 0)), product, 1e-5);
        float[] unweighted = product(EXACT.solve(error, ones(24), 5, 0));
        assertClose(productArray(EXACT.solve(error, ones(24).mul(0.01f), 5, 0)), unweighted, 1e-5);
    }

    /** Above 512 columns the exact solver goes by the Gram matrix, whose eigenvectors are refined on the matrix. */
    @ParameterizedTest
    @CsvSource({"700, 600", "600, 700"})
    void largeMatricesAreDecomposedAsWellAsByAFullSvd(int in, int out) {
        NDArray error = noise(8, in, out);
        NDArray scale = lognormal(9, in);
        NDArray scaled = error.mul(scale.reshape(in, 1));
        double[] values = doubles(Torch.svd(scaled).get(1).toFloatArray());
        double total = energy(values, 0, values.length);
        for (int rank : new int[] {1, 32, 590}) {
            LowRankSolver.Solution solution = EXACT.solve(error, scale, rank, 0);
            double best = energy(values, 0, rank) / total;
            double remaining =
                    norm(scaled.sub(solution.a().mul(scale.reshape(in, 1)).matMul(solution.b())));

            assertThat(solution.a().getShape().getShape()).containsExactly(in, rank);
            assertThat(solution.b().getShape().getShape()).containsExactly(rank, out);
            assertThat(solution.capturedEnergy()).as("rank %d", rank).isCloseTo(best, within(1e-4 * best));
            assertThat(remaining * remaining / total).as("rank %d", rank).isCloseTo(1 - best, within(1e-4));
        }
    }

    @ParameterizedTest
    @CsvSource({"700, 600, 32", "300, 700, 16", "256, 64, 8"})
    void randomizedCapturesNearlyAllThatExactDoes(int in, int out, int rank) {
        NDArray error = noise(10, in, out);
        NDArray scale = lognormal(11, in);
        double exact = EXACT.solve(error, scale, rank, 0).capturedEnergy();
        double randomized = RANDOMIZED.solve(error, scale, rank, 12).capturedEnergy();

        assertThat(randomized).isBetween(0.995 * exact, exact * (1 + 1e-5));
    }

    @ParameterizedTest
    @CsvSource({"24, 40", "40, 24", "1, 7", "700, 600", "600, 700", "700, 20"})
    void allSingularValuesAreThoseOfAFullDecomposition(int in, int out) {
        NDArray error = noise(23, in, out);
        NDArray scale = lognormal(24, in);
        NDArray scaled = error.mul(scale.reshape(in, 1));
        double[] expected = doubles(Torch.svd(scaled).get(1).toFloatArray());

        double[] byTheSolver = doubles(
                EXACT.solve(error, scale, 1, 0).singularValues().orElseThrow().toFloatArray());
        double[] alone = doubles(LowRankSolver.singularValues(scaled).toFloatArray());

        // what a Gram matrix in float32 keeps of them
        double tolerance = Math.min(in, out) <= 512 ? 1e-5 * expected[0] : 1e-3 * expected[0];
        assertThat(byTheSolver).containsExactly(expected, within(tolerance)).isSortedAccordingTo(descending());
        assertThat(alone).containsExactly(expected, within(tolerance)).isSortedAccordingTo(descending());
        assertThat(energy(alone, 0, alone.length))
                .isCloseTo(energy(expected, 0, expected.length), within(1e-4 * energy(expected, 0, expected.length)));
    }

    private static Comparator<Double> descending() {
        return Comparator.reverseOrder();
    }

    @Test
    void theRandomizedSolverKnowsTheLeadingOnesOnly() {
        assertThat(RANDOMIZED.solve(noise(25, 30, 20), ones(30), 4, 0).singularValues())
                .isEmpty();
    }

    @Test
    void theSameSeedGivesTheSameFactors() {
        NDArray error = noise(13, 40, 30);
        NDArray scale = lognormal(14, 40);
        LowRankSolver.Solution first = RANDOMIZED.solve(error, scale, 4, 15);
        LowRankSolver.Solution second = RANDOMIZED.solve(error, scale, 4, 15);

        assertThat(second.a().toFloatArray()).isEqualTo(first.a().toFloatArray());
        assertThat(second.b().toFloatArray()).isEqualTo(first.b().toFloatArray());
    }

    @ParameterizedTest
    @EnumSource(LowRankSolver.Kind.class)
    void noErrorNeedsNoCorrection(LowRankSolver.Kind kind) {
        LowRankSolver solver = new LowRankSolver(kind, 2, 4, false);
        for (int[] shape : new int[][] {{8, 6}, {6, 8}, {530, 520}}) {
            NDArray error = NativeFloats.of(manager, new float[shape[0] * shape[1]], shape[0], shape[1]);
            LowRankSolver.Solution solution = solver.solve(error, ones(shape[0]), 3, 0);

            assertThat(NativeFloats.allFinite(solution.a())).isTrue();
            assertThat(NativeFloats.allFinite(solution.b())).isTrue();
            assertThat(product(solution)).containsOnly(0f);
            assertThat(LowRankSolver.singularValues(error).toFloatArray())
                    .hasSize(Math.min(shape[0], shape[1]))
                    .containsOnly(0f);
            assertThat(solution.capturedEnergy()).isEqualTo(1);
        }
    }

    @ParameterizedTest
    @EnumSource(LowRankSolver.Kind.class)
    void oneRowOrOneColumnIsRestored(LowRankSolver.Kind kind) {
        LowRankSolver solver = new LowRankSolver(kind, 2, 4, false);
        for (int[] shape : new int[][] {{1, 7}, {7, 1}, {1, 1}}) {
            NDArray error = noise(16, shape[0], shape[1]);
            LowRankSolver.Solution solution = solver.solve(error, lognormal(17, shape[0]), 1, 0);

            assertClose(solution.a().matMul(solution.b()), error.toFloatArray(), 1e-5);
        }
    }

    /** Rank one on its left and on its right: all but the first singular value are noise of float32. */
    @ParameterizedTest
    @EnumSource(LowRankSolver.Kind.class)
    void aMatrixOfLowRankIsRestoredByMore(LowRankSolver.Kind kind) {
        LowRankSolver solver = new LowRankSolver(kind, 2, 4, false);
        NDArray error = noise(18, 600, 1).matMul(noise(19, 1, 550));
        LowRankSolver.Solution solution = solver.solve(error, ones(600), 8, 0);

        assertThat(NativeFloats.allFinite(solution.a())).isTrue();
        assertClose(solution.a().matMul(solution.b()), error.toFloatArray(), 1e-4);
    }

    @Test
    void refusesARankBeyondTheSmallerSide() {
        NDArray error = noise(20, 4, 6);
        for (int rank : new int[] {0, 5}) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> EXACT.solve(error, ones(4), rank, 0))
                    .withMessage("rank " + rank + " of an error of (4, 6)");
        }
    }

    @Test
    void leavesErrorAndScaleToTheirOwner() {
        NDArray error = noise(21, 9, 5);
        NDArray scale = lognormal(22, 9);
        float[] before = error.toFloatArray();
        float[] scaleBefore = scale.toFloatArray();
        LowRankSolver.Solution solution = EXACT.solve(error, scale, 2, 0);

        assertThat(error.toFloatArray()).isEqualTo(before);
        assertThat(scale.toFloatArray()).isEqualTo(scaleBefore);
        assertThat(error.getManager()).isSameAs(manager);
        assertThat(solution.a().getManager()).isSameAs(manager);
    }

    private NDArray noise(long seed, int rows, int columns) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[rows * columns];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return NativeFloats.of(manager, values, rows, columns);
    }

    private NDArray lognormal(long seed, int count) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) Math.exp(1.5 * random.nextGaussian());
        }
        return NativeFloats.of(manager, values, count);
    }

    private NDArray ones(long count) {
        float[] values = new float[(int) count];
        Arrays.fill(values, 1);
        return NativeFloats.of(manager, values, count);
    }

    private static NDArray productArray(LowRankSolver.Solution solution) {
        return solution.a().matMul(solution.b());
    }

    private static float[] product(LowRankSolver.Solution solution) {
        return productArray(solution).toFloatArray();
    }

    private static double norm(NDArray values) {
        return Math.sqrt(NativeFloats.sumOfSquares(values));
    }

    private static double energy(double[] values, int from, int to) {
        return Arrays.stream(values, from, to).map(value -> value * value).sum();
    }

    private static double[] doubles(float[] values) {
        double[] wide = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            wide[i] = values[i];
        }
        return wide;
    }

    private static void assertClose(NDArray actual, float[] expected, double tolerance) {
        float[] values = actual.toFloatArray();
        assertThat(values).hasSameSizeAs(expected);
        double worst = 0;
        for (int i = 0; i < values.length; i++) {
            double difference = Math.abs(values[i] - expected[i]);
            worst = difference <= worst ? worst : difference;
        }
        assertThat(worst).isLessThan(tolerance);
    }

    private static void assertRowsClose(String name, NDArray actual, float[] expected, float[] weights) {
        float[] values = actual.toFloatArray();
        assertThat(values).as(name).hasSameSizeAs(expected);
        int columns = values.length / weights.length;
        for (int i = 0; i < values.length; i++) {
            double weight = weights[i / columns];
            double difference = Math.abs(values[i] - expected[i]);
            if (!(difference < 2e-2 && difference * Math.min(1, weight) < 1e-4)) {
                throw new AssertionError(
                        name + " at " + i + ": " + values[i] + ", expected " + expected[i] + ", scale " + weight);
            }
        }
    }
}
