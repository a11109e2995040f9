package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import dev.ptq.model.BlockRunner.BlockChange;
import dev.ptq.progress.Progress;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The forward pass against plain loops in double precision. */
class ForwardTest {
    /**
     * Allowed difference over the largest magnitude. A float32 sum of n terms is off by about {@code sqrt(n) 2^-24}; two
     * blocks of sums of about 100 terms, each normed again, stay below 2e-6.
     */
    private static final double TOLERANCE = 1e-5;

    @TempDir
    private Path folder;

    static Stream<Arguments> models() {
        return Stream.of(
                Arguments.of("llama", SyntheticModel.llama()),
                Arguments.of("grouped keys", SyntheticModel.llama().heads(8, 2)),
                Arguments.of("one key for all", SyntheticModel.llama().heads(4, 1)),
                Arguments.of(
                        "biases and a tied head",
                        SyntheticModel.llama().biases(true, true).tied(true)),
                Arguments.of("attention biases", SyntheticModel.llama().biases(true, false)),
                Arguments.of(
                        "heads wider than the stream",
                        SyntheticModel.llama().heads(4, 2).headDim(24)),
                Arguments.of("another base", SyntheticModel.llama().rope(Map.of("rope_theta", 500.0))),
                Arguments.of(
                        "linear rope",
                        SyntheticModel.llama().rope(Map.of("rope_scaling", Map.of("type", "linear", "factor", 4.0)))),
                // of the eight frequencies one is kept, two are blended, the rest divided
                Arguments.of("llama3 rope", SyntheticModel.llama().rope(Map.of("rope_scaling", llama3()))),
                Arguments.of(
                        "rope parameters",
                        SyntheticModel.llama()
                                .rope(Map.of("rope_parameters", Map.of("rope_theta", 300.0, "rope_type", "default")))),
                Arguments.of("shards", SyntheticModel.llama().layers(3).shards(4)),
                Arguments.of("half precision", SyntheticModel.llama().type(StoredType.F16)),
                Arguments.of("bfloat16", SyntheticModel.llama().type(StoredType.BF16)),
                Arguments.of("OPT", SyntheticModel.opt()),
                Arguments.of(
                        "OPT without biases, untied",
                        SyntheticModel.opt().biases(false, false).tied(false)),
                Arguments.of(
                        "OPT 350m",
                        SyntheticModel.opt().postNorm().embedding(24).layers(3)),
                Arguments.of("post-norm", SyntheticModel.opt().postNorm()),
                Arguments.of(
                        "projected pre-norm", SyntheticModel.opt().embedding(40).tied(false)),
                Arguments.of("OPT without a final norm", SyntheticModel.opt().withoutFinalNorm()),
                Arguments.of("OPT as first released", SyntheticModel.opt().withoutOuterPrefix()));
    }

