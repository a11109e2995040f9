package dev.ptq.method;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.config.ConfigTable;
import dev.ptq.format.Bounds;
import dev.ptq.format.Formats;
import dev.ptq.format.Grid;
import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.model.Block;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.LowRank;
import dev.ptq.model.LowRankFormats;
import dev.ptq.model.RoundedWeights;
import dev.ptq.model.SyntheticModel;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What methods leave comes back from its files to the bit, and reaches the model that runs. */
class BlockPatchTest {
    private static final String DOWN = "mlp.down_proj";

    private final NDManager manager = TensorEngine.newManager();

    @TempDir
    private Path folder;

    private LanguageModel model;
    private Block block;
    private List<LinearSpec> linears;

    @BeforeEach
    void load() throws IOException {
        SyntheticModel.llama().heads(4, 2).write(folder.resolve("model"));
        model = LanguageModel.open(folder.resolve("model"));
        block = model.load(1);
        linears = block.linears().stream().map(Linear::spec).toList();
    }

    @AfterEach
    void close() throws IOException {
        model.close();
        manager.close();
    }

    private static NumberFormat format(String keys) {
        ConfigTable table = ConfigTable.parse(keys.replace('\'', '"'), "test", List.of(), Formats.SECTION);
        return Formats.read(table, Formats.Use.WEIGHT);
    }

    private Path weights() {
        return folder.resolve("block-1.safetensors");
    }

    private Path factors() {
        return folder.resolve("low_rank.safetensors");
    }

    private BlockPatch stored(BlockPatch patch) throws IOException {
        if (patch.changesWeights()) {
            patch.writeWeights(weights());
        }
        BlockPatch.Factors all = new BlockPatch.Factors();
        all.add(patch, linears);
        all.write(factors());
        return BlockPatch.read(manager, weights(), factors(), linears);
    }

