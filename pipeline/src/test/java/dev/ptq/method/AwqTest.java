package dev.ptq.method;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.artifact.LedgerEntry;
import dev.ptq.artifact.LedgerEvent;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.ExpertTokens;
import dev.ptq.calibrate.Statistic;
import dev.ptq.calibrate.TokenSample;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.config.ConfigTable;
import dev.ptq.format.Formats;
import dev.ptq.format.Grid;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.method.ScaleCandidates.Candidate;
import dev.ptq.method.ScaleCandidates.Duo;
import dev.ptq.method.ScaleCandidates.Last;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.Block;
import dev.ptq.model.BlockPass;
import dev.ptq.model.HookPoint;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.ModelFormats;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.SyntheticModel;
import dev.ptq.model.TinyFamilies;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The parts of AWQ against plain loops, and what holds of it on every model. */
class AwqTest {
    private static final int[][] SAMPLES = {{3, 9, 27, 81, 50, 11, 7, 7}, {2, 4, 8, 16, 32, 64, 1, 5}};

    @TempDir
    private Path folder;

    private final NDManager manager = TensorEngine.newManager();

    @AfterEach
    void close() {
        manager.close();
    }

    private static Method method(String keys) {
        ConfigTable table = ConfigTable.parse(keys.replace('\'', '"'), "test", List.of(), Methods.SECTION);
        Method method = Methods.read(table);
        table.finish();
        return method;
    }

