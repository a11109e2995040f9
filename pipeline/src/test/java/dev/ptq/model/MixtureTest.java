package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.ExpertSettings;
import dev.ptq.calibrate.ExpertTokens;
import dev.ptq.calibrate.Statistic;
import dev.ptq.calibrate.StatisticsFile;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.family.MixtureShape;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What observers see of mixtures of experts. */
class MixtureTest {
    private static final int[][] CHUNKS = {
        {5, 3, 81, 12, 40, 7, 7, 90, 33}, {1, 2, 3, 4, 5, 6, 9, 9, 9}, {60, 61, 60, 61, 2, 2, 70, 71, 72}
    };

    @TempDir
    private Path folder;

    static Stream<Path> mixtures() throws IOException {
        return TinyFamilies.folders().stream().filter(family -> {
            try (LanguageModel model = LanguageModel.open(family)) {
                return model.config().hasExperts();
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
    }

    private record Seen(Map<String, float[]> values, Map<String, List<Integer>> lengths, Map<String, Integer> routed) {}

    private static Seen seen(LanguageModel model, boolean all) throws IOException {
        Seen seen = new Seen(new HashMap<>(), new HashMap<>(), new HashMap<>());
        try (HiddenStates states = model.embed(CHUNKS, CHUNKS.length);
                BlockRunner runner = new BlockRunner(model, BlockRunner.BlockChange.none(), false);
                Progress progress = Progress.Reporter.none().start("", 1, "")) {
            ActivationObserver observer = new ActivationObserver() {
                @Override
                public synchronized void observe(int block, HookPoint hookPoint, HookInput input) {
                    String name = block + " " + hookPoint.label();
                    seen.values().put(name, input.values().toFloatArray());
                    seen.lengths().put(name, input.lengths());
                    seen.routed().put(name, input.routed());
                }

                @Override
                public boolean seesAllTokens() {
                    return all;
                }
            };
            runner.run(states, observer, progress);
            seen.values().put("output", states.batch(0).toFloatArray());
        }
        return seen;
    }

    /** Each token comes to as many experts as the router chooses, as the row that enters the mixture. */
    @ParameterizedTest
    @MethodSource("mixtures")
    void expertsSeeTheTokensThatAreSentToThem(Path family) throws IOException {
        try (LanguageModel model = LanguageModel.open(family)) {
            Seen some = seen(model, false);
            Seen all = seen(model, true);
            assertThat(all.values().get("output"))
                    .as("the model, whatever is observed")
                    .isEqualTo(some.values().get("output"));
            for (int block = 0; block < model.config().blocks(); block++) {
                if (!(model.config().block(block).mlp() instanceof MixtureShape mixture)) {
                    continue;
                }
                int hidden = model.config().hiddenSize();
                float[] entering = Objects.requireNonNull(some.values().get(block + " mixture_in"));
                int routed = 0;
                for (int expert = 0; expert < mixture.experts().size(); expert++) {
                    String name = block + " mlp_in." + expert;
                    float[] own = Objects.requireNonNull(some.values().get(name));
                    List<Integer> lengths =
                            Objects.requireNonNull(some.lengths().get(name));
                    assertThat(lengths).hasSize(CHUNKS.length);
                    int count = lengths.stream().mapToInt(Integer::intValue).sum();
                    assertThat(own).hasSize(count * hidden);
                    assertThat(some.routed()).containsEntry(name, count);
                    assertThat(all.routed()).containsEntry(name, count);
                    assertThat(all.values().get(name)).isEqualTo(entering);
                    assertThat(all.lengths().get(name)).containsExactly(9, 9, 9);
                    assertThat(some.lengths().get(block + " mlp_mid." + expert)).isEqualTo(lengths);
                    requireRowsInOrder(own, lengths, entering, hidden);
                    routed += count;
                }
                assertThat(routed).isEqualTo(27 * mixture.perToken());
            }
        }
    }

    /** The rows are among those of their sequence, in their order. */
    private static void requireRowsInOrder(float[] rows, List<Integer> lengths, float[] all, int hidden) {
        int row = 0;
        for (int sequence = 0; sequence < lengths.size(); sequence++) {
            int at = sequence * 9;
            for (int i = 0; i < lengths.get(sequence); i++, row++) {
                float[] own = Arrays.copyOfRange(rows, row * hidden, (row + 1) * hidden);
                while (at < (sequence + 1) * 9
                        && !Arrays.equals(own, Arrays.copyOfRange(all, at * hidden, (at + 1) * hidden))) {
                    at++;
                }
                assertThat(at).isLessThan((sequence + 1) * 9);
                at++;
            }
        }
    }

    /** The file of a pass, however the sequences are put together in batches, and with experts that nothing comes to. */
    @ParameterizedTest
    @MethodSource("mixtures")
    void statisticsDoNotDependOnThePieces(Path family) throws IOException {
        try (LanguageModel model = LanguageModel.open(family)) {
            List<InputSpec> inputs = LanguageModel.inputs(model.config());
            ActivationStatistics together = statistics(model, inputs, CHUNKS, 3);
            ActivationStatistics alone = statistics(model, inputs, CHUNKS, 1);
            for (InputSpec input : inputs) {
                if (input.hookPoint().isOfCache()) {
                    continue;
                }
                for (Statistic statistic :
                        EnumSet.of(Statistic.MAX_BATCH_MEAN_ABS, Statistic.MID_RANGE, Statistic.MIN)) {
                    assertThat(alone.of(input.block(), input.hookPoint(), statistic))
                            .as("%s of %s", statistic, input)
                            .usingComparatorWithPrecision(1e-5f)
                            .containsExactly(together.of(input.block(), input.hookPoint(), statistic));
                }
            }
            ExpertTokens few = ExpertTokens.of(
                    statistics(model, inputs, new int[][] {{5, 5, 5, 5}}, 1),
                    inputs,
                    Optional.of(new ExpertSettings(1, ExpertSettings.Policy.ROUND_TO_NEAREST)));
            assertThat(few.few()).isNotEmpty().allMatch(count -> count.tokens() == 0);
            ExpertTokens.Count none = few.few().get(0);
            assertThat(few.suffice(none.block(), new HookPoint(HookPoint.Place.MLP_MID, none.expert())))
                    .isFalse();
            assertThat(few.suffice(none.block(), HookPoint.ATTENTION_IN)).isTrue();
            assertThat(few.suffice(none.block(), new HookPoint(HookPoint.Place.MLP_IN, HookPoint.SHARED_EXPERT)))
                    .isTrue();
        }
    }

    private ActivationStatistics statistics(LanguageModel model, List<InputSpec> inputs, int[][] chunks, int batchSize)
            throws IOException {
        Path file = folder.resolve(chunks.length + "-" + batchSize + ".safetensors");
        try (StatisticsFile statistics =
                        new StatisticsFile(file, inputs, WantedStatistics.ofEvery(EnumSet.allOf(Statistic.class)), 3);
                HiddenStates states = model.embed(chunks, batchSize);
                BlockRunner runner = new BlockRunner(model, BlockRunner.BlockChange.none(), false);
                Progress progress = Progress.Reporter.none().start("", 1, "")) {
            runner.run(states, statistics, progress);
            statistics.finish();
        }
        return ActivationStatistics.read(file);
    }
}
