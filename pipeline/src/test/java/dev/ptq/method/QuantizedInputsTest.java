package dev.ptq.method;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.ExpertTokens;
import dev.ptq.calibrate.Statistic;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.config.ConfigTable;
import dev.ptq.format.Operand;
import dev.ptq.model.Block;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.LowRank;
import dev.ptq.model.ModelFormats;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.SyntheticModel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Statistics of what flows into linears when the linears before them are quantized, and low-rank parts of weights. */
class QuantizedInputsTest {
    private static final String FORMATS = """
            weight = { format = "int", bits = 3 }
            activation = { format = "int", bits = 5 }
            attention.left = { format = "int", bits = 6 }
            attention.right = { format = "int", bits = 6 }
            """;

    @TempDir
    private Path folder;

    private LanguageModel model;
    private ModelFormats formats;
    private BlockSamples samples;
    private Block block;

    /** The second block, with samples that reached it through a quantized first one. */
    @BeforeEach
    void enter() throws IOException {
        SyntheticModel.llama().heads(4, 2).write(folder);
        model = LanguageModel.open(folder);
        formats = ModelFormats.of(
                QuantizationSettings.read(ConfigTable.parse(FORMATS, "test", List.of(), QuantizationSettings.SECTION)),
                model.config());
        samples = new BlockSamples(model, new int[][] {{3, 9, 27, 81, 50, 11}, {2, 4, 8, 16, 32, 64}}, 1);
        try (Block first = model.load(0)) {
            samples.enter(first);
        }
        try (Block first = quantized(0)) {
            samples.leave(first);
        }
        block = model.load(1);
        samples.enter(block);
    }

    @AfterEach
    void close() throws IOException {
        samples.close();
        model.close();
    }

    private Block quantized(int index) throws IOException {
        Block running = model.load(index);
        running.linears().forEach(linear -> linear.replaceWeight(nearest(linear)));
        formats.applyTo(running);
        return running;
    }

    private NDArray nearest(Linear linear) {
        return formats.of(linear.spec()).weight().fakeQuantize(linear.weight(), Operand.WEIGHT);
    }

    private BlockContext context() {
        return new BlockContext(
                new BlockContext.Setting(
                        model.config(), formats, WantedStatistics.ofEvery(Set.of()), ExpertTokens.none()),
                block,
                ActivationStatistics.none(),
                Optional.of(samples),
                1);
    }

    private static Method method(String keys) {
        ConfigTable table = ConfigTable.parse(keys.replace('\'', '"'), "test", List.of(), Methods.SECTION);
        Method method = Methods.read(table);
        table.finish();
        return method;
    }

    private LinearSpec spec(String path) {
        return block.linear(path).spec();
    }

    private float[] taken(BlockContext context, Method step, String path) {
        return context.statistics(step, spec(path)).of(spec(path), Statistic.SECOND_MOMENT);
    }

    private float[] observed(Block running, String path) {
        return samples.statistics(
                        running, samples.quantized(), WantedStatistics.ofEvery(Set.of(Statistic.SECOND_MOMENT)))
                .of(spec(path), Statistic.SECOND_MOMENT);
    }

    @Test
    void quantizedInputsAreThoseThatTheBlocksBeforeGive() {
        Method step = method("method = 'qera_approx'\nrank = 2\ninputs = 'quantized'");
        BlockContext context = context();
        for (String path : List.of("self_attn.q_proj", "self_attn.o_proj", "mlp.down_proj")) {
            assertThat(taken(context, step, path)).isEqualTo(observed(block, path));
            assertThat(taken(context, step, path))
                    .isNotEqualTo(samples.statistics(block, WantedStatistics.ofEvery(Set.of(Statistic.SECOND_MOMENT)))
                            .of(spec(path), Statistic.SECOND_MOMENT));
        }
    }

    @Test
    void trueSequentialInputsAreThoseThatTheLinearsBeforeGive() throws IOException {
        Method step = method("method = 'qera_approx'\nrank = 2\ninputs = 'true_sequential'");
        BlockContext context = context();
        assertThat(taken(context, step, "self_attn.q_proj")).isEqualTo(observed(block, "self_attn.q_proj"));
        try (Block running = quantized(1)) {
            for (String path : List.of("self_attn.o_proj", "mlp.up_proj", "mlp.down_proj")) {
                assertThat(taken(context, step, path)).as(path).isEqualTo(observed(running, path));
                assertThat(taken(context, step, path)).as(path).isNotEqualTo(observed(block, path));
            }
        }
    }

    /** What a step itself did to the linears before counts: their low-rank paths run. */
    @Test
    void pathsOfTheLinearsBeforeRunToo() throws IOException {
        Method step = method("method = 'qera_approx'\nrank = 4\ninputs = 'true_sequential'");
        BlockContext context = context();
        step.apply(context);
        BlockPatch patch = context.finish();
        try (Block running = quantized(1)) {
            for (Linear linear : running.linears()) {
                patch.lowRank(linear.spec().path()).ifPresent(linear::correct);
            }
            assertThat(taken(context, step, "mlp.down_proj")).isEqualTo(observed(running, "mlp.down_proj"));
        }
    }

    @Test
    void thePartOfAWeightAndItsRoundedRestAreWhatRuns() throws IOException {
        Method step = method("method = 'lqer'\nrank = 5\nof = 'weight'\nfactor = { format = 'none' }");
        BlockContext context = context();
        Map<String, NDArray> exact = block.tensors();
        step.apply(context);
        BlockPatch patch = context.finish();
        for (Linear linear : block.linears()) {
            LowRank path = patch.lowRank(linear.spec().path()).orElseThrow();
            NDArray weight = Objects.requireNonNull(exact.get(linear.spec().path() + ".weight"));
            NDArray rest = weight.sub(path.a().matMul(path.b()).transpose(1, 0));
            NDArray rounded = formats.of(linear.spec()).weight().fakeQuantize(rest, Operand.WEIGHT);
            assertThat(patch.grid(linear.spec().path())
                            .orElseThrow()
                            .values(block.manager())
                            .toFloatArray())
                    .isEqualTo(rounded.toFloatArray());
            double error = Math.sqrt(rest.sub(rounded).square().sum().getFloat()
                    / weight.square().sum().getFloat());
            assertThat(patch.roundingError(linear.spec().path()).orElseThrow()).isCloseTo(error, within(1e-5));
            BlockContext.LayerReport report = context.layerReports().stream()
                    .filter(row -> row.linear().equals(linear.spec()))
                    .findFirst()
                    .orElseThrow();
            assertThat(report.errorAfter()).isCloseTo(error, within(1e-5)).isLessThan(report.errorBefore());
        }
    }

    /** A method that learns after a split trains the rest of the weight beside the path. */
    @Test
    void learningGoesOnBesideThePart() throws IOException {
        BlockContext context = context();
        method("method = 'lqer'\nrank = 4\nof = 'weight'").apply(context);
        method("method = 'omniquant'\nlet = false\nepochs = 4").apply(context);
        BlockContext.BlockReport report = context.blockReports().get(0);
        BlockContext plain = context();
        method("method = 'omniquant'\nlet = false\nepochs = 4").apply(plain);

        assertThat(report.finalLoss()).isLessThanOrEqualTo(report.initialLoss());
        assertThat(report.nearestLoss()).isLessThan(plain.blockReports().get(0).nearestLoss());
    }
}