    private static Map<String, Object> llama3() {
        return Map.of(
                "rope_type",
                "llama3",
                "factor",
                8.0,
                "low_freq_factor",
                1.0,
                "high_freq_factor",
                4.0,
                "original_max_position_embeddings",
                64);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("models")
    void agreesWithPlainLoops(String name, SyntheticModel settings) throws IOException {
        settings.write(folder);
        int[][] chunks = chunks(5, 19, 97);
        ScalarModel scalar = new ScalarModel(folder);
        List<ScalarModel.Output> expected =
                Arrays.stream(chunks).map(scalar::forward).toList();

        try (LanguageModel model = LanguageModel.open(folder);
                HiddenStates states = model.embed(chunks, 2);
                BlockRunner runner = new BlockRunner(model, BlockChange.none(), false)) {
            assertThat(states.size()).isEqualTo(3);
            double[][] first = states(states);
            for (int i = 0; i < chunks.length; i++) {
                assertClose(
                        name + " embedding",
                        first[i],
                        flat(expected.get(i).hidden().get(0)));
            }
            runner.run(states, ActivationObserver.NONE, silence());
            double[][] last = states(states);
            double[][] losses = Scoring.nextTokenLosses(model, states, chunks);
            int blocks = model.config().blocks();
            int chunk = 0;
            for (int batch = 0; batch < states.size(); batch++) {
                try (NDArray logits = Scoring.logits(model, states, batch);
                        NDArray nextLogits = model.nextTokenLogits(states, batch)) {
                    double[] values = doubles(logits);
                    double[] nextValues = doubles(nextLogits);
                    int inBatch = (int) logits.getShape().get(0);
                    for (int i = 0; i < inBatch; i++, chunk++) {
                        int size = values.length / inBatch;
                        ScalarModel.Output reference = expected.get(chunk);
                        assertClose(
                                name + " hidden",
                                last[chunk],
                                flat(reference.hidden().get(blocks)));
                        assertClose(
                                name + " logits",
                                Arrays.copyOfRange(values, i * size, (i + 1) * size),
                                flat(reference.logits()));
                        int vocabulary = nextValues.length / inBatch;
                        assertClose(
                                name + " next token logits",
                                Arrays.copyOfRange(nextValues, i * vocabulary, (i + 1) * vocabulary),
                                reference.logits()[reference.logits().length - 1]);
                        assertThat(losses[chunk]).containsExactly(reference.losses(chunks[chunk]), within(1e-5));
                    }
                }
            }
            assertThat(chunk).isEqualTo(chunks.length);
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("models")
    void everyBlockAgreesWithPlainLoops(String name, SyntheticModel settings) throws IOException {
        settings.write(folder);
        int[][] chunks = chunks(2, 9, 97);
        ScalarModel scalar = new ScalarModel(folder);
        List<double[][]> seen = new ArrayList<>();
        try (LanguageModel model = LanguageModel.open(folder);
                HiddenStates states = model.embed(chunks, 2);
                BlockRunner runner = new BlockRunner(model, block -> seen.add(states(states)), false)) {
            runner.run(states, ActivationObserver.NONE, silence());
            seen.add(states(states));
            assertThat(seen).hasSize(model.config().blocks() + 1);
        }
        for (int i = 0; i < chunks.length; i++) {
            List<double[][]> hidden = scalar.forward(chunks[i]).hidden();
            for (int block = 0; block < seen.size(); block++) {
                assertClose(name + " before block " + block, seen.get(block)[i], flat(hidden.get(block)));
            }
        }
    }

    @Test
    void anyBatchSizeStreamedOrResidentGivesTheSame() throws IOException {
        SyntheticModel.llama().heads(8, 2).layers(3).write(folder);
        int[][] chunks = chunks(7, 12, 97);
        double[][] expected = losses(chunks, 1, false);
        for (int batchSize : new int[] {2, 3, 7, 100}) {
            for (boolean resident : new boolean[] {false, true}) {
                double[][] losses = losses(chunks, batchSize, resident);
                for (int i = 0; i < chunks.length; i++) {
                    assertThat(losses[i])
                            .as("batch size %s, resident %s", batchSize, resident)
                            // products of another shape sum in another order
                            .containsExactly(expected[i], within(1e-5));
                }
            }
        }
    }

    @Test
    void residentBlocksAreChangedOnceAndGiveTheSameAgain() throws IOException {
        SyntheticModel.opt().layers(3).write(folder);
        int[][] chunks = chunks(3, 8, 97);
        int[] changes = new int[3];
        try (LanguageModel model = LanguageModel.open(folder);
                BlockRunner runner = new BlockRunner(model, block -> changes[block.index()]++, true)) {
            double[][] first = null;
            for (int time = 0; time < 3; time++) {
                try (HiddenStates states = model.embed(chunks, 2)) {
                    runner.run(states, ActivationObserver.NONE, silence());
                    double[][] losses = Scoring.nextTokenLosses(model, states, chunks);
                    if (first != null) {
                        assertThat(losses).isDeepEqualTo(first);
                    }
                    first = losses;
                }
            }
        }
        assertThat(changes).containsExactly(1, 1, 1);
    }

    @Test
    void takesSequencesOfOneTokenAndOfAnyLengthInTurn() throws IOException {
        SyntheticModel.llama().heads(4, 2).positions(600).write(folder);
        ScalarModel scalar = new ScalarModel(folder);
        try (LanguageModel model = LanguageModel.open(folder);
                BlockRunner runner = new BlockRunner(model, BlockChange.none(), true)) {
            for (int length : new int[] {1, 300, 2, 1, 33}) {
                int[][] chunks = chunks(2, length, 97);
                try (HiddenStates states = model.embed(chunks, 2)) {
                    runner.run(states, ActivationObserver.NONE, silence());
                    double[][] losses = Scoring.nextTokenLosses(model, states, chunks);
                    for (int i = 0; i < chunks.length; i++) {
                        ScalarModel.Output reference = scalar.forward(chunks[i]);
                        assertClose(
                                "length " + length,
                                states(states)[i],
                                flat(reference.hidden().get(2)));
                        assertThat(losses[i]).containsExactly(reference.losses(chunks[i]), within(2e-5));
                    }
                }
            }
        }
    }

    /** 8 chunks of 8 heads over 512 tokens are twice the scores that are held at a time. */
    @Test
    void attentionInPartsGivesTheSame() throws IOException {
        SyntheticModel.llama()
                .sizes(32, 48)
                .layers(1)
                .heads(8, 4)
                .positions(512)
                .write(folder);
        int[][] chunks = chunks(8, 512, 97);
        double[][] whole = losses(chunks, 1, false);
        double[][] parts = losses(chunks, 8, false);
        for (int i = 0; i < chunks.length; i++) {
            assertThat(parts[i]).containsExactly(whole[i], within(1e-5));
        }
    }

    @Test
    void lossesAreTheSameHoweverLittleIsInMemory() throws IOException {
        SyntheticModel.opt().embedding(24).write(folder);
        int[][] chunks = chunks(5, 6, 97);
        // the first and the last row of parts of 10
        chunks[0] = new int[] {3, 9, 10, 96, 0, 89};
        ScalarModel scalar = new ScalarModel(folder);
        try (LanguageModel model = LanguageModel.open(folder);
                HiddenStates states = model.embed(chunks, 3);
                BlockRunner runner = new BlockRunner(model, BlockChange.none(), false)) {
            runner.run(states, ActivationObserver.NONE, silence());
            for (int rows : new int[] {1, 10, 96, 97}) {
                for (int chunksAtOnce : new int[] {0, 1, 2, 3}) {
                    double[][] losses =
                            Scoring.nextTokenLosses(model, states, chunks, rows * 24, chunksAtOnce * rows * (6 - 1));
                    for (int i = 0; i < chunks.length; i++) {
                        assertThat(losses[i])
                                .as("%s rows, %s chunks at once", rows, chunksAtOnce)
                                .containsExactly(scalar.forward(chunks[i]).losses(chunks[i]), within(1e-5));
                    }
                }
            }
        }
    }

    @Test
    void laterTokensDoNotChangeEarlierOnes() throws IOException {
        SyntheticModel.llama().write(folder);
        int[][] chunks = chunks(1, 20, 97);
        double[] whole = losses(chunks, 1, false)[0];
        int[][] start = {Arrays.copyOf(chunks[0], 11)};
        assertThat(losses(start, 1, false)[0]).containsExactly(Arrays.copyOf(whole, 10), within(1e-5));
    }

    @Test
    void observersSeeEveryInputOnceAsItEntersTheLinears() throws IOException {
        SyntheticModel.llama().heads(4, 2).write(folder);
        int[][] chunks = chunks(3, 7, 97);
        // hook points may be seen at once, each by one thread at a time
        List<String> seen = Collections.synchronizedList(new ArrayList<>());
        try (LanguageModel model = LanguageModel.open(folder);
                HiddenStates states = model.embed(chunks, 2);
                BlockRunner runner = new BlockRunner(model, BlockChange.none(), false)) {
            runner.run(
                    states,
                    (block, hookPoint, input) -> seen.add(block + " " + hookPoint.label() + " "
                            + input.values().getShape()),
                    silence());
        }
        assertThat(seen).hasSize(16);
        for (int block = 0; block < 2; block++) {
            for (HookPoint hookPoint :
                    List.of(HookPoint.ATTENTION_IN, HookPoint.ATTENTION_OUT, HookPoint.MLP_IN, HookPoint.MLP_MID)) {
                String at = block + " " + hookPoint.label() + " ";
                int width = hookPoint.equals(HookPoint.MLP_MID) ? 112 : 64;
                assertThat(seen.subList(8 * block, 8 * block + 8))
                        .filteredOn(input -> input.startsWith(at))
                        .containsExactly(at + "(2, 7, " + width + ")", at + "(1, 7, " + width + ")");
            }
        }
    }

    @Test
    void progressCountsBatchesOfAllBlocks() throws IOException {
        SyntheticModel.llama().layers(3).write(folder);
        int[][] chunks = chunks(5, 4, 97);
        List<Long> steps = new ArrayList<>();
        Progress progress = new Progress() {
            @Override
            public void step(long done) {
                steps.add(done);
            }

            @Override
            public void close() {}
        };
        try (LanguageModel model = LanguageModel.open(folder);
                HiddenStates states = model.embed(chunks, 2);
                BlockRunner runner = new BlockRunner(model, BlockChange.none(), false)) {
            runner.run(states, ActivationObserver.NONE, progress);
        }
        assertThat(steps).containsExactly(1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L, 9L);
    }

    @Test
    void aBlockThatBreaksIsNamed() throws IOException {
        SyntheticModel.llama().layers(3).write(folder);
        int[][] chunks = chunks(1, 4, 97);
        BlockChange breakSecond = block -> {
            if (block.index() == 1) {
                block.linears().iterator().next().weight().muli(Float.POSITIVE_INFINITY);
            }
        };
        try (LanguageModel model = LanguageModel.open(folder);
                HiddenStates states = model.embed(chunks, 1);
                BlockRunner runner = new BlockRunner(model, breakSecond, false)) {
            assertThatThrownBy(() -> runner.run(states, ActivationObserver.NONE, silence()))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("block 1");
        }
    }

    @Test
    void refusesTokensAndPositionsThereAreNot() throws IOException {
        SyntheticModel.opt().positions(16).write(folder);
        try (LanguageModel model = LanguageModel.open(folder)) {
            assertThatThrownBy(() -> model.embed(new int[][] {{1, 97}}, 1))
                    .isInstanceOf(IOException.class)
                    .hasMessageContainingAll("model.safetensors", "model.decoder.embed_tokens.weight", "97");
            assertThatThrownBy(() -> model.embed(chunks(1, 17, 97), 1))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("model.decoder.embed_positions.weight");
        }
    }

    /** Twice the blocks leave as many tensors behind. */
    @Test
    void liveArraysDoNotGrowWithTheBlocks() throws IOException {
        int few = arraysAfter(SyntheticModel.llama().heads(4, 2).layers(2).write(folder.resolve("few")));
        int many = arraysAfter(SyntheticModel.llama().heads(4, 2).layers(6).write(folder.resolve("many")));
        assertThat(many).isEqualTo(few);
        int post = arraysAfter(SyntheticModel.opt().layers(2).postNorm().write(folder.resolve("few-opt")));
        assertThat(arraysAfter(SyntheticModel.opt().layers(6).postNorm().write(folder.resolve("many-opt"))))
                .isEqualTo(post);
    }

    private static int arraysAfter(Path folder) throws IOException {
        int[][] chunks = chunks(5, 6, 97);
        try (LanguageModel model = LanguageModel.open(folder);
                HiddenStates states = model.embed(chunks, 2)) {
            // closed with what its threads keep, and there may have been one thread or two
            try (BlockRunner runner = new BlockRunner(model, BlockChange.none(), false)) {
                runner.run(states, ActivationObserver.NONE, silence());
            }
            Scoring.nextTokenLosses(model, states, chunks);
            assertThat(states.manager().getManagedArrays()).hasSize(states.size());
            return model.manager().getManagedArrays().size();
        }
    }

    private double[][] losses(int[][] chunks, int batchSize, boolean resident) throws IOException {
        try (LanguageModel model = LanguageModel.open(folder);
                HiddenStates states = model.embed(chunks, batchSize);
                BlockRunner runner = new BlockRunner(model, BlockChange.none(), resident)) {
            runner.run(states, ActivationObserver.NONE, silence());
            return Scoring.nextTokenLosses(model, states, chunks);
        }
    }

    private static Progress silence() {
        return Progress.Reporter.none().start("", 1, "");
    }

    static int[][] chunks(int count, int tokens, int vocabulary) {
        SplittableRandom random = new SplittableRandom(count * 1000L + tokens);
        int[][] chunks = new int[count][];
        for (int i = 0; i < count; i++) {
            chunks[i] = random.ints(tokens, 0, vocabulary).toArray();
        }
        return chunks;
    }

    /** The hidden states chunk by chunk. */
    private static double[][] states(HiddenStates states) {
        List<double[]> chunks = new ArrayList<>();
        for (int batch = 0; batch < states.size(); batch++) {
            double[] values = doubles(states.batch(batch));
            int inBatch = (int) states.batch(batch).getShape().get(0);
            int size = values.length / inBatch;
            for (int i = 0; i < inBatch; i++) {
                chunks.add(Arrays.copyOfRange(values, i * size, (i + 1) * size));
            }
        }
        return chunks.toArray(double[][]::new);
    }

    private static double[] doubles(NDArray array) {
        float[] values = array.toFloatArray();
        double[] doubles = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            doubles[i] = values[i];
        }
        return doubles;
    }

    private static double[] flat(double[][] rows) {
        return Arrays.stream(rows).flatMapToDouble(Arrays::stream).toArray();
    }

    private static void assertClose(String what, double[] actual, double[] expected) {
        assertThat(actual).as(what).hasSameSizeAs(expected);
        double largest = Arrays.stream(expected).map(Math::abs).max().orElse(0);
        for (int i = 0; i < actual.length; i++) {
            assertThat(actual[i]).as("%s, value %s", what, i).isCloseTo(expected[i], within(TOLERANCE * largest));
        }
    }
}
