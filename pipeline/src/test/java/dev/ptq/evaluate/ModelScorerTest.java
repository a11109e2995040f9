package dev.ptq.evaluate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import dev.ptq.format.BlockFloatFormat;
import dev.ptq.format.CacheFormat;
import dev.ptq.format.IntegerFormat;
import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.AttentionFormats;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.BlockRunner.BlockChange;
import dev.ptq.model.Divergence;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.KvFormats;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearFormats;
import dev.ptq.model.ResumeState;
import dev.ptq.model.Rounding;
import dev.ptq.model.Scoring;
import dev.ptq.model.SyntheticModel;
import dev.ptq.model.TargetPositions;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.IntBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModelScorerTest {
    private static final int VOCABULARY = 97;
    /** What the order of float32 sums may change in a log-likelihood of up to twenty tokens. */
    private static final double ROUNDING = 1e-4;

    @TempDir
    static Path folder;

    @TempDir
    Path unfinished;

    @BeforeAll
    static void makeModel() throws IOException {
        SyntheticModel.llama().heads(4, 2).positions(64).write(folder);
    }

    /** Requests of all lengths, some with the same input, some twice, some all context but one token. */
    private static List<Request> requests() {
        SplittableRandom random = new SplittableRandom(3);
        List<Request> requests = new ArrayList<>();
        for (int length = 2; length < 40; length++) {
            int[] ids = random.ints(length, 0, VOCABULARY).toArray();
            requests.add(new Request(ids, 1 + random.nextInt(Math.min(20, length - 1))));
            if (length % 3 == 0) {
                int[] other = ids.clone();
                other[length - 1] = (ids[length - 1] + 1) % VOCABULARY;
                requests.add(new Request(other, 1));
                requests.add(new Request(ids.clone(), length - 1 > 20 ? 20 : length - 1));
            }
            if (length % 5 == 0) {
                requests.add(new Request(random.ints(length, 0, VOCABULARY).toArray(), 1));
            }
        }
        return requests;
    }

    private static List<Score> score(BlockChange change, int batchSize, List<Request> requests, ResumeState kept)
            throws IOException {
        return score(folder, change, batchSize, requests, kept);
    }

    private static List<Score> score(
            Path folder, BlockChange change, int batchSize, List<Request> requests, ResumeState kept)
            throws IOException {
        try (LanguageModel model = LanguageModel.open(folder);
                BlockRunner runner = new BlockRunner(model, change, true)) {
            return new ModelScorer(model, runner, batchSize, true, kept, Progress.Reporter.none())
                    .score("all", requests);
        }
    }

    /** The scores by the definition: one request at a time, all logits, sums in double. */
    private static List<Score> alone(BlockChange change, List<Request> requests) throws IOException {
        return alone(folder, change, requests);
    }

    private static List<Score> alone(Path folder, BlockChange change, List<Request> requests) throws IOException {
        List<Score> scores = new ArrayList<>();
        try (LanguageModel model = LanguageModel.open(folder);
                BlockRunner runner = new BlockRunner(model, change, true)) {
            for (Request request : requests) {
                int[] ids = request.ids();
                double[][] logits = logits(model, runner, Arrays.copyOf(ids, ids.length - 1));
                double sum = 0;
                boolean greedy = true;
                for (int target = ids.length - request.scored(); target < ids.length; target++) {
                    double[] row = logits[target - 1];
                    sum += row[ids[target]] - logSumExp(row);
                    greedy &= argMax(row) == ids[target];
                }
                scores.add(new Score(sum, greedy));
            }
        }
        return scores;
    }

    private static double[][] logits(LanguageModel model, BlockRunner runner, int[] input) throws IOException {
        try (HiddenStates states = model.embed(new int[][] {input}, 1)) {
            runner.run(states, ActivationObserver.NONE, silence());
            try (NDArray logits = Scoring.logits(model, states, 0)) {
                float[] values = logits.toFloatArray();
                double[][] rows = new double[input.length][VOCABULARY];
                for (int i = 0; i < values.length; i++) {
                    rows[i / VOCABULARY][i % VOCABULARY] = values[i];
                }
                return rows;
            }
        }
    }

    private static Progress silence() {
        return Progress.Reporter.none().start("", 1, "");
    }

    private static double logSumExp(double[] row) {
        double max =
                IntStream.range(0, row.length).mapToDouble(i -> row[i]).max().orElseThrow();
        double sum = 0;
        for (double value : row) {
            sum += Math.exp(value - max);
        }
        return max + Math.log(sum);
    }

    private static int argMax(double[] row) {
        int best = 0;
        for (int i = 1; i < row.length; i++) {
            best = row[i] > row[best] ? i : best;
        }
        return best;
    }

    /** As LQER rounds: keys share exponents over 16 neighbouring tokens, so a score could depend on padding. */
    private static BlockChange eightBits() {
        NumberFormat format = new BlockFloatFormat(8, List.of(1, 16), 8, 127);
        return block -> {
            block.linears().forEach(linear -> Rounding.quantize(linear, new LinearFormats(format, format, format)));
            block.quantizeAttention(new AttentionFormats(format, format));
        };
    }

    private static void assertSame(List<Score> scores, List<Score> expected) {
        assertThat(scores).hasSameSizeAs(expected);
        for (int i = 0; i < scores.size(); i++) {
            assertThat(scores.get(i).logLikelihood())
                    .as("request %s", i)
                    .isCloseTo(expected.get(i).logLikelihood(), within(ROUNDING));
            assertThat(scores.get(i).greedy())
                    .as("request %s", i)
                    .isEqualTo(expected.get(i).greedy());
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 64})
    void scoresAreThoseOfEachRequestAlone(int batchSize) throws IOException {
        List<Request> requests = requests();
        assertSame(
                score(BlockChange.none(), batchSize, requests, ResumeState.none()),
                alone(BlockChange.none(), requests));
    }

    /** Requests that begin alike in all the ways there are. */
    private static List<Request> related() {
        SplittableRandom random = new SplittableRandom(11);
        List<Request> requests = new ArrayList<>();
        for (int context : new int[] {1, 2, 17, 40}) {
            int[] shared = random.ints(context, 0, VOCABULARY).toArray();
            for (int scored : new int[] {1, 1, 2, 9, 20}) {
                requests.add(new Request(
                        joined(shared, random.ints(scored, 0, VOCABULARY).toArray()), scored));
            }
            // one continuation begins another, a third forks within it, and a fourth is the same again
            int[] longest = random.ints(12, 0, VOCABULARY).toArray();
            int[] forked = longest.clone();
            forked[5] = (forked[5] + 1) % VOCABULARY;
            requests.add(new Request(joined(shared, longest), 12));
            requests.add(new Request(joined(shared, Arrays.copyOf(longest, 4)), 4));
            requests.add(new Request(joined(shared, forked), 12));
            requests.add(new Request(joined(shared, longest), 12));
        }
        // as long as the model takes: a longer continuation leaves less of the context, and nothing is shared
        int[] text = random.ints(70, 0, VOCABULARY).toArray();
        for (int scored : new int[] {1, 2, 5}) {
            int[] ids = joined(text, random.ints(scored, 0, VOCABULARY).toArray());
            requests.add(new Request(Arrays.copyOfRange(ids, ids.length - 65, ids.length), scored));
        }
        // nothing before: one token of context each, all others
        for (int first = 0; first < 5; first++) {
            requests.add(new Request(new int[] {first, 3}, 1));
        }
        return requests;
    }

    private static int[] joined(int[] first, int[] second) {
        int[] both = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, both, first.length, second.length);
        return both;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 64})
    void whatRequestsShareChangesNoScore(int batchSize) throws IOException {
        List<Request> requests = related();
        assertSame(
                score(BlockChange.none(), batchSize, requests, ResumeState.none()),
                alone(BlockChange.none(), requests));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 64})
    void learnedPositionsAreThoseOfEachRequest(int batchSize) throws IOException {
        Path opt = unfinished.resolve("opt");
        SyntheticModel.opt().positions(64).write(opt);
        List<Request> requests = related();
        assertSame(
                score(opt, BlockChange.none(), batchSize, requests, ResumeState.none()),
                alone(opt, BlockChange.none(), requests));
    }

    @Test
    void weightsAloneMayBeRounded() throws IOException {
        NumberFormat four = new BlockFloatFormat(4, List.of(1, 16), 8, 127);
        BlockChange change = block -> block.linears()
                .forEach(linear -> Rounding.quantize(linear, new LinearFormats(four, new NoFormat(), new NoFormat())));
        try (LanguageModel model = LanguageModel.open(folder);
                BlockRunner runner = new BlockRunner(model, change, true)) {
            assertThat(runner.roundsActivations()).isFalse();
        }
        assertSame(score(change, 16, related(), ResumeState.none()), alone(change, related()));
    }

    private static BlockChange cached(CacheFormat format, int window) {
        KvFormats formats = new KvFormats(format, format, KvFormats.Rotary.BEFORE, window);
        return block -> block.quantizeAttention(AttentionFormats.none().with(formats));
    }

    static Stream<BlockChange> activations() {
        NumberFormat none = new NoFormat();
        NumberFormat token = new IntegerFormat(4, IntegerFormat.Granularity.TOKEN, 0, true);
        return Stream.of(
                eightBits(),
                block -> block.linears()
                        .forEach(linear -> Rounding.quantize(linear, new LinearFormats(none, token, none))),
                block -> block.linears()
                        .forEach(linear -> Rounding.quantize(linear, new LinearFormats(none, none, none, token))),
                block -> block.quantizeAttention(new AttentionFormats(none, token, none, none)),
                cached(new CacheFormat(token, 0), 0),
                cached(new CacheFormat(token, 8), 5));
    }

    /** A window without groups, and groups without a window, which take longest. */
    static Stream<BlockChange> otherCaches() {
        NumberFormat token = new IntegerFormat(4, IntegerFormat.Granularity.TOKEN, 0, true);
        return Stream.of(cached(new CacheFormat(token, 0), 4), cached(new CacheFormat(token, 3), 0));
    }

    @ParameterizedTest
    @MethodSource("activations")
    void whereActivationsAreRoundedNothingIsShared(BlockChange change) throws IOException {
        assertNothingIsShared(change);
    }

    @ParameterizedTest
    @MethodSource("otherCaches")
    @Tag("slow")
    void nothingIsSharedWithOtherCachesEither(BlockChange change) throws IOException {
        assertNothingIsShared(change);
    }

    private static void assertNothingIsShared(BlockChange change) throws IOException {
        try (LanguageModel model = LanguageModel.open(folder);
                BlockRunner runner = new BlockRunner(model, change, false)) {
            assertThat(runner.roundsActivations()).isTrue();
        }
        try (LanguageModel model = LanguageModel.open(folder);
                BlockRunner runner = new BlockRunner(model, change, true)) {
            List<Score> unshared = new ModelScorer(
                            model, runner, 16, false, ResumeState.none(), Progress.Reporter.none())
                    .score("all", related());
            List<Score> scores = score(change, 16, related(), ResumeState.none());
            assertThat(scores).isEqualTo(unshared);
            assertSame(scores, alone(change, related()));
        }
    }

    @Test
    void theChoicesOfAQuestionHaveItsContextOnce() {
        int[] context = new SplittableRandom(2).ints(50, 0, VOCABULARY).toArray();
        List<IntBuffer> choices = new ArrayList<>();
        for (int choice = 0; choice < 4; choice++) {
            choices.add(IntBuffer.wrap(joined(context, new int[] {choice, 7, 8})));
        }
        List<PrefixTrees.Grown> trees = PrefixTrees.of(choices, 0, 64, 62);
        assertThat(trees).hasSize(1);
        assertThat(trees.get(0).tree().size()).isEqualTo(50 + 4 * 3);
        assertThat(trees.get(0).tree().trunk()).isEqualTo(50 + 3);
        assertThat(trees.get(0).leaves()).extracting(leaf -> leaf.places()[52]).containsExactly(52, 55, 58, 61);
        assertThat(PrefixTrees.of(choices, 0, 64, 61))
                .as("a tree has at most so many tokens")
                .hasSize(2);
    }

    @Test
    void formatsOverSeveralTokensSeeNoPadding() throws IOException {
        List<Request> requests = requests();
        List<Score> expected = alone(eightBits(), requests);
        assertThat(expected.get(30).logLikelihood())
                .isNotCloseTo(alone(BlockChange.none(), requests).get(30).logLikelihood(), within(10 * ROUNDING));
        assertSame(score(eightBits(), 16, requests, ResumeState.none()), expected);
    }

    @Test
    void orderDoesNotMatter() throws IOException {
        List<Request> requests = requests();
        List<Score> expected = score(BlockChange.none(), 4, requests, ResumeState.none());
        List<Integer> order =
                new ArrayList<>(IntStream.range(0, requests.size()).boxed().toList());
        Collections.shuffle(order, new Random(5));
        List<Score> scores =
                score(BlockChange.none(), 4, order.stream().map(requests::get).toList(), ResumeState.none());
        assertThat(scores).isEqualTo(order.stream().map(expected::get).toList());
    }

    @Test
    void whatWasScoredIsNotScoredAgain() throws IOException {
        ResumeState kept = new ResumeState(Optional.of(unfinished), Duration.ZERO);
        List<Score> first = score(BlockChange.none(), 4, requests(), kept);
        BlockChange never = block -> {
            throw new IOException("computed again");
        };
        assertThat(score(never, 4, requests(), kept)).isEqualTo(first);
        assertThat(Files.exists(unfinished.resolve("all.safetensors"))).isFalse();
    }

    @Test
    void nothingIsAskedOfNothing() throws IOException {
        assertThat(score(BlockChange.none(), 4, List.of(), ResumeState.none())).isEmpty();
    }

    @Test
    void divergenceIsThatOfTheDistributions() throws IOException {
        SplittableRandom random = new SplittableRandom(1);
        int[][] chunks = new int[3][];
        for (int i = 0; i < chunks.length; i++) {
            chunks[i] = random.ints(12, 0, VOCABULARY).toArray();
        }
        try (LanguageModel model = LanguageModel.open(folder);
                BlockRunner exact = new BlockRunner(model, BlockChange.none(), true);
                BlockRunner rounded = new BlockRunner(model, eightBits(), true);
                HiddenStates first = model.embed(chunks, 2);
                HiddenStates second = model.embed(chunks, 2)) {
            exact.run(first, ActivationObserver.NONE, silence());
            rounded.run(second, ActivationObserver.NONE, silence());
            Divergence divergence = model.divergence(first, second, TargetPositions.ofNextTokens(chunks));
            Divergence none = model.divergence(first, first, TargetPositions.ofNextTokens(chunks));
            assertThat(divergence.count()).isEqualTo(33);
            double sum = 0;
            for (int chunk = 0; chunk < 3; chunk++) {
                double[][] p = logits(model, exact, chunks[chunk]);
                double[][] q = logits(model, rounded, chunks[chunk]);
                for (int position = 0; position < 11; position++) {
                    double expected = 0;
                    for (int token = 0; token < VOCABULARY; token++) {
                        double logP = p[position][token] - logSumExp(p[position]);
                        expected += Math.exp(logP) * (logP - q[position][token] + logSumExp(q[position]));
                    }
                    assertThat(divergence.divergence(11 * chunk + position)).isCloseTo(expected, within(1e-6));
                    assertThat(divergence.agrees(11 * chunk + position))
                            .isEqualTo(argMax(p[position]) == argMax(q[position]));
                    assertThat(none.divergence(11 * chunk + position)).isCloseTo(0, within(1e-12));
                    assertThat(none.agrees(11 * chunk + position)).isTrue();
                    sum += expected;
                }
            }
            assertThat(sum).isGreaterThan(1e-3);
        }
    }
}
