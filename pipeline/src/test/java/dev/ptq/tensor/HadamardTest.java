package dev.ptq.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.util.DoubleSummaryStatistics;
import java.util.List;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HadamardTest {
    @ParameterizedTest
    @ValueSource(
            ints = {1, 2, 12, 20, 28, 36, 44, 52, 60, 64, 76, 100, 104, 108, 140, 148, 172 * 64, 312, 344, 576, 1536})
    void entriesHaveOneMagnitudeAndRowsAreOrthogonal(int order) {
        Hadamard hadamard = Hadamard.of(order).orElseThrow();
        int rows = Math.min(order, 350);
        try (NDManager manager = TensorEngine.newManager()) {
            NDArray some = hadamard.apply(manager.eye(rows, order, 0, DataType.FLOAT64));
            DoubleSummaryStatistics magnitudes =
                    DoubleStream.of(some.toDoubleArray()).map(Math::abs).summaryStatistics();
            assertThat(magnitudes.getMin()).isCloseTo(1 / Math.sqrt(order), within(1e-15));
            assertThat(magnitudes.getMax()).isCloseTo(1 / Math.sqrt(order), within(1e-15));
            NDArray products = some.matMul(some.transpose(1, 0));
            NDArray identity = manager.eye(rows, rows, 0, DataType.FLOAT64);
            assertThat(products.sub(identity).abs().max().getDouble()).isLessThanOrEqualTo(1e-12);
        }
    }

    @Test
    void reachesTheOrdersOfPaleyAndTheirDoubles() {
        List<Integer> beyond = IntStream.rangeClosed(1, 92)
                .filter(i -> Hadamard.of(4 * i).isEmpty())
                .mapToObj(i -> 4 * i)
                .toList();

        assertThat(beyond).containsExactly(92, 116, 156, 172, 184, 188, 232, 236, 260, 268, 292, 324, 356);
        assertThat(IntStream.of(0, -4, 3, 6, 10, 18, 1000003)
                        .filter(i -> Hadamard.of(i).isPresent()))
                .isEmpty();
    }

    @ParameterizedTest
    @ValueSource(ints = {172, 93, 1, 7, 348, 2 * 92})
    void findsTheLargestOrderInAWidth(int width) {
        int order = Hadamard.largestIn(width);

        assertThat(width % order).isZero();
        assertThat(IntStream.rangeClosed(order + 1, width)
                        .filter(larger ->
                                width % larger == 0 && Hadamard.of(larger).isPresent()))
                .isEmpty();
    }

    @Test
    void turnsEachPartOfAWidthByItself() {
        Hadamard hadamard = Hadamard.of(2).orElseThrow();
        try (NDManager manager = TensorEngine.newManager()) {
            NDArray x = NativeFloats.of(manager, new float[] {1, 2, 3, 5, 0, 4}, 1, 1, 6);

            NDArray turned = hadamard.apply(x);

            float root = (float) Math.sqrt(2);
            assertThat(turned.getShape()).isEqualTo(new Shape(1, 1, 6));
            assertThat(turned.toFloatArray())
                    .containsExactly(
                            new float[] {3 / root, -1 / root, 8 / root, -2 / root, 4 / root, -4 / root}, within(1e-6f));
            assertThatThrownBy(() -> hadamard.apply(NativeFloats.of(manager, new float[3], 1, 3)))
                    .hasMessageContaining("order 2 does not divide the width of (1, 3)");
        }
    }

    @Test
    void isDifferentiable() {
        Hadamard hadamard = Hadamard.of(24).orElseThrow();
        try (NDManager manager = TensorEngine.newManager()) {
            NDArray x = manager.ones(new Shape(2, 48));
            x.setRequiresGradient(true);
            NDArray weights = manager.arange(96f).reshape(2, 48);
            try (ai.djl.training.GradientCollector collector =
                    manager.getEngine().newGradientCollector()) {
                collector.backward(hadamard.apply(x).mul(weights).sum());
            }
            // the gradient of <xH, w> is w times the transpose of H
            NDArray identity = hadamard.apply(manager.eye(24));
            NDArray expected =
                    weights.reshape(4, 24).matMul(identity.transpose(1, 0)).reshape(2, 48);
            assertThat(x.getGradient().toFloatArray()).containsExactly(expected.toFloatArray(), within(1e-4f));
        }
    }
}
