package dev.ptq.method;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.ExpertTokens;
import dev.ptq.calibrate.Statistic;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.family.ModelConfig;
import dev.ptq.format.Bounds;
import dev.ptq.format.Formats;
import dev.ptq.format.InputFact;
import dev.ptq.format.LinearFacts;
import dev.ptq.format.MeanSquares;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.format.StaticFormat;
import dev.ptq.model.HookInput;
import dev.ptq.model.HookPoint;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.ModelFormats;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.SyntheticModel;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The ranges of inputs by each rule. */
class KnownLinearsTest {
    @TempDir
    private Path folder;

    private ModelFormats none;

    @BeforeEach
    void readShape() throws IOException {
        SyntheticModel.llama().write(folder);
        none = ModelFormats.of(QuantizationSettings.none(), ModelConfig.read(folder));
    }

    private static StaticFormat format(String keys) {
        return (StaticFormat)
                Formats.parse("{ format = 'int', bits = 4, dynamic = false, " + keys + " }", "test", Formats.Use.INPUT);
    }

    private static LinearSpec linear(int features) {
        return new LinearSpec(0, "m.down", "down", HookPoint.MLP_MID, 2, features, false);
    }

    /** What is known of an input after these sequences, each of rows of features. */
    private LinearFacts facts(float[][]... sequences) throws IOException {
        int features = sequences[0][0].length;
        try (NDManager manager = TensorEngine.newManager();
                ActivationStatistics.Collector collector = new ActivationStatistics.Collector(
                        WantedStatistics.ofEvery(EnumSet.allOf(Statistic.class)), 1)) {
            for (float[][] sequence : sequences) {
                float[] flat = new float[sequence.length * features];
                for (int i = 0; i < sequence.length; i++) {
                    System.arraycopy(sequence[i], 0, flat, i * features, features);
                }
                collector.observe(0, HookPoint.MLP_MID, NativeFloats.of(manager, flat, 1, sequence.length, features));
            }
            return known(collector.finished()).of(linear(features));
        }
    }

    private KnownLinears known(ActivationStatistics statistics) {
        return new KnownLinears(
                "calibration",
                () -> statistics,
                ExpertTokens.none(),
                List.of(),
                none,
                (manager, other) -> manager.create(0));
    }

    private static Bounds range(String keys, LinearFacts facts) throws IOException {
        List<Bounds> ranges = facts.inputRange(format(keys));
        assertThat(ranges).hasSize(1);
        return ranges.get(0);
    }

    @Test
    void allValuesAreBetweenTheExtremes() throws IOException {
        LinearFacts facts = facts(new float[][] {{-1, 2}, {3, 0}}, new float[][] {{0, -4}});
        assertThat(range("symmetric = false", facts)).isEqualTo(new Bounds(-4, 3));
        assertThat(facts.inputRange(format("granularity = 'channel'")))
                .containsExactly(new Bounds(-1, 3), new Bounds(-4, 2));
    }

    @Test
    void percentilesOfFewValues() throws IOException {
        LinearFacts facts = facts(new float[][] {{-9, -3}, {-2, -1}, {0, 1}, {2, 2}, {6, 7}});
        // nine of ten are not above 6, and nine not below -3
        String percentile = "range = 'percentile', percentile = 90.0, symmetric = ";
        assertThat(range(percentile + "false", facts)).isEqualTo(new Bounds(-3, 6));
        // magnitudes 0 1 1 2 2 2 3 6 7 9
        assertThat(range(percentile + "true", facts)).isEqualTo(new Bounds(-7, 7));
        // the range goes no farther than the values
        LinearFacts positive = facts(new float[][] {{1, 2}, {3, 4}});
        assertThat(range("range = 'percentile', percentile = 75.0, symmetric = true", positive))
                .isEqualTo(new Bounds(1, 3));
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void allHundredthsAreAllValues(boolean symmetric) throws IOException {
        SplittableRandom random = new SplittableRandom(1);
        float[][] tokens = new float[30][4];
        for (float[] token : tokens) {
            Arrays.setAll(tokens, i -> tokens[i]);
            for (int i = 0; i < token.length; i++) {
                token[i] = (float) random.nextGaussian();
            }
        }
        LinearFacts facts = facts(tokens);
        assertThat(range("range = 'percentile', percentile = 100.0, symmetric = " + symmetric, facts))
                .isEqualTo(range("symmetric = " + symmetric, facts));
    }

    @Test
    void averagesAreMoving() throws IOException {
        LinearFacts facts = facts(new float[][] {{-1, 2}, {3, 0}}, new float[][] {{5, -4}});
        Bounds all = range("range = 'moving_average'", facts);
        assertThat(all.low()).isCloseTo(0.9f * -1 + 0.1f * -4, within(1e-6f));
        assertThat(all.high()).isCloseTo(0.9f * 3 + 0.1f * 5, within(1e-6f));
        List<Bounds> each = facts.inputRange(format("granularity = 'channel', range = 'moving_average'"));
        assertThat(each).hasSize(2);
        assertThat(each.get(0).low()).isCloseTo(0.9f * -1 + 0.1f * 5, within(1e-6f));
        assertThat(each.get(1).high()).isCloseTo(0.9f * 2 + 0.1f * -4, within(1e-6f));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "symmetric = true",
                "symmetric = false",
                "grid = 'gptq', symmetric = true",
                "grid = 'compressed_tensors', symmetric = false",
                "grid = 'torchao'"
            })
    void theSearchedRangeIsNoWorseOnItsSample(String keys) throws IOException {
        SplittableRandom random = new SplittableRandom(9);
        for (int trial = 0; trial < 10; trial++) {
            float[][] tokens = new float[12][3];
            List<Float> values = new ArrayList<>();
            for (float[] token : tokens) {
                for (int i = 0; i < token.length; i++) {
                    // no two values in one bin
                    token[i] = (float) ((random.nextBoolean() ? 1 : -1) * Math.pow(1.1, values.size()));
                    values.add(token[i]);
                }
            }
            LinearFacts facts = facts(tokens);
            double searched = error(keys + ", range = 'mse'", facts, values);
            assertThat(searched).isLessThanOrEqualTo(error(keys, facts, values));
        }
    }

