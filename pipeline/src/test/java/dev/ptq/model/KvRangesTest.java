package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.Statistic;
import dev.ptq.calibrate.StatisticsFile;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.format.Bounds;
import dev.ptq.format.StaticFormat;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Caches with ranges from calibration: against loops in double precision, and in every family. */
class KvRangesTest {
    private static final int[][] SAMPLES = chunks(1, 3, 9);
    private static final int[] TOKENS = chunks(2, 1, 12)[0];

    @TempDir
    private Path folder;

    static Stream<Path> few() throws IOException {
        return TinyFamilies.few().stream();
    }

    static Stream<Path> families() throws IOException {
        return TinyFamilies.folders().stream();
    }

    private static int[][] chunks(int seed, int count, int tokens) {
        SplittableRandom random = new SplittableRandom(seed);
        int[][] chunks = new int[count][tokens];
        for (int[] chunk : chunks) {
            Arrays.setAll(chunk, i -> random.nextInt(90));
        }
        return chunks;
    }

    /** How a cache of the scalar model is rounded: asymmetric integers, the range of each channel or of all. */
    private record Rounded(HookPoint hookPoint, int bits, boolean isMoving, boolean perChannel) {}

    /** The least and the largest value of each channel, or of all, by layer, in the scalar model. */
    private static final class ScalarRanges {
        private final Map<List<Object>, double[][]> ranges = new HashMap<>();

        ScalarRanges(ScalarModel model, List<Rounded> formats) {
            for (int[] sample : SAMPLES) {
                model.forward(sample, (layer, hookPoint, rows) -> {
                    for (Rounded format : formats) {
                        if (format.hookPoint().equals(hookPoint)) {
                            take(layer, format, rows);
                        }
                    }
                    return rows;
                });
            }
        }

        private void take(int layer, Rounded format, double[][] rows) {
            double[][] own = new double[format.perChannel() ? rows[0].length : 1][];
            for (double[] row : rows) {
                for (int i = 0; i < row.length; i++) {
                    int at = format.perChannel() ? i : 0;
                    own[at] = own[at] == null
                            ? new double[] {row[i], row[i]}
                            : new double[] {Math.min(own[at][0], row[i]), Math.max(own[at][1], row[i])};
                }
            }
            ranges.merge(List.of(layer, format), own, (before, now) -> {
                double[][] both = new double[now.length][2];
                for (int i = 0; i < now.length; i++) {
                    if (format.isMoving()) {
                        both[i][0] = 0.9 * before[i][0] + 0.1 * now[i][0];
                        both[i][1] = 0.9 * before[i][1] + 0.1 * now[i][1];
                    } else {
                        both[i][0] = Math.min(before[i][0], now[i][0]);
                        both[i][1] = Math.max(before[i][1], now[i][1]);
                    }
                }
                return both;
            });
        }

        double[][] of(int layer, Rounded format) {
            return Objects.requireNonNull(ranges.get(List.of(layer, format)));
        }

        double[][] rounded(int layer, Rounded format, double[][] rows) {
            double[][] rounded = new double[rows.length][rows[0].length];
            for (int t = 0; t < rows.length; t++) {
                for (int i = 0; i < rows[t].length; i++) {
                    double[] range = of(layer, format)[format.perChannel() ? i : 0];
                    double low = Math.min(0, range[0]);
                    double levels = (1 << format.bits()) - 1;
                    double step = (Math.max(0, range[1]) - low) / levels;
                    double zeroPoint = Math.rint(-low / step);
                    double code = Math.min(Math.max(Math.rint(rows[t][i] / step) + zeroPoint, 0), levels);
                    rounded[t][i] = step * (code - zeroPoint);
                }
            }
            return rounded;
        }
    }

    static Stream<SyntheticModel> models() {
        return Stream.of(
                SyntheticModel.llama().heads(4, 2),
                SyntheticModel.llama().heads(4, 1).headDim(24),
                SyntheticModel.opt());
    }

