package dev.ptq.calibrate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.calibrate.ActivationStatistics.Collector;
import dev.ptq.model.HookInput;
import dev.ptq.model.HookPoint;
import dev.ptq.model.LinearSpec;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.util.Arrays;
import java.util.DoubleSummaryStatistics;
import java.util.EnumSet;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Each statistic against its definition in plain loops. */
class StatisticTest {
    private final NDManager manager = TensorEngine.newManager();

    @AfterEach
    void close() {
        manager.close();
    }

    private static LinearSpec linear(int features) {
        return new LinearSpec(0, "m", "m", HookPoint.MLP_MID, 1, features, false);
    }

    /** {@code [sequences][tokens][features]}, features of different means and sizes. */
    private static float[][][] activations(int sequences, int tokens, int features) {
        SplittableRandom random = new SplittableRandom(sequences * 31L + tokens * 7L + features);
        float[][][] activations = new float[sequences][tokens][features];
        for (float[][] sequence : activations) {
            for (float[] token : sequence) {
                for (int i = 0; i < features; i++) {
                    token[i] = (float) ((1 + i % 5) * (random.nextGaussian() + i % 3 - 1));
                }
            }
        }
        return activations;
    }

    /** Observed so many sequences at a time; the last may be fewer. Batches have two. */
    private ActivationStatistics observed(float[][][] activations, int atOnce) {
        int tokens = activations[0].length;
        int features = activations[0][0].length;
        try (Collector collector = new Collector(WantedStatistics.ofEvery(EnumSet.allOf(Statistic.class)), 2)) {
            for (int from = 0; from < activations.length; from += atOnce) {
                int to = Math.min(activations.length, from + atOnce);
                float[] values = new float[(to - from) * tokens * features];
                int at = 0;
                for (float[][] sequence : Arrays.copyOfRange(activations, from, to)) {
                    for (float[] token : sequence) {
                        System.arraycopy(token, 0, values, at, features);
                        at += features;
                    }
                }
                NDArray input = NativeFloats.of(manager, values, to - from, tokens, features);
                collector.observe(0, HookPoint.MLP_MID, input);
                assertThat(input.toFloatArray()).as("the input").isEqualTo(values);
            }
            return collector.finished();
        }
    }

    private float[] result(ActivationStatistics statistics, Statistic statistic, int features) throws IOException {
        if (statistic == Statistic.HISTOGRAM) {
            return statistics.valueCounts(0, linear(features).hookPoint()).values();
        }
        return statistic.isMatrix()
                ? statistics.matrix(manager, linear(features), statistic).toFloatArray()
                : statistics.of(linear(features), statistic);
    }

