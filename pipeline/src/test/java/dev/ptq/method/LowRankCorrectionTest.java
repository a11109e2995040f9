package dev.ptq.method;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.Statistic;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.format.Operand;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.LowRank;
import dev.ptq.tensor.NativeFloats;
import java.io.IOException;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The four metrics on a block's own activations. */
class LowRankCorrectionTest {
    private static final String FORMATS = "weight = { format = \"mxint\", bits = 3 }";

    @TempDir
    private Path folder;

    private CalibratedBlock calibrated;
    private ActivationStatistics statistics;

    @BeforeEach
    void open() throws IOException {
        calibrated = new CalibratedBlock(folder);
        statistics = calibrated.statistics;
    }

    @AfterEach
    void close() throws IOException {
        calibrated.close();
    }

    private BlockContext corrected(String name, String keys) throws IOException {
        Method method = CalibratedBlock.method("method = '" + name + "'\nfactor = { format = 'none' }\n" + keys);
        BlockContext context = calibrated.context(FORMATS, statistics);
        method.apply(context);
        assertThat(context.layerReports())
                .allSatisfy(report -> assertThat(report.method()).isEqualTo(name));
        return context;
    }

    private Linear linear(LinearSpec spec) {
        return calibrated.linear(spec);
    }

    /** {@code ||X E||²} of what is left of a weight's error, or of all of it. */
    private double outputError(BlockContext context, LinearSpec spec, boolean corrected) {
        Linear linear = linear(spec);
        NDArray error = linear.weight().sub(context.quantizedWeight(linear)).transpose(1, 0);
        if (corrected) {
            LowRank path = context.finish().lowRank(spec.path()).orElseThrow();
            error = error.sub(path.a().matMul(path.b()));
        }
        return found(calibrated.inputs, spec.hookPoint())
                .matMul(error.toType(DataType.FLOAT64, false))
                .square()
                .sum()
                .getDouble();
    }

    /** Of every linear. */
    private Map<LinearSpec, Double> outputErrors(String name, int rank) throws IOException {
        BlockContext context = corrected(name, "rank = " + rank);
        Map<LinearSpec, Double> errors = new HashMap<>();
        context.layerReports()
                .forEach(report -> errors.put(report.linear(), outputError(context, report.linear(), true)));
        assertThat(errors).hasSize(7);
        return errors;
    }

    private static <K> NDArray found(Map<K, NDArray> arrays, K key) {
        return Objects.requireNonNull(arrays.get(key), () -> "no " + key);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 4, 16})
    void qeraExactLeavesTheSmallestErrorOfEveryOutput(int rank) throws IOException {
        Map<LinearSpec, Double> exact = outputErrors("qera_exact", rank);
        for (String other : List.of("lqer", "l2qer", "qera_approx")) {
            outputErrors(other, rank)
                    .forEach((linear, error) -> assertThat(error)
                            .as("%s of %s", linear.module(), other)
                            .isGreaterThan(exact.get(linear)));
        }
        outputErrors("qera_exact", rank + 1)
                .forEach(
                        (linear, error) -> assertThat(error).as(linear.module()).isLessThan(exact.get(linear)));
    }

    @Test
    void theEnergyInTheReportIsThatOfTheOutput() throws IOException {
        BlockContext context = corrected("qera_exact", "rank = 6");
        for (BlockContext.LayerReport report : context.layerReports()) {
            double before = outputError(context, report.linear(), false);
            double after = outputError(context, report.linear(), true);
            assertThat(report.capturedEnergy())
                    .as(report.linear().module())
                    .isCloseTo(1 - after / before, within(1e-4));
            double sum = NativeFloats.sumOfSquares(
                    found(context.singularValues(), report.linear().module() + ".scaled_error"));
            double tokens =
                    found(calibrated.inputs, report.linear().hookPoint()).size(0);
            assertThat(sum).isCloseTo(before / tokens, within(1e-4 * sum));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"lqer", "l2qer", "qera_approx", "qera_exact"})
    void theFullRankRestoresTheWeight(String name) throws IOException {
        // key and value projections are [32, 64]
        BlockContext context = corrected(name, "rank = 32\npattern = '.*(k|v)_proj.*'");
        assertThat(context.layerReports()).hasSize(2);
        for (BlockContext.LayerReport report : context.layerReports()) {
            assertThat(report.errorBefore()).isGreaterThan(0.05);
            assertThat(report.errorAfter()).isLessThan(1e-4);
            assertThat(report.capturedEnergy()).isCloseTo(1, within(1e-6));
        }
    }

    /** The randomized solver leaves singular values out unless they are asked for. */
    @ParameterizedTest
    @ValueSource(strings = {"lqer", "l2qer", "qera_approx", "qera_exact"})
    void allSingularValuesAreThereIfAskedFor(String name) throws IOException {
        BlockContext exact = corrected(name, "rank = 4");
        BlockContext without = corrected(name, "rank = 4\nsolver = \"randomized\"");
        BlockContext asked = corrected(name, "rank = 4\nsolver = \"randomized\"\nsingular_values = true");

        assertThat(without.singularValues()).isEmpty();
        assertThat(asked.singularValues())
                .hasSize(14)
                .containsOnlyKeys(exact.singularValues().keySet());
        exact.singularValues().forEach((key, values) -> {
            float[] found = found(asked.singularValues(), key).toFloatArray();
            float[] expected = values.toFloatArray();
            assertThat(found).as(key).hasSameSizeAs(expected);
            for (int i = 0; i < found.length; i++) {
                assertThat(found[i]).as(key).isCloseTo(expected[i], within(1e-4f * expected[0]));
            }
        });
    }

    @Test
    void theErrorIsThatOfTheRoundedWeight() throws IOException {
        BlockContext context = corrected("qera_exact", "rank = 2");
        for (BlockContext.LayerReport report : context.layerReports()) {
            NDArray weight = linear(report.linear()).weight();
            NDArray rounded = context.formats().of(report.linear()).weight().fakeQuantize(weight, Operand.WEIGHT);
            double relative =
                    Math.sqrt(NativeFloats.sumOfSquares(weight.sub(rounded)) / NativeFloats.sumOfSquares(weight));
            assertThat(report.errorBefore()).isCloseTo(relative, within(1e-9));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"l2qer", "qera_approx", "qera_exact"})
    void statisticsThatAreNoNumbersAreNamed(String name) throws IOException {
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
            try (ActivationStatistics.Collector collector =
                    new ActivationStatistics.Collector(WantedStatistics.ofEvery(EnumSet.allOf(Statistic.class)), 2)) {
                calibrated.inputs.forEach((hookPoint, input) -> {
                    float[] values = input.toType(DataType.FLOAT32, false).toFloatArray();
                    values[5] = bad;
                    collector.observe(
                            0,
                            hookPoint,
                            NativeFloats.of(calibrated.block.manager(), values, 1, input.size(0), input.size(1)));
                });
                statistics = collector.finished();
            }
            assertThatThrownBy(() -> corrected(name, "rank = 2"))
                    .isInstanceOf(IOException.class)
                    .hasMessage("model.layers.0.self_attn.q_proj: the statistics of its input for " + name
                            + " have a value that is NaN or infinite; calibrate with another text");
        }
    }
}