    @ParameterizedTest
    @MethodSource("models")
    void logitsAreThoseOfRoundingByHand(SyntheticModel settings) throws IOException {
        settings.write(folder);
        assertWitness(
                "kv = { key = { format = 'int', bits = 3, per = 'channel', dynamic = false }, rotary = 'before' }",
                new Rounded(HookPoint.KEY, 3, false, true));
        assertWitness(
                "kv = { key = { format = 'int', bits = 4, per = 'channel', dynamic = false, range = 'moving_average' },"
                        + " value = { format = 'int', bits = 5, dynamic = false } }",
                new Rounded(HookPoint.ROTATED_KEY, 4, true, true),
                new Rounded(HookPoint.VALUE, 5, false, false));
        assertWitness(
                "kv = { key = { format = 'int', bits = 5, dynamic = false, range = 'moving_average' },"
                        + " value = { format = 'int', bits = 3, per = 'channel', dynamic = false }, rotary = 'before' }",
                new Rounded(HookPoint.KEY, 5, true, false),
                new Rounded(HookPoint.VALUE, 3, false, true));
    }

    private void assertWitness(String toml, Rounded... formats) throws IOException {
        ScalarModel scalar = new ScalarModel(folder);
        ScalarRanges ranges = new ScalarRanges(scalar, List.of(formats));
        double[][] exact = scalar.forward(TOKENS).logits();
        double[][] expected = scalar.forward(
                        TOKENS,
                        (layer, hookPoint, rows) -> Stream.of(formats)
                                .filter(format -> format.hookPoint().equals(hookPoint))
                                .findFirst()
                                .map(format -> ranges.rounded(layer, format, rows))
                                .orElse(rows))
                .logits();
        try (LanguageModel model = LanguageModel.open(folder)) {
            ModelFormats known = CachedModel.calibrated(model, CachedModel.read(toml), SAMPLES);
            for (int block = 0; block < model.config().blocks(); block++) {
                Map<HookPoint, StaticFormat> statics = known.staticsOfCache(block);
                assertThat(statics).hasSize(formats.length);
                for (Rounded format : formats) {
                    List<Bounds> found = Objects.requireNonNull(statics.get(format.hookPoint()))
                            .ranges();
                    double[][] byHand = ranges.of(block, format);
                    assertThat(found).hasSameSizeAs(byHand);
                    for (int i = 0; i < byHand.length; i++) {
                        assertThat((double) found.get(i).low()).isCloseTo(byHand[i][0], within(1e-5));
                        assertThat((double) found.get(i).high()).isCloseTo(byHand[i][1], within(1e-5));
                    }
                }
            }
            float[] logits = CachedModel.logits(model, known::applyTo, TOKENS);
            double moved = 0;
            for (int i = 0; i < logits.length; i++) {
                int token = i / expected[0].length;
                int word = i % expected[0].length;
                assertThat((double) logits[i]).as("%s: %s", toml, i).isCloseTo(expected[token][word], within(1e-4));
                moved = Math.max(moved, Math.abs(logits[i] - exact[token][word]));
            }
            assertThat(moved).as(toml).isGreaterThan(0.05);
        }
    }

    @ParameterizedTest
    @MethodSource("few")
    void manyBitsAreAlmostExactInAFew(Path family) throws IOException {
        assertManyBitsAreAlmostExact(family);
    }

    @ParameterizedTest
    @MethodSource("families")
    @Tag("slow")
    void manyBitsAreAlmostExact(Path family) throws IOException {
        assertManyBitsAreAlmostExact(family);
    }