    /** The last two have features in several panels of the matrix; one hook point has a single token. */
    @ParameterizedTest
    @CsvSource({"5, 7, 3", "1, 1, 4", "3, 1, 1", "2, 9, 700", "2, 3, 1100"})
    void equalsItsDefinition(int sequences, int tokens, int features) throws IOException {
        float[][][] activations = activations(sequences, tokens, features);
        ActivationStatistics statistics = observed(activations, 2);
        double[] absMax = new double[features];
        double[] least = new double[features];
        double[] most = new double[features];
        double[] squares = new double[features];
        double[] magnitudes = new double[features];
        double[] middle = new double[features];
        double[] batchMeans = new double[features];
        double[][] products = new double[features][features];
        for (int s = 0; s < sequences; s++) {
            for (int i = 0; i < features; i++) {
                double lowest = Double.POSITIVE_INFINITY;
                double highest = Double.NEGATIVE_INFINITY;
                for (float[] token : activations[s]) {
                    absMax[i] = Math.max(absMax[i], Math.abs(token[i]));
                    magnitudes[i] += Math.abs(token[i]) / ((double) sequences * tokens);
                    squares[i] += (double) token[i] * token[i] / (sequences * tokens);
                    lowest = Math.min(lowest, token[i]);
                    highest = Math.max(highest, token[i]);
                    for (int j = 0; j < features; j++) {
                        products[i][j] += (double) token[i] * token[j] / (sequences * tokens);
                    }
                }
                least[i] = s == 0 ? lowest : Math.min(least[i], lowest);
                most[i] = s == 0 ? highest : Math.max(most[i], highest);
                double own = (lowest + highest) / 2;
                middle[i] = s == 0 ? own : 0.99 * middle[i] + 0.01 * own;
            }
        }
        for (int s = 0; s < sequences; s += 2) {
            float[][][] batch = Arrays.copyOfRange(activations, s, Math.min(sequences, s + 2));
            for (int i = 0; i < features; i++) {
                int feature = i;
                double mean = Arrays.stream(batch)
                        .flatMap(Arrays::stream)
                        .mapToDouble(token -> Math.abs(token[feature]))
                        .average()
                        .orElseThrow();
                batchMeans[i] = Math.max(batchMeans[i], mean);
            }
        }
        assertClose(result(statistics, Statistic.MAX_BATCH_MEAN_ABS, features), batchMeans, 1e-6);
        assertClose(result(statistics, Statistic.MEAN_ABS, features), magnitudes, 1e-6);
        assertClose(result(statistics, Statistic.ABS_MAX, features), absMax, 0);
        assertClose(result(statistics, Statistic.MIN, features), least, 0);
        assertClose(result(statistics, Statistic.MAX, features), most, 0);
        assertClose(result(statistics, Statistic.SECOND_MOMENT, features), squares, 1e-6);
        assertClose(result(statistics, Statistic.MID_RANGE, features), middle, 1e-6);
        float[] matrix = result(statistics, Statistic.HESSIAN, features);
        for (int i = 0; i < features; i++) {
            assertClose(Arrays.copyOfRange(matrix, i * features, (i + 1) * features), products[i], 1e-5);
            for (int j = 0; j < i; j++) {
                assertThat(matrix[i * features + j]).isEqualTo(matrix[j * features + i]);
            }
        }
    }

    /**
     * A router sends an expert a few tokens of each sequence, or none. A batch is as many sequences as ever, and one
     * without tokens has no mean; the rest is as if the tokens had come alone.
     */
    @Test
    void sequencesMayHaveFewTokensOrNone() throws IOException {
        int[] lengths = {0, 3, 1, 0, 0, 0, 5, 2};
        float[][] tokens = activations(1, 11, 3)[0];
        HookPoint expert = new HookPoint(HookPoint.Place.MLP_IN, "4");
        ActivationStatistics found;
        try (Collector collector = new Collector(WantedStatistics.ofEvery(EnumSet.allOf(Statistic.class)), 2)) {
            int from = 0;
            for (int at = 0; at < lengths.length; at += 4) {
                List<Integer> some = Arrays.stream(lengths, at, at + 4).boxed().toList();
                int count = some.stream().mapToInt(Integer::intValue).sum();
                NDArray values = NativeFloats.of(manager, flat(tokens, from, from + count), 1, count, 3);
                collector.observe(0, expert, new HookInput(values, some, count));
                from += count;
            }
            found = collector.finished();
        }
        LinearSpec linear = new LinearSpec(0, "w", "w", expert, 1, 3, false);
        ActivationStatistics alone = observed(new float[][][] {tokens}, 1);
        for (Statistic statistic : EnumSet.of(Statistic.MIN, Statistic.MAX, Statistic.ABS_MAX)) {
            assertThat(found.of(linear, statistic)).isEqualTo(alone.of(linear(3), statistic));
        }
        assertThat(found.of(linear, Statistic.MEAN_ABS)).isEqualTo(alone.of(linear(3), Statistic.MEAN_ABS));
        assertThat(found.of(linear, Statistic.SECOND_MOMENT)).isEqualTo(alone.of(linear(3), Statistic.SECOND_MOMENT));
        float[] products = found.matrix(manager, linear, Statistic.HESSIAN).toFloatArray();
        float[] expectedProducts =
                alone.matrix(manager, linear(3), Statistic.HESSIAN).toFloatArray();
        for (int i = 0; i < products.length; i++) {
            assertThat(products[i]).isCloseTo(expectedProducts[i], within(1e-5f));
        }
        assertThat(found.of(linear, Statistic.TOKENS)).containsExactly(11);
        double[] batchMeans = new double[3];
        double[] middle = new double[3];
        for (int i = 0; i < 3; i++) {
            batchMeans[i] =
                    Math.max(Math.max(meanAbs(tokens, 0, 3, i), meanAbs(tokens, 3, 4, i)), meanAbs(tokens, 4, 11, i));
            middle[i] = middle(tokens, 0, 3, i);
            middle[i] = 0.99 * middle[i] + 0.01 * middle(tokens, 3, 4, i);
            middle[i] = 0.99 * middle[i] + 0.01 * middle(tokens, 4, 9, i);
            middle[i] = 0.99 * middle[i] + 0.01 * middle(tokens, 9, 11, i);
        }
        assertClose(found.of(linear, Statistic.MAX_BATCH_MEAN_ABS), batchMeans, 1e-6);
        assertClose(found.of(linear, Statistic.MID_RANGE), middle, 1e-6);
    }