    private LowRank path(LinearSpec linear, int rank) {
        float[] a = new float[linear.inFeatures() * rank];
        float[] b = new float[rank * linear.outFeatures()];
        for (int i = 0; i < a.length; i++) {
            a[i] = i % 7 - 3;
        }
        for (int i = 0; i < b.length; i++) {
            b[i] = (i % 5 - 2) * 0.25f;
        }
        NumberFormat eight = format("format = 'mxint'\nbits = 8\nblock_size = [16, 1]");
        return new LowRank(
                NativeFloats.of(manager, a, linear.inFeatures(), rank),
                NativeFloats.of(manager, b, rank, linear.outFeatures()),
                new LowRankFormats(eight, Optional.empty(), Optional.of(new NoFormat())));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "format = 'int'\nbits = 3",
                "format = 'int'\nbits = 2\nsymmetric = false\nrange = 'mse'",
                "format = 'int'\nbits = 4\ngranularity = 'group'\ngroup_size = 24\nsymmetric = false",
                "format = 'mxint'\nbits = 4",
                "format = 'minifloat'\nbits = 5\nexponent_bits = 2",
                "format = 'fixed'\nbits = 6\nfraction_bits = 7"
            })
    void weightsRunAsTheyWereRounded(String keys) throws IOException {
        NumberFormat format = format(keys);
        BlockPatch patch = new BlockPatch();
        Map<String, float[]> expected = new LinkedHashMap<>();
        for (Linear linear : block.linears()) {
            Grid grid = format.fit(linear.weight(), Operand.WEIGHT).orElseThrow();
            patch.round(linear.spec().path(), grid, 0.125);
            expected.put(
                    linear.spec().weightName(),
                    format.fakeQuantize(linear.weight(), Operand.WEIGHT).toFloatArray());
        }
        BlockPatch read = stored(patch);
        PatchedWeights patched = new PatchedWeights(
                model.weights(),
                LanguageModel.linears(model.config()),
                (index, owner) -> index == 1 ? read : new BlockPatch());
        try (LanguageModel quantized = model.with(patched);
                Block running = quantized.load(1);
                Block other = quantized.load(0)) {
            for (Linear linear : running.linears()) {
                assertThat(linear.weight().toFloatArray())
                        .as(linear.spec().path())
                        .isEqualTo(expected.get(linear.spec().weightName()));
            }
            Linear untouched = other.linear(DOWN);
            assertThat(untouched.weight().toFloatArray())
                    .isEqualTo(model.weights()
                            .load(manager, untouched.spec().weightName())
                            .toFloatArray());
            for (LinearSpec linear : linears) {
                assertThat(read.roundingError(linear.path())).contains(0.125);
            }
            NDArray rows = patched.weight(linears.get(0).weightName()).rows(manager, 1, 3);
            assertThat(rows.toFloatArray())
                    .isEqualTo(running.linear(linears.get(0).path())
                            .weight()
                            .get("1:3")
                            .toFloatArray());
            assertThat(patched.weight(linears.get(0).weightName())
                            .gather(manager, new int[] {2, 1})
                            .get(1)
                            .toFloatArray())
                    .isEqualTo(rows.get(0).toFloatArray());
        }
    }

    @Test
    void codesTakeTheBitsOfTheFormat() throws IOException {
        BlockPatch patch = new BlockPatch();
        Linear down = block.linear(DOWN);
        patch.round(
                DOWN,
                format("format = 'int'\nbits = 3")
                        .fit(down.weight(), Operand.WEIGHT)
                        .orElseThrow(),
                0);
        stored(patch);
        try (Safetensors file = Safetensors.open(weights())) {
            assertThat(file.entries().keySet()).containsExactlyInAnyOrder(DOWN + ".codes", DOWN + ".scale");
            long rowBytes = (down.spec().inFeatures() * 3L + 7) / 8;
            assertThat(shape(file, ".codes")).containsExactly((long) down.spec().outFeatures(), rowBytes);
            assertThat(shape(file, ".scale")).containsExactly((long) down.spec().outFeatures(), 1L);
        }
    }

    private static List<Long> shape(Safetensors file, String part) {
        return Objects.requireNonNull(file.entries().get(DOWN + part)).shape();
    }

    @Test
    void allElseReachesTheBlockToo() throws IOException {
        BlockPatch patch = new BlockPatch();
        int hidden = model.config().hiddenSize();
        NDArray norm = NativeFloats.create(manager, new Shape(hidden));
        NativeFloats.window(norm).put(0, 3.5f);
        patch.change("input_layernorm.weight", norm);
        patch.change("input_layernorm.matrix", manager.eye(hidden));
        patch.change(DOWN + ".bias", manager.ones(new Shape(hidden)));
        LinearSpec up = block.linear("mlp.up_proj").spec();
        LowRank path = path(up, 3);
        patch.correct(up.path(), path);
        patch.range(up.path(), List.of(new Bounds(-1.5f, 2), new Bounds(0, 1)));

        BlockPatch read = stored(patch);

        assertThat(BlockPatch.ranges(weights()))
                .containsExactly(Map.entry(up.path(), List.of(new Bounds(-1.5f, 2), new Bounds(0, 1))));
        assertThat(read.matrixBits()).isEqualTo(32.0 * hidden * hidden);
        LowRank found = read.lowRank(up.path()).orElseThrow();
        assertThat(found.a().toFloatArray()).isEqualTo(path.a().toFloatArray());
        assertThat(found.b().toFloatArray()).isEqualTo(path.b().toFloatArray());
        assertThat(found.formats()).isEqualTo(path.formats());
        assertThat(found.bits()).isEqualTo(path.bits());
        try (Block running = model.load(1)) {
            read.applyTo(running);
            assertThat(running.tensors().keySet()).contains("input_layernorm.matrix", DOWN + ".bias", DOWN + ".weight");
            assertThat(Objects.requireNonNull(running.tensors().get("input_layernorm.weight"))
                            .getFloat(0))
                    .isEqualTo(3.5f);
        }
        PatchedWeights patched =
                new PatchedWeights(model.weights(), LanguageModel.linears(model.config()), (index, owner) -> read);
        assertThat(patched.load(manager, "model.layers.1.input_layernorm.weight")
                        .getFloat(0))
                .isEqualTo(3.5f);
    }

    @Test
    void aPathKeepsWhatItReadsAndWhoSharesItsFactor() throws IOException {
        LinearSpec up = block.linear("mlp.up_proj").spec();
        LowRank plain = path(up, 3);
        LowRankFormats formats = new LowRankFormats(
                plain.formats().factor(), Optional.empty(), Optional.empty(), LowRankFormats.Input.UNROUNDED);
        BlockPatch patch = new BlockPatch();
        patch.correct(up.path(), new LowRank(plain.a(), plain.b(), formats, 2));

        LowRank found = stored(patch).lowRank(up.path()).orElseThrow();

        assertThat(found.formats()).isEqualTo(formats);
        assertThat(found.sharing()).isEqualTo(2);
        double ofA = formats.factor().storageBits(plain.a().getShape(), Operand.FACTOR);
        assertThat(found.bits()).isEqualTo(plain.bits() - ofA / 2);
    }

    /** Files from before there was a choice. */
    @Test
    void aPathThatSaysNeitherReadsWhatTheWeightTakes() throws IOException {
        LinearSpec up = block.linear("mlp.up_proj").spec();
        LowRank plain = path(up, 3);
        SafetensorsWriter.write(
                factors(),
                Map.of(up.module() + ".A", plain.a(), up.module() + ".B", plain.b()),
                Map.of(
                        "version",
                        "2",
                        "paths",
                        "{\"" + up.module()
                                + "\": {\"factor\": \"{ format = 'mxint', bits = 8, block_size = [16, 1] }\","
                                + " \"productA\": null, \"productB\": \"{ format = 'none' }\"}}"));

        LowRank found = BlockPatch.read(manager, weights(), factors(), linears)
                .lowRank(up.path())
                .orElseThrow();

        assertThat(found.formats().input()).isEqualTo(LowRankFormats.Input.ROUNDED);
        assertThat(found.formats().productB()).contains(new NoFormat());
        assertThat(found.sharing()).isEqualTo(1);
    }

    @Test
    void whatIsRoundedToNearestIsStoredNowhere() throws IOException {
        NumberFormat format = format("format = 'int'\nbits = 4");
        RoundedWeights rounded =
                new RoundedWeights(model.weights(), Map.of(linears.get(0).weightName(), format));
        NDArray exact = model.weights().load(manager, linears.get(0).weightName());

        assertThat(rounded.load(manager, linears.get(0).weightName()).toFloatArray())
                .isEqualTo(format.fakeQuantize(exact, Operand.WEIGHT).toFloatArray());
        assertThat(rounded.weight(linears.get(0).weightName())
                        .rows(manager, 2, 3)
                        .toFloatArray())
                .isEqualTo(format.fakeQuantize(exact, Operand.WEIGHT).get(2).toFloatArray());
        assertThat(rounded.load(manager, linears.get(1).weightName()).toFloatArray())
                .isEqualTo(model.weights()
                        .load(manager, linears.get(1).weightName())
                        .toFloatArray());
    }

    @Test
    void damagedFilesAreNamed() throws IOException {
        BlockPatch patch = new BlockPatch();
        patch.round(
                DOWN,
                format("format = 'int'\nbits = 3")
                        .fit(block.linear(DOWN).weight(), Operand.WEIGHT)
                        .orElseThrow(),
                0);
        patch.correct("mlp.up_proj", path(block.linear("mlp.up_proj").spec(), 2));
        stored(patch);
        List<LinearSpec> others =
                linears.stream().filter(linear -> !linear.path().equals(DOWN)).toList();
        assertThatIOException()
                .isThrownBy(() -> BlockPatch.read(manager, weights(), factors(), others))
                .withMessageContainingAll("block-1.safetensors", "no linears [" + DOWN + "]", "another model");

        Map<String, String> metadata;
        try (Safetensors file = Safetensors.open(weights())) {
            metadata = new LinkedHashMap<>(file.metadata());
        }
        SafetensorsWriter.write(weights(), Map.of(), metadata);
        assertThatIOException()
                .isThrownBy(() -> BlockPatch.read(manager, weights(), factors(), linears))
                .withMessageContainingAll("block-1.safetensors", DOWN, "scale");

        metadata.put("version", "1");
        SafetensorsWriter.write(weights(), Map.of(), metadata);
        assertThatIOException()
                .isThrownBy(() -> BlockPatch.read(manager, weights(), factors(), linears))
                .withMessageContainingAll("block-1.safetensors", "version 1", "reads version 2", "--force approximate");

        patch.correct("mlp.up_proj", path(block.linear(DOWN).spec(), 2));
        BlockPatch.Factors wrong = new BlockPatch.Factors();
        wrong.add(patch, linears);
        wrong.write(factors());
        assertThatIOException()
                .isThrownBy(() -> BlockPatch.read(manager, folder.resolve("none"), factors(), linears))
                .withMessageContainingAll("low_rank.safetensors", "model.layers.1.mlp.up_proj", "expected factors");
    }
}