    private static float[] random(int seed, int count) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) (random.nextGaussian() * (1 + i % 4));
        }
        return values;
    }

    @Test
    void candidatesAreThoseOfTheTools() {
        assertThat(new ScaleCandidates(19, Last.ONE, Duo.ON, true).all())
                .hasSize(19)
                .startsWith(new Candidate(0, true), new Candidate(1 / 18.0, true))
                .endsWith(new Candidate(1, true));
        assertThat(new ScaleCandidates(20, Last.BELOW_ONE, Duo.OFF, true).all())
                .hasSize(19)
                .startsWith(new Candidate(0.05, false))
                .endsWith(new Candidate(0.95, false));
        assertThat(new ScaleCandidates(20, Last.BELOW_ONE, Duo.ON, false).all())
                .hasSize(20)
                .startsWith(new Candidate(0, true));
        assertThat(new ScaleCandidates(2, Last.ONE, Duo.BOTH, true).all())
                .containsExactly(new Candidate(0, true), new Candidate(1, false), new Candidate(1, true));
        assertThat(new ScaleCandidates(1, Last.ONE, Duo.OFF, true).all()).isEmpty();
        assertThat(new ScaleCandidates(1, Last.ONE, Duo.OFF, false).all()).containsExactly(new Candidate(0, false));
    }

    @ParameterizedTest
    @CsvSource({"0, false", "0, true", "0.35, false", "0.35, true", "1, false", "1, true"})
    void factorsAreThoseOfTheFormula(double ratio, boolean duo) {
        // a channel that is always zero, and weights that are
        float[] x = {0.5f, 2, 0, 8, 1e-3f};
        float[] w = {0.1f, 0.4f, 0.3f, 0, 1};
        double[] expected = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            double plain = Math.pow(x[i], ratio);
            expected[i] = Math.max(1e-4, duo ? plain / (Math.pow(w[i], 1 - ratio) + 1e-4) : plain);
        }
        double middle = Math.sqrt(Arrays.stream(expected).max().orElseThrow()
                * Arrays.stream(expected).min().orElseThrow());
        float[] found = new Candidate(ratio, duo).factors(x, w);
        for (int i = 0; i < x.length; i++) {
            assertThat((double) found[i]).isCloseTo(expected[i] / middle, within(1e-6 * expected[i] / middle));
        }
        assertThat(new Candidate(ratio, duo).factors(new float[] {7}, new float[] {0.2f}))
                .as("one channel")
                .containsExactly(1);
        assertThat(new Candidate(ratio, duo).factors(new float[] {Float.NaN, 1}, new float[] {0.2f, 1}))
                .as("of no tokens")
                .doesNotContain(Float.NaN);
    }

    private static Linear linear(NDArray weight) {
        int rows = (int) weight.getShape().get(0);
        int columns = (int) weight.getShape().get(1);
        return new Linear(new LinearSpec(0, "m", "m", HookPoint.MLP_MID, rows, columns, false), weight, null);
    }

    /** Groups of five do not divide thirteen columns. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "granularity = 'group', group_size = 5",
                "granularity = 'channel'",
                "granularity = 'tensor'",
                "granularity = 'group', group_size = 64"
            })
    void weightsCountAsSharesOfTheirGroup(String granularity) {
        NumberFormat format =
                Formats.parse("{ format = 'int', bits = 3, " + granularity + " }".replace('\'', '"'), "test");
        float[][] weights = {random(1, 4 * 13), new float[2 * 13]};
        int size = granularity.contains("5") ? 5 : 13;
        double[] sums = new double[13];
        WeightMeans means = new WeightMeans(13);
        for (float[] weight : weights) {
            means.add(linear(NativeFloats.of(manager, weight, weight.length / 13, 13)), format);
            for (int i = 0; i < weight.length; i++) {
                double largest = 0;
                for (int k = 0; k < weight.length; k++) {
                    boolean isSame =
                            granularity.contains("tensor") || (k / 13 == i / 13 && k % 13 / size == i % 13 / size);
                    largest = isSame ? Math.max(largest, Math.abs(weight[k])) : largest;
                }
                sums[i % 13] += Math.abs(weight[i]) / (largest + 1e-6) / 6;
            }
        }
        float[] found = means.means();
        for (int i = 0; i < 13; i++) {
            assertThat((double) found[i]).isCloseTo(sums[i], within(1e-6));
        }
    }

    /** Each group by itself, with all others as they are: rounding in one does not depend on another. */
    @ParameterizedTest
    @CsvSource({
        "5, own, 9",
        "5, symmetric, 9",
        "13, own, 9",
        "13, symmetric, 1",
        "1, own, 4",
        "16, own, 4",
    })
    void clippingFindsTheBestRangeOfEachGroup(int size, String ends, int tokens) throws IOException {
        NumberFormat format = Formats.parse(
                "{ format = \"int\", bits = 2, symmetric = false, granularity = \"group\", group_size = " + size + " }",
                "test");
        float[] weight = random(3, 4 * 13);
        Arrays.fill(weight, 26, 39, 0);
        float[] input = random(4, tokens * 13);
        boolean isSymmetric = ends.equals("symmetric");
        ClipSearch search =
                new ClipSearch(10, 0.55, 512, isSymmetric ? ClipSearch.Ends.SYMMETRIC : ClipSearch.Ends.OWN, false);
        NDArray tensor = NativeFloats.of(manager, weight, 4, 13);
        ClipSearch.Found found = search.run(tensor, format, NativeFloats.of(manager, input, tokens, 13));
        float[] expected = weight.clone();
        double whole = 0;
        double kept = 0;
        int clipped = 0;
        int groups = 0;
        for (int row = 0; row < 4; row++) {
            for (int from = 0; from < 13; from += size, groups++) {
                int to = Math.min(13, from + size);
                float[] group = Arrays.copyOfRange(weight, row * 13 + from, row * 13 + to);
                double best = Double.POSITIVE_INFINITY;
                boolean isClipped = false;
                for (int step = 0; step < 10; step++) {
                    float[] trial = clamped(group, (float) (1 - step * 0.05), isSymmetric);
                    float[] rounded = format.fakeQuantize(
                                    NativeFloats.of(manager, trial, 1, trial.length), Operand.WEIGHT)
                            .toFloatArray();
                    double error = 0;
                    for (int token = 0; token < tokens; token++) {
                        double output = 0;
                        for (int i = from; i < to; i++) {
                            output += (rounded[i - from] - group[i - from]) * (double) input[token * 13 + i];
                        }
                        error += output * output / tokens;
                    }
                    whole += step == 0 ? error / 4 : 0;
                    if (error < best) {
                        best = error;
                        isClipped = step > 0;
                        System.arraycopy(trial, 0, expected, row * 13 + from, trial.length);
                    }
                }
                kept += best / 4;
                clipped += isClipped ? 1 : 0;
            }
        }
        float[] values = found.weight().toFloatArray();
        for (int i = 0; i < values.length; i++) {
            assertThat(values[i]).as("value %d", i).isCloseTo(expected[i], within(1e-5f));
        }
        assertThat(found.clipped()).isEqualTo(clipped / (double) groups);
        assertThat(found.nearestLoss()).isCloseTo(whole, within(1e-5 * whole + 1e-12));
        assertThat(found.loss()).isCloseTo(kept, within(1e-5 * kept + 1e-12)).isLessThanOrEqualTo(found.nearestLoss());
        assertThat(tensor.toFloatArray()).as("the weight").isEqualTo(weight);
    }

    private static float[] clamped(float[] group, float share, boolean isSymmetric) {
        float low = Float.POSITIVE_INFINITY;
        float high = Float.NEGATIVE_INFINITY;
        for (float value : group) {
            low = Math.min(low, value);
            high = Math.max(high, value);
        }
        float largest = Math.max(-low, high);
        float[] clamped = group.clone();
        for (int i = 0; i < clamped.length; i++) {
            clamped[i] = Math.min(
                    Math.max(clamped[i], (isSymmetric ? -largest : low) * share),
                    (isSymmetric ? largest : high) * share);
        }
        return clamped;
    }

    /** Rows of a block of rows have one range. */
    @Test
    void groupsMayHaveSeveralRows() throws IOException {
        NumberFormat format = Formats.parse("{ format = \"int\", bits = 2, granularity = \"tensor\" }", "test");
        NDArray weight = NativeFloats.of(manager, random(5, 6 * 8), 6, 8);
        ClipSearch.Found found = new ClipSearch(4, 0.4, 8, ClipSearch.Ends.SYMMETRIC, false)
                .run(weight, format, NativeFloats.of(manager, random(6, 8 * 8), 8, 8));
        assertThat(found.clipped()).isIn(0.0, 1.0);
        NDArray error = format.fakeQuantize(found.weight(), Operand.WEIGHT).sub(weight);
        NDArray moved = NativeFloats.of(manager, random(6, 8 * 8), 8, 8).matMul(error.transpose(1, 0));
        double loss = moved.square().sum().getFloat() / 48.0;
        assertThat(found.loss()).isCloseTo(loss, within(1e-5 * loss)).isLessThan(found.nearestLoss());
    }

    @ParameterizedTest
    @CsvSource({"1, 4, 1", "7, 4, 1", "8, 4, 2", "9, 4, 2", "16, 4, 4", "100, 4, 16", "5, 1, 8", "0, 3, 1"})
    void everyFewTokensAreKept(int tokens, int count, int stride) {
        float[] values = new float[tokens * 2];
        for (int i = 0; i < values.length; i++) {
            int token = i / 2;
            values[i] = token;
        }
        TokenSample sample = new TokenSample(count, false);
        int first = Math.min(3, tokens);
        if (tokens > 0) {
            sample.observe(
                    0, HookPoint.MLP_IN, NativeFloats.of(manager, Arrays.copyOf(values, first * 2), 1, first, 2));
        }
        if (tokens > first) {
            sample.observe(
                    0,
                    HookPoint.MLP_IN,
                    NativeFloats.of(
                            manager, Arrays.copyOfRange(values, first * 2, values.length), 1, tokens - first, 2));
        }
        List<Float> expected = new ArrayList<>();
        for (int i = 0; i < tokens; i += stride) {
            expected.add((float) i);
            expected.add((float) i);
        }
        List<Float> found = new ArrayList<>();
        for (float value : sample.of(manager, HookPoint.MLP_IN, 2).toFloatArray()) {
            found.add(value);
        }
        assertThat(found).isEqualTo(expected);
    }

    /** A model, its second block, and samples before it. */
    private static final class Setting implements AutoCloseable {
        private final LanguageModel model;
        private final ModelFormats formats;
        private final BlockSamples samples;
        private final Block block;

        Setting(Path path, String weights) throws IOException {
            model = LanguageModel.open(path);
            formats = ModelFormats.of(
                    QuantizationSettings.read(
                            ConfigTable.parse("weight = " + weights, "test", List.of(), QuantizationSettings.SECTION)),
                    model.config());
            samples = new BlockSamples(model, SAMPLES, 1);
            try (Block first = model.load(0)) {
                samples.enter(first);
                samples.leave(first);
            }
            block = model.load(1);
            samples.enter(block);
        }

        BlockContext context() {
            WantedStatistics wanted = WantedStatistics.ofEvery(EnumSet.of(Statistic.MEAN_ABS, Statistic.HESSIAN));
            ActivationStatistics statistics = samples.statistics(block, wanted);
            return new BlockContext(
                    new BlockContext.Setting(model.config(), formats, wanted, ExpertTokens.none()),
                    block,
                    statistics,
                    Optional.of(samples),
                    1);
        }

        @Override
        public void close() throws IOException {
            samples.close();
            block.close();
            model.close();
        }
    }

    static Stream<Path> few() throws IOException {
        return TinyFamilies.few().stream();
    }

    static Stream<Path> families() throws IOException {
        return TinyFamilies.folders().stream();
    }

    private static final String GROUPS =
            "{ format = \"int\", bits = 3, granularity = \"group\", group_size = 12, symmetric = false }";

    /** Also fused ones, mixtures, and those with few mappings. */
    @ParameterizedTest
    @MethodSource("few")
    void aFewFamiliesKeepTheirFunctionAndLoseNothing(Path family) throws IOException {
        assertHarmless(family);
    }

    @ParameterizedTest
    @MethodSource("families")
    @Tag("slow")
    void everyFamilyKeepsItsFunctionAndLosesNothing(Path family) throws IOException {
        assertHarmless(family);
    }

    private void assertHarmless(Path family) throws IOException {
        for (String preset : List.of("none", "llm_compressor", "original", "gptqmodel")) {
            try (Setting setting = new Setting(family, GROUPS)) {
                BlockContext context = setting.context();
                method("method = 'awq'\nclip = false\npreset = '" + preset + "'")
                        .apply(context);
                for (BlockContext.ScaleReport report : context.scaleReports()) {
                    if (preset.equals("gptqmodel")) {
                        assertThat(report.ratio()).as("%s", report).isPresent();
                    } else {
                        assertThat(report.loss()).as("%s", report).isLessThanOrEqualTo(report.nearestLoss());
                        assertThat(report.ratio().isPresent())
                                .as("%s", report)
                                .isEqualTo(report.note().isEmpty());
                    }
                }
                assertThat(setting.samples.distance(context.block())).isLessThan(1e-4);
            }
        }
        try (Setting setting = new Setting(family, GROUPS)) {
            BlockContext context = setting.context();
            method("method = 'awq'").apply(context);
            assertThat(context.clipReports()).isNotEmpty().allMatch(report -> report.loss() <= report.nearestLoss());
            context.reportFold("awq", setting.samples);
            assertThat(context.foldReports()).allMatch(fold -> fold.distance() < 1e-4);
            BlockPatch patch = context.finish();
            for (Linear linear : setting.block.linears()) {
                assertThat(patch.grid(linear.spec().path())
                                .map(grid -> grid.values(manager))
                                .orElseGet(() -> context.roundedToNearest(linear.spec(), linear.weight()))
                                .toFloatArray())
                        .doesNotContain(Float.NaN);
            }
        }
    }

    private Path llama() throws IOException {
        Path path = folder.resolve("llama");
        SyntheticModel.llama().heads(4, 2).write(path);
        return path;
    }

    /** What the reports say is what the rescaled block, rounded, does to the outputs of its parts. */
    @Test
    void errorsAreThoseOfTheOutputs() throws IOException {
        try (Setting setting = new Setting(llama(), GROUPS);
                BlockPass pass = new BlockPass(setting.model)) {
            BlockContext context = setting.context();
            method("method = 'awq'\nclip = false\npropagate = 'full_precision'").apply(context);
            assertThat(context.scaleReports()).hasSize(4);
            assertThat(context.scaleReports().get(2).mapping()).isEqualTo("mlp_in");
            for (Block of : List.of(setting.block, context.block())) {
                Map<String, NDArray> gateAndUp = new HashMap<>();
                Map<String, NDArray> down = new HashMap<>();
                for (Linear linear : of.linears()) {
                    String path = linear.spec().path();
                    NDArray rounded = context.roundedToNearest(linear.spec(), linear.weight());
                    if (path.contains("gate") || path.contains("up")) {
                        gateAndUp.put(path + ".weight", rounded);
                    } else if (path.contains("down")) {
                        down.put(path + ".weight", rounded);
                    }
                }
                // the stream beside the MLP is the same
                BlockContext.ScaleReport mlp = context.scaleReports().get(2);
                BlockContext.ScaleReport middle = context.scaleReports().get(3);
                boolean isBefore = of == setting.block;
                double ofMlp = error(pass, of, of.with(gateAndUp), setting);
                double ofDown = error(pass, of, of.with(down), setting);
                double expected = isBefore ? mlp.nearestLoss() : mlp.loss();
                double expectedDown = isBefore ? middle.nearestLoss() : middle.loss();
                assertThat(ofMlp).isCloseTo(expected, within(1e-3 * expected));
                assertThat(ofDown).isCloseTo(expectedDown, within(1e-3 * expectedDown));
            }
        }
    }

    private static double error(BlockPass pass, Block block, Block other, Setting setting) {
        double sum = 0;
        for (int i = 0; i < SAMPLES.length; i++) {
            NDArray input = setting.samples.full().batch(i);
            NDArray moved = pass.forward(other, input, ActivationObserver.NONE)
                    .sub(pass.forward(block, input, ActivationObserver.NONE));
            sum += NativeFloats.sumOfSquares(moved) / moved.size() / SAMPLES.length;
        }
        return sum;
    }

    /** Weights that are on their grid lose nothing by rounding. */
    @Test
    void whereNothingIsBetterFactorsStayOne() throws IOException {
        try (Setting setting = new Setting(llama(), "{ format = \"int\", bits = 4 }")) {
            Map<String, NDArray> tensors = new HashMap<>();
            for (Linear linear : setting.block.linears()) {
                NDArray weight = linear.weight().sign();
                tensors.put(linear.spec().path() + ".weight", weight);
            }
            setting.block.replace(tensors);
            BlockContext context = setting.context();
            method("method = 'awq'").apply(context);
            assertThat(context.scaleReports())
                    .hasSize(4)
                    .allMatch(report -> report.note().equals("no factors are better than 1") && report.loss() == 0);
            assertThat(context.clipReports()).allMatch(report -> report.clipped() == 0);
            assertThat(context.finish().changesWeights()).isFalse();
        }
    }

    @Test
    void whatHasNoFormatIsLeftAlone() throws IOException {
        try (Setting setting = new Setting(
                llama(), "{ format = \"none\" }\n[[override]]\npattern = '.*down_proj.*'\nweight = " + GROUPS)) {
            BlockContext context = setting.context();
            method("method = 'awq'").apply(context);
            assertThat(context.ledger())
                    .hasSize(3)
                    .allMatch(entry -> entry.event() == LedgerEvent.NOT_RESCALED
                            && entry.note().equals("no weight behind it has a format; not rescaled"));
            assertThat(context.scaleReports()).hasSize(1);
            assertThat(context.clipReports()).hasSize(1);
        }
        try (Setting setting = new Setting(llama(), GROUPS)) {
            BlockContext context = setting.context();
            method("method = 'awq'\npreset = 'gptqmodel'").apply(context);
            assertThat(context.ledger())
                    .contains(new LedgerEntry(
                            LedgerEvent.NOT_RESCALED,
                            "awq",
                            "blocks.1.v_o",
                            1,
                            "several query heads share a head of values; not rescaled"));
            assertThat(context.clipReports().stream()
                            .map(report -> report.linear().path()))
                    .hasSize(5)
                    .noneMatch(path -> path.contains("q_proj") || path.contains("k_proj"));
        }
    }

    /** Later steps round the clipped weight, and the error they leave or correct is that of the unclipped one. */
    @Test
    void clippedWeightsAreRoundedAndTheirErrorsAreThoseOfTheOthers() throws IOException {
        try (Setting setting = new Setting(llama(), GROUPS)) {
            BlockContext context = setting.context();
            method("method = 'awq'\nmappings = []").apply(context);
            LinearSpec spec = setting.block.linear("mlp.down_proj").spec();
            NDArray original = setting.block.linear("mlp.down_proj").weight();
            Linear clipped = context.block().linear("mlp.down_proj");
            assertThat(clipped.weight().abs().max().getFloat())
                    .isLessThan(original.abs().max().getFloat());
            NDArray rounded = context.roundedToNearest(spec, clipped.weight());
            assertThat(context.quantizationError(clipped).toFloatArray())
                    .isEqualTo(original.sub(rounded).toFloatArray());
            method("method = 'gptq'").apply(context);
            method("method = 'l2qer'\nrank = 2").needs();
            BlockPatch patch = context.finish();
            Grid grid = patch.grid(spec.path()).orElseThrow();
            double error = Math.sqrt(NativeFloats.sumOfSquares(original.sub(grid.values(manager)))
                    / NativeFloats.sumOfSquares(original));
            assertThat(patch.roundingError(spec.path()).orElseThrow()).isCloseTo(error, within(1e-6));
        }
    }
}