    /** An expert that no token comes to has a count, and nothing that a method would go by. */
    @Test
    void noTokensAtAll() throws IOException {
        HookPoint expert = new HookPoint(HookPoint.Place.MLP_IN, "0");
        try (Collector collector = new Collector(WantedStatistics.ofEvery(EnumSet.allOf(Statistic.class)), 2)) {
            collector.observe(0, expert, new HookInput(manager.create(new Shape(0, 3)), List.of(0, 0, 0), 0));
            ActivationStatistics found = collector.finished();
            LinearSpec linear = new LinearSpec(0, "w", "w", expert, 1, 3, false);
            assertThat(found.of(linear, Statistic.TOKENS)).containsExactly(0);
            assertThat(found.of(linear, Statistic.MIN)).containsOnly(Float.POSITIVE_INFINITY);
            assertThat(found.matrix(manager, linear, Statistic.HESSIAN).toFloatArray())
                    .hasSize(9);
        }
    }

    private static float[] flat(float[][] tokens, int from, int to) {
        float[] flat = new float[(to - from) * 3];
        for (int i = from; i < to; i++) {
            System.arraycopy(tokens[i], 0, flat, (i - from) * 3, 3);
        }
        return flat;
    }

    private static double meanAbs(float[][] tokens, int from, int to, int feature) {
        return IntStream.range(from, to)
                .mapToDouble(i -> Math.abs(tokens[i][feature]))
                .average()
                .orElseThrow();
    }

    private static double middle(float[][] tokens, int from, int to, int feature) {
        DoubleSummaryStatistics values =
                IntStream.range(from, to).mapToDouble(i -> tokens[i][feature]).summaryStatistics();
        return (values.getMin() + values.getMax()) / 2;
    }

    /** To the last bit: sequences come in pieces. */
    @ParameterizedTest
    @EnumSource(value = Statistic.class, mode = EnumSource.Mode.EXCLUDE, names = "TOKENS")
    void doesNotDependOnHowManySequencesComeAtOnce(Statistic statistic) throws IOException {
        float[][][] activations = activations(12, 16, 40);
        float[] one = result(observed(activations, 12), statistic, 40);
        for (int atOnce : new int[] {1, 4, 5}) {
            assertThat(result(observed(activations, atOnce), statistic, 40))
                    .as("%d at once", atOnce)
                    .isEqualTo(one);
        }
    }

    /** The middle is that of a sequence: one long one has another. */
    @Test
    void theMidRangeIsTakenBySequence() throws IOException {
        float[][][] two = {{{1}, {3}}, {{10}, {20}}};
        float[][][] one = {{{1}, {3}, {10}, {20}}};
        assertThat(result(observed(two, 2), Statistic.MID_RANGE, 1)[0]).isCloseTo(2.13f, within(1e-6f));
        assertThat(result(observed(one, 2), Statistic.MID_RANGE, 1)[0]).isEqualTo(10.5f);
    }

