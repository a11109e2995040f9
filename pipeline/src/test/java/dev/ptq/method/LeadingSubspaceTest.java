package dev.ptq.method;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.tensor.Torch;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The leading vectors of weights' errors beside a full decomposition. */
class LeadingSubspaceTest {
    private static final int SIZE = 1024;
    private static final int RANK = 24;
    private static final LowRankSolver FEW = new LowRankSolver(LowRankSolver.Kind.EXACT, 0, 0, false);
    private static final LowRankSolver ALL = new LowRankSolver(LowRankSolver.Kind.EXACT, 0, 0, true);

    /** The spectra that errors of rounding have, and worse ones. */
    enum Spectrum {
        /** Of independent errors. */
        FLAT,
        /** Of rows with weights between a third and three times as large. */
        WEIGHTED,
        /** Of a few rows a thousand times as large as others. */
        OUTLIERS,
        /** Each singular value nine tenths of the one before. */
        FALLING,
        /** Of rank 5. */
        FEW
    }

    private final NDManager manager = TensorEngine.newManager();

    @AfterEach
    void close() {
        manager.close();
    }

    private NDArray noise(int seed, int rows, int columns) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[rows * columns];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return NativeFloats.of(manager, values, rows, columns);
    }

    private NDArray error(Spectrum spectrum, int rows, int columns) {
        NDArray noise = noise(1, rows, columns);
        return switch (spectrum) {
            case FLAT, WEIGHTED, OUTLIERS -> noise;
            case FALLING -> {
                float[] falling = new float[rows];
                for (int i = 0; i < rows; i++) {
                    falling[i] = (float) Math.pow(0.9, i);
                }
                NDArray turned = Torch.qr(noise(2, rows, rows)).get(0);
                yield turned.mul(NativeFloats.of(manager, falling, 1, rows))
                        .matMul(noise)
                        .mul(1e-3f);
            }
            case FEW -> noise(3, rows, 5).matMul(noise(4, 5, columns));
        };
    }

    private NDArray scale(Spectrum spectrum, int rows) {
        float[] scale = new float[rows];
        SplittableRandom random = new SplittableRandom(7);
        for (int i = 0; i < rows; i++) {
            scale[i] = switch (spectrum) {
                case WEIGHTED -> (float) Math.exp(random.nextDouble(-1.1, 1.1));
                case OUTLIERS -> i % 200 == 7 ? 1000 : 1;
                default -> 1;
            };
        }
        return NativeFloats.of(manager, scale, rows);
    }

    /** The share of the squared error in the metric that factors take away, in double. */
    private static double captured(NDArray error, NDArray scale, LowRankSolver.Solution solution) {
        NDArray column = scale.reshape(scale.size(), 1).toType(DataType.FLOAT64, true);
        NDArray whole = error.toType(DataType.FLOAT64, true);
        NDArray rest = whole.sub(
                solution.a().toType(DataType.FLOAT64, true).matMul(solution.b().toType(DataType.FLOAT64, true)));
        double before = whole.mul(column).square().sum().getDouble();
        return 1 - rest.mul(column).square().sum().getDouble() / before;
    }

    @ParameterizedTest
    @EnumSource(Spectrum.class)
    void factorsTakeAsMuchAsThoseOfAFullDecomposition(Spectrum spectrum) {
        NDArray error = error(spectrum, SIZE + 100, SIZE);
        NDArray scale = scale(spectrum, SIZE + 100);
        LowRankSolver.Solution few = FEW.solve(error, scale, RANK, 5);
        LowRankSolver.Solution all = ALL.solve(error, scale, RANK, 5);
        assertThat(few.singularValues()).isEmpty();
        double best = captured(error, scale, all);
        assertThat(captured(error, scale, few)).isCloseTo(best, within(1e-5 * best));
        assertThat(few.capturedEnergy()).isCloseTo(all.capturedEnergy(), within(1e-5));
    }

    @ParameterizedTest
    @EnumSource(names = {"WEIGHTED", "FALLING"})
    void soDoThoseInAMetricGivenByItsSquare(Spectrum spectrum) {
        compareInSquaredMetrics(spectrum);
    }

    @ParameterizedTest
    @EnumSource(names = {"FLAT", "OUTLIERS", "FEW"})
    @Tag("slow")
    void soDoOthersInAMetricGivenByItsSquare(Spectrum spectrum) {
        compareInSquaredMetrics(spectrum);
    }

    private void compareInSquaredMetrics(Spectrum spectrum) {
        NDArray error = error(spectrum, SIZE, SIZE + 60);
        NDArray scale = scale(spectrum, SIZE);
        NDArray inputs = noise(9, SIZE, SIZE).mul(scale.reshape(1, SIZE));
        NDArray square = inputs.transpose(1, 0).matMul(inputs).mul(1f / SIZE);
        for (NDArray metric : new NDArray[] {square, scale.square()}) {
            LowRankSolver.Solution few = FEW.solveSquared(error, metric, RANK, 5);
            LowRankSolver.Solution all = ALL.solveSquared(error, metric, RANK, 5);
            double total = WeightedError.of(error.toType(DataType.FLOAT64, true), metric)
                    .costs()
                    .sum()
                    .getDouble();
            double best = total - cost(error, metric, all);
            assertThat(total - cost(error, metric, few)).isCloseTo(best, within(1e-5 * best));
            assertThat(few.capturedEnergy()).isCloseTo(all.capturedEnergy(), within(1e-5));
        }
    }

    private static double cost(NDArray error, NDArray metric, LowRankSolver.Solution solution) {
        NDArray rest = error.sub(solution.a().matMul(solution.b()));
        return WeightedError.of(rest.toType(DataType.FLOAT64, false), metric)
                .costs()
                .sum()
                .getDouble();
    }

    /** {@code ||Mv - λv||}, the vectors orthonormal, the values those of a full decomposition. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void residualsAreSmall(boolean inDouble) {
        NDArray error = noise(1, SIZE, SIZE);
        NDArray gram = error.transpose(1, 0).matMul(error);
        NDArray precise = gram.toType(DataType.FLOAT64, true);
        NDList found = (inDouble
                        ? LeadingSubspace.find(manager, SIZE, RANK, 3, times(gram), times(precise))
                        : LeadingSubspace.find(manager, SIZE, RANK, 3, times(gram)))
                .orElseThrow();
        assertThat(found.get(1).getDataType()).isEqualTo(inDouble ? DataType.FLOAT64 : DataType.FLOAT32);
        NDArray vectors = found.get(1).toType(DataType.FLOAT64, false);
        double[] values = found.get(0).toDoubleArray();
        NDArray residual = precise.matMul(vectors).sub(vectors.mul(found.get(0).reshape(1, RANK)));
        double[] norms = residual.square().sum(new int[] {0}).sqrt().toDoubleArray();
        double[] right =
                Torch.eigenvalues(precise).get(new NDIndex("{}:", SIZE - RANK)).toDoubleArray();
        for (int i = 0; i < RANK; i++) {
            assertThat(norms[i]).isLessThan(1e-4 * Math.sqrt(values[i] * values[RANK - 1]));
            assertThat(values[i]).isCloseTo(right[i], within(1e-6 * right[i]));
        }
        NDArray product = vectors.transpose(1, 0).matMul(vectors).sub(manager.eye(RANK, RANK, 0, DataType.FLOAT64));
        assertThat(product.abs().max().getDouble()).isLessThan(1e-5);
    }

    private static UnaryOperator<NDArray> times(NDArray matrix) {
        return columns -> {
            NDArray product = matrix.matMul(columns);
            product.attach(columns.getManager());
            return product;
        };
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 5, 1024, 1500})
    void theWholeIsCountedInPanels(int rows) {
        NDArray error = noise(1, rows, 30);
        NDArray inputs = noise(2, 40, rows);
        NDArray square = inputs.transpose(1, 0).matMul(inputs);
        double right = WeightedError.of(error.toType(DataType.FLOAT64, false), square)
                .costs()
                .sum()
                .getDouble();
        assertThat(WeightedError.energy(error, square)).isCloseTo(right, within(1e-5 * right));
    }

    @Test
    void theSameSeedGivesTheSameBits() {
        NDArray error = noise(1, SIZE, SIZE);
        NDArray scale = scale(Spectrum.WEIGHTED, SIZE);
        assertThat(FEW.solve(error, scale, RANK, 5).a().toFloatArray())
                .isEqualTo(FEW.solve(error, scale, RANK, 5).a().toFloatArray());
    }

    @Test
    void nothingIsFoundInWhatIsNotFinite() {
        NDArray gram = noise(1, 256, 256);
        gram.set(new NDIndex("3, 4"), Float.NaN);
        assertThat(LeadingSubspace.find(manager, 256, 8, 3, times(gram))).isEmpty();
    }
}
