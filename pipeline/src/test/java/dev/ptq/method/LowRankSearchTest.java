package dev.ptq.method;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.format.NoFormat;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Small and odd weights, rounded to whole numbers. */
class LowRankSearchTest {
    private final NDManager manager = TensorEngine.newManager();
    private final SplittableRandom random = new SplittableRandom(11);

    @AfterEach
    void close() {
        manager.close();
    }

    private NDArray values(long rows, long columns) {
        float[] values = new float[Math.toIntExact(rows * columns)];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (3 * random.nextGaussian());
        }
        return NativeFloats.of(manager, values, rows, columns);
    }

    private static LowRankCorrection correction(LowRankCorrection.Of of, LowRankSolver.Kind kind) {
        return new LowRankCorrection(
                of,
                Inputs.FULL_PRECISION,
                LowRankCorrection.Metric.HESSIAN,
                1,
                new NoFormat(),
                Optional.empty(),
                Optional.empty(),
                ".*",
                new LowRankSolver(kind, 8, 16, false),
                false);
    }

    private LowRankSearch search(
            LowRankCorrection.Of of, LowRankSolver.Kind kind, ErrorMetric metric, NDArray... weights) {
        List<NDArray> errors = List.of(weights).stream()
                .map(weight -> weight.sub(weight.round()))
                .toList();
        return new LowRankSearch(
                manager,
                correction(of, kind),
                false,
                metric,
                (i, rest) -> rest.round(),
                5,
                List.of(weights),
                List.of(weights),
                errors,
                true);
    }

    private ErrorMetric hessian(int features) {
        NDArray tokens = values(40, features);
        return ErrorMetric.squared(tokens.transpose(1, 0).matMul(tokens).div(40));
    }

    /** The cost by plain loops, in double. */
    private static double cost(NDArray hessian, NDArray error) {
        float[] square = hessian.toFloatArray();
        float[] values = error.toFloatArray();
        int in = Math.toIntExact(error.size(1));
        double cost = 0;
        for (int row = 0; row < error.size(0); row++) {
            for (int i = 0; i < in; i++) {
                for (int j = 0; j < in; j++) {
                    cost += (double) values[row * in + i] * square[i * in + j] * values[row * in + j];
                }
            }
        }
        return cost;
    }

    @ParameterizedTest
    @CsvSource({"1, 1", "1, 12", "12, 1", "7, 5", "5, 7"})
    void costsAreThoseOfPlainLoops(int out, int in) {
        NDArray tokens = values(40, in);
        NDArray square = tokens.transpose(1, 0).matMul(tokens).div(40);
        NDArray weight = values(out, in);
        for (LowRankCorrection.Of of : LowRankCorrection.Of.values()) {
            for (LowRankSolver.Kind kind : LowRankSolver.Kind.values()) {
                LowRankSearch.Found found =
                        search(of, kind, ErrorMetric.squared(square), weight).run(1, 3);
                LowRankSearch.Split best = found.best();
                NDArray path = best.path().product(0);
                NDArray rounded = best.before().isPresent()
                        ? weight.sub(best.before().get().product(0)).round()
                        : weight.round();
                assertThat(best.cost())
                        .isCloseTo(cost(square, weight.sub(rounded).sub(path)), within(1e-4 * cost(square, weight)))
                        .isLessThanOrEqualTo(found.first().cost());
                if (Math.min(in, out) == 1) {
                    // the whole error, or the whole weight
                    assertThat(best.cost()).isCloseTo(0, within(1e-8 * cost(square, weight)));
                }
            }
        }
    }

    /** A second linear's weights count in the one {@code A}, and neither knows of the other's rounding. */
    @Test
    void linearsWithOneInputShareAFactor() {
        ErrorMetric metric = hessian(9);
        NDArray first = values(6, 9);
        NDArray second = values(4, 9);
        for (LowRankCorrection.Of of : LowRankCorrection.Of.values()) {
            LowRankSearch.Split both = search(of, LowRankSolver.Kind.EXACT, metric, first, second)
                    .run(3, 2)
                    .best();
            LowRankSearch.Split joined = search(of, LowRankSolver.Kind.EXACT, metric, first.concat(second))
                    .run(3, 2)
                    .best();
            assertThat(both.costs()).hasSize(2);
            assertThat(both.cost()).isCloseTo(joined.cost(), within(1e-5 * joined.cost()));
            assertThat(both.path().b(1).getShape().getShape()).containsExactly(3, 4);
            assertThat(both.ofWeight()).isEqualTo(joined.ofWeight());
        }
    }

    @ParameterizedTest
    @EnumSource(LowRankCorrection.Of.class)
    void aWeightOfZerosHasAPathOfZeros(LowRankCorrection.Of of) {
        for (LowRankSolver.Kind kind : LowRankSolver.Kind.values()) {
            NDArray zeros = manager.zeros(values(6, 8).getShape());
            LowRankSearch.Split found =
                    search(of, kind, hessian(8), zeros).run(2, 2).best();
            assertThat(found.path().product(0).toFloatArray()).containsOnly(0f);
            assertThat(found.cost()).isZero();
            assertThat(found.step()).isZero();
        }
    }

    /** As with a plain correction: a model with such weights is not even loaded. */
    @Test
    void weightsThatAreNoNumbersAreNoWeights() {
        float[] values = new float[48];
        values[19] = Float.NaN;
        NDArray weight = NativeFloats.of(manager, values, 6, 8);
        assertThatThrownBy(() -> search(LowRankCorrection.Of.BOTH, LowRankSolver.Kind.EXACT, hessian(8), weight)
                        .run(2, 0))
                .hasMessageContaining("linalg");
    }

    /** Inputs of which some never differ from zero: their weights cost nothing, and factors stay finite. */
    @Test
    void deadChannelsCostNothing() {
        NDArray tokens = values(40, 8);
        NDArray mask = NativeFloats.of(manager, new float[] {1, 1, 0, 1, 0, 0, 1, 1}, 1, 8);
        NDArray alive = tokens.mul(mask);
        ErrorMetric metric =
                ErrorMetric.squared(alive.transpose(1, 0).matMul(alive).div(40));
        LowRankSearch.Split found = search(LowRankCorrection.Of.BOTH, LowRankSolver.Kind.EXACT, metric, values(6, 8))
                .run(5, 2)
                .best();
        assertThat(found.cost()).isCloseTo(0, within(1e-6));
        assertThat(NativeFloats.allFinite(found.path().product(0))).isTrue();
    }
}