    /** Calibrated on what is evaluated: a range that is another channel's would clip. */
    private static void assertManyBitsAreAlmostExact(Path family) throws IOException {
        try (LanguageModel model = LanguageModel.open(family)) {
            int[] tokens = chunks(3, 1, 21)[0];
            float[] exact = CachedModel.logits(model, BlockRunner.BlockChange.none(), tokens);
            for (String rotary : List.of("before", "after")) {
                for (String per : List.of("channel", "token")) {
                    String format = "{ format = 'int', bits = 12, per = '" + per + "', dynamic = false }";
                    String toml = "kv = { key = " + format + ", value = " + format + ", rotary = '" + rotary + "' }";
                    QuantizationSettings settings = CachedModel.read(toml);
                    ModelFormats known = CachedModel.calibrated(model, settings, new int[][] {tokens});
                    float[] found = CachedModel.logits(model, known::applyTo, tokens);
                    assertThat(found).as(toml).isNotEqualTo(exact);
                    for (int i = 0; i < exact.length; i++) {
                        assertThat(found[i]).as(toml).isCloseTo(exact[i], within(2e-2f));
                    }
                    for (int block = 0; block < model.config().blocks(); block++) {
                        int channels = model.config().block(block).attention().keyWidth();
                        known.staticsOfCache(block)
                                .values()
                                .forEach(own -> assertThat(own.ranges()).hasSize(per.equals("channel") ? channels : 1));
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("models")
    void oneTokenIsEnough(SyntheticModel settings) throws IOException {
        settings.write(folder);
        try (LanguageModel model = LanguageModel.open(folder)) {
            int[] token = {7};
            String format = "{ format = 'int', bits = 8, per = 'channel', dynamic = false }";
            QuantizationSettings both = CachedModel.read("kv = { key = " + format + ", value = " + format + " }");
            ModelFormats known = CachedModel.calibrated(model, both, new int[][] {token});
            float[] exact = CachedModel.logits(model, BlockRunner.BlockChange.none(), token);
            // each range is from 0 to the value, which is its end
            assertThat(CachedModel.logits(model, known::applyTo, token))
                    .usingComparatorWithPrecision(1e-3f)
                    .containsExactly(exact);
        }
    }

    /** What nobody asks for is neither put together nor shown. */
    @Test
    void onlyWhatIsWantedIsShown() throws IOException {
        SyntheticModel.llama().heads(4, 2).write(folder);
        Set<HookPoint> seen = new HashSet<>();
        try (LanguageModel model = LanguageModel.open(folder)) {
            CachedModel.run(model, BlockRunner.BlockChange.none(), SAMPLES, (block, hookPoint, input) -> {
                        synchronized (seen) {
                            seen.add(hookPoint);
                        }
                    })
                    .close();
            assertThat(seen).isNotEmpty().noneMatch(HookPoint::isOfCache);
            QuantizationSettings settings =
                    CachedModel.read("kv = { key = { format = 'int', bits = 3, per = 'channel', dynamic = false } }");
            ActivationStatistics found = CachedModel.statistics(model, settings, SAMPLES);
            assertThat(found.of(1, HookPoint.ROTATED_KEY, Statistic.MAX)).hasSize(2 * 16);
            for (HookPoint other : List.of(HookPoint.KEY, HookPoint.VALUE, HookPoint.ATTENTION_IN)) {
                assertThatIllegalArgumentException().isThrownBy(() -> found.of(1, other, Statistic.MAX));
            }
        }
    }

    /** Statistics of a cache go on where a killed pass was, like all others. */
    @Test
    void aPassGoesOnWhereItWas() throws IOException {
        SyntheticModel.llama().layers(3).heads(4, 2).write(folder);
        WantedStatistics wanted = WantedStatistics.ofEvery(Set.of(Statistic.ABS_MAX))
                .withCache(List.of(
                        new WantedStatistics.OfCache(HookPoint.KEY, List.of(Statistic.MIN, Statistic.HISTOGRAM)),
                        new WantedStatistics.OfCache(HookPoint.VALUE, List.of(Statistic.MOVING_MAX))));
        try (LanguageModel model = LanguageModel.open(folder)) {
            Path whole = folder.resolve("whole.statistics");
            take(model, whole, wanted, ResumeState.none(), Integer.MAX_VALUE);
            Path resumed = folder.resolve("resumed.statistics");
            ResumeState state = new ResumeState(Optional.of(folder), Duration.ZERO);
            assertThat(take(model, resumed, wanted, state, 2)).isFalse();
            assertThat(take(model, resumed, wanted, state, Integer.MAX_VALUE)).isTrue();
            assertThat(resumed).hasSameBinaryContentAs(whole);
        }
    }

    /** Returns whether the pass came to its end; it fails at a block. */
    private static boolean take(LanguageModel model, Path file, WantedStatistics wanted, ResumeState state, int fails)
            throws IOException {
        List<Integer> blocks = new ArrayList<>();
        try (StatisticsFile statistics = new StatisticsFile(file, LanguageModel.inputs(model.config()), wanted, 1);
                HiddenStates states = model.embed(SAMPLES, 2);
                BlockRunner runner = new BlockRunner(
                        model,
                        block -> {
                            if (block.index() == fails) {
                                throw new IOException("killed");
                            }
                            blocks.add(block.index());
                        },
                        false);
                Progress progress = Progress.Reporter.none().start("", 1, "")) {
            runner.run(states, statistics, progress, "pass", state, statistics);
            statistics.finish();
            return true;
        } catch (IOException e) {
            assertThat(e).hasMessage("killed");
            assertThat(blocks).isNotEmpty();
            return false;
        }
    }
}