    private static double error(String keys, LinearFacts facts, List<Float> values) throws IOException {
        NumberFormat format = format(keys).knowing(facts);
        double sum = 0;
        for (float value : values) {
            float[] rounded = {value};
            format.round(FloatBuffer.wrap(rounded), new Shape(1, 1), Operand.ACTIVATION);
            sum += Math.pow(rounded[0] - value, 2);
        }
        return sum;
    }

    @ParameterizedTest
    @ValueSource(strings = {"range = 'minmax'", "range = 'percentile'", "range = 'moving_average'", "range = 'mse'"})
    void oneTokenAndConstantInputs(String keys) throws IOException {
        assertThat(range(keys, facts(new float[][] {{2.5f}}))).isEqualTo(new Bounds(2.5f, 2.5f));
        assertThat(range(keys, facts(new float[][] {{0, 0}, {0, 0}}))).isEqualTo(new Bounds(0, 0));
        assertThat(range(keys, facts(new float[][] {{-3, -3}, {-3, -3}}))).isEqualTo(new Bounds(-3, -3));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "range = 'minmax'",
                "range = 'percentile'",
                "range = 'moving_average'",
                "range = 'mse'",
                "granularity = 'channel'",
                "granularity = 'channel', range = 'moving_average'"
            })
    void inputsThatAreNotFiniteAreRefused(String keys) throws IOException {
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            LinearFacts facts = facts(new float[][] {{1, bad}, {2, 3}}, new float[][] {{1, 1}});
            assertThatThrownBy(() -> facts.inputRange(format(keys)))
                    .as("%s", bad)
                    .isInstanceOf(IOException.class)
                    .hasMessageStartingWith("calibration: the range of the input of m.down is from ")
                    .hasMessageEndingWith("expected finite numbers");
        }
        assertThatThrownBy(() -> facts(new float[][] {{1, Float.NaN}}).meanSquares())
                .isInstanceOf(IOException.class)
                .hasMessageContaining("input of m.down: the mean square of feature 1 is NaN");
    }

    @ParameterizedTest
    @ValueSource(strings = {"range = 'minmax'", "range = 'percentile'", "range = 'moving_average'", "range = 'mse'"})
    void anInputWithoutTokensHasNoRange(String keys) {
        try (NDManager manager = TensorEngine.newManager();
                ActivationStatistics.Collector collector = new ActivationStatistics.Collector(
                        WantedStatistics.ofEvery(EnumSet.allOf(Statistic.class)), 1)) {
            collector.observe(0, HookPoint.MLP_MID, new HookInput(manager.create(new Shape(0, 3)), List.of(0), 0));
            LinearFacts facts = known(collector.finished()).of(linear(3));
            assertThatThrownBy(() -> facts.inputRange(format(keys)))
                    .isInstanceOf(IOException.class)
                    .hasMessage("calibration: no token of calibration reaches the input of m.down, so it has no range;"
                            + " take more samples, or for an expert expert_policy = \"route_all\"");
        }
    }

    /** What enters a cache by these sequences. */
    private KnownLinears ofCache(NDArray... sequences) {
        List<Statistic> kinds = List.of(
                Statistic.MIN,
                Statistic.MAX,
                Statistic.MOVING_MIN,
                Statistic.MOVING_MAX,
                Statistic.MOVING_MIN_OF_ALL,
                Statistic.MOVING_MAX_OF_ALL,
                Statistic.HISTOGRAM);
        WantedStatistics wanted = WantedStatistics.ofEvery(EnumSet.noneOf(Statistic.class))
                .withCache(List.of(new WantedStatistics.OfCache(HookPoint.ROTATED_KEY, kinds)));
        try (ActivationStatistics.Collector collector = new ActivationStatistics.Collector(wanted, 1)) {
            for (NDArray sequence : sequences) {
                collector.observe(0, HookPoint.ROTATED_KEY, sequence);
                // not asked for
                collector.observe(0, HookPoint.KEY, sequence);
            }
            return known(collector.finished());
        }
    }

    @Test
    void cachesHaveRangesByTheSameRules() throws IOException {
        try (NDManager manager = TensorEngine.newManager()) {
            KnownLinears known = ofCache(
                    NativeFloats.of(manager, new float[] {-1, 2, 3, 0}, 1, 2, 2),
                    NativeFloats.of(manager, new float[] {5, -4}, 1, 1, 2));
            assertThat(known.range(0, HookPoint.ROTATED_KEY, format("granularity = 'channel'")))
                    .containsExactly(new Bounds(-1, 5), new Bounds(-4, 2));
            assertThat(known.range(0, HookPoint.ROTATED_KEY, format("range = 'percentile', percentile = 50.0")))
                    .containsExactly(new Bounds(0, 2));
            List<Bounds> moving =
                    known.range(0, HookPoint.ROTATED_KEY, format("granularity = 'channel', range = 'moving_average'"));
            assertThat(moving.get(1).low()).isCloseTo(0.1f * -4, within(1e-6f));
            assertThatThrownBy(() -> known.range(0, HookPoint.KEY, format("range = 'minmax'")))
                    .hasMessage("blocks.0.key.min was not collected");
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "range = 'minmax'",
                "range = 'percentile'",
                "range = 'mse'",
                "granularity = 'channel'",
                "granularity = 'channel', range = 'moving_average'"
            })
    void cachesWithoutARangeAreNamed(String keys) {
        try (NDManager manager = TensorEngine.newManager()) {
            for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
                KnownLinears known = ofCache(
                        NativeFloats.of(manager, new float[] {1, bad, 2, 3}, 1, 2, 2),
                        NativeFloats.of(manager, new float[] {1, 1}, 1, 1, 2));
                assertThatThrownBy(() -> known.range(0, HookPoint.ROTATED_KEY, format(keys)))
                        .isInstanceOf(IOException.class)
                        .hasMessageStartingWith("calibration: the range of the rotated_key cache of block 0 is from ")
                        .hasMessageEndingWith("expected finite numbers");
            }
            KnownLinears empty = ofCache(NativeFloats.of(manager, new float[0], 1, 0, 2));
            assertThatThrownBy(() -> empty.range(0, HookPoint.ROTATED_KEY, format(keys)))
                    .isInstanceOf(IOException.class)
                    .hasMessageStartingWith(
                            "calibration: no token of calibration reaches the rotated_key cache of block 0, so it has no"
                                    + " range");
        }
    }

    @Test
    void meanSquaresAreThoseOfTheInput() throws IOException {
        assertThat(facts(new float[][] {{1, -2}, {3, 0}}).meanSquares()).isEqualTo(new MeanSquares(5, 2));
    }

    @Test
    void onlyWhatIsAskedForIsTaken() {
        assertThat(KnownLinears.statistics(EnumSet.noneOf(InputFact.class))).isEmpty();
        assertThat(KnownLinears.statistics(format("range = 'minmax'").needs()))
                .containsExactlyInAnyOrder(Statistic.MIN, Statistic.MAX);
        assertThat(KnownLinears.statistics(format("range = 'moving_average'").needs()))
                .containsExactlyInAnyOrder(Statistic.MOVING_MIN_OF_ALL, Statistic.MOVING_MAX_OF_ALL);
        assertThat(KnownLinears.statistics(format("range = 'percentile'").needs()))
                .isEqualTo(KnownLinears.statistics(format("range = 'mse'").needs()))
                .containsExactlyInAnyOrder(Statistic.MIN, Statistic.MAX, Statistic.HISTOGRAM);
        assertThat(KnownLinears.statistics(EnumSet.of(InputFact.MEAN_SQUARES)))
                .containsExactly(Statistic.SECOND_MOMENT);
    }
}