    /** Nine tenths of the average and a tenth of the sequence; the first sequence begins it. */
    @Test
    void extremesAreAveragedBySequence() throws IOException {
        float[][][] sequences = {{{1, -2}, {3, 0}}, {{13, 8}, {5, -12}}, {{3, 3}, {3, 3}}};
        ActivationStatistics found = observed(sequences, 2);
        assertClose(result(found, Statistic.MOVING_MIN, 2), new double[] {0.9 * 1.4 + 0.3, 0.9 * -3 + 0.3}, 1e-6);
        assertClose(result(found, Statistic.MOVING_MAX, 2), new double[] {0.9 * 4 + 0.3, 0.9 * 0.8 + 0.3}, 1e-6);
        assertClose(result(found, Statistic.MOVING_MIN_OF_ALL, 2), new double[] {0.9 * -3 + 0.3}, 1e-6);
        assertClose(result(found, Statistic.MOVING_MAX_OF_ALL, 2), new double[] {0.9 * 4 + 0.3}, 1e-6);
        float[][][] once = {{{-1.1f, 2}}};
        assertThat(result(observed(once, 1), Statistic.MOVING_MIN_OF_ALL, 2)).containsExactly(-1.1f);
        assertThat(result(observed(once, 1), Statistic.MOVING_MAX, 2)).containsExactly(-1.1f, 2);
    }

    @Test
    void statisticsOfAllFeaturesAreSpoiledByOneThatIsNotANumber() throws IOException {
        float[][][] activations = {{{1, Float.NaN, 2}}, {{1, 2, 3}}};
        ActivationStatistics found = observed(activations, 2);
        assertThat(result(found, Statistic.MOVING_MIN_OF_ALL, 3)).containsOnly(Float.NaN);
        assertThat(result(found, Statistic.MOVING_MAX_OF_ALL, 3)).containsOnly(Float.NaN);
        assertThat(result(found, Statistic.HISTOGRAM, 3)).hasSize(4).contains(Float.NaN);
    }

    @ParameterizedTest
    @EnumSource(
            value = Statistic.class,
            mode = EnumSource.Mode.EXCLUDE,
            names = {"TOKENS", "HISTOGRAM", "MOVING_MIN_OF_ALL", "MOVING_MAX_OF_ALL"})
    void aValueThatIsNotANumberStaysOne(Statistic statistic) throws IOException {
        for (int bad : new int[] {0, 3, 5}) {
            float[][][] activations = activations(6, 4, 5);
            activations[bad][1][2] = Float.NaN;
            float[] found = result(observed(activations, 2), statistic, 5);
            for (int i = 0; i < found.length; i++) {
                boolean touched = (statistic.isMatrix() && i / 5 == 2) || i % 5 == 2;
                assertThat(Float.isNaN(found[i]))
                        .as("%d of sequence %d", i, bad)
                        .isEqualTo(touched);
            }
        }
    }

    /** A view, as slices and transposes are, has the statistics of its copy. */
    @ParameterizedTest
    @ValueSource(ints = {3, 600})
    void takesViewsAsTheyLook(int features) throws IOException {
        SplittableRandom random = new SplittableRandom(1);
        float[] values = new float[2 * features * 4];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        NDArray view = NativeFloats.of(manager, values, 2, features, 4).transpose(0, 2, 1);
        NDArray copy = NativeFloats.of(manager, view.toFloatArray(), 2, 4, features);
        for (Statistic statistic : EnumSet.complementOf(EnumSet.of(Statistic.TOKENS))) {
            try (Collector ofView = new Collector(WantedStatistics.ofEvery(EnumSet.of(statistic)), 2);
                    Collector ofCopy = new Collector(WantedStatistics.ofEvery(EnumSet.of(statistic)), 2)) {
                ofView.observe(0, HookPoint.MLP_MID, view);
                ofCopy.observe(0, HookPoint.MLP_MID, copy);
                float[] expected = result(ofCopy.finished(), statistic, features);
                float[] found = result(ofView.finished(), statistic, features);
                assertThat(found).as(statistic.label()).hasSameSizeAs(expected);
                for (int i = 0; i < found.length; i++) {
                    assertThat(found[i]).as("%s %d", statistic, i).isCloseTo(expected[i], within(1e-5f));
                }
            }
        }
    }

    private static void assertClose(float[] found, double[] expected, double tolerance) {
        assertThat(found).hasSameSizeAs(expected);
        double largest = Arrays.stream(expected).map(Math::abs).max().orElse(0);
        for (int i = 0; i < found.length; i++) {
            assertThat((double) found[i]).as("value %d", i).isCloseTo(expected[i], within(tolerance * largest));
        }
    }
}
