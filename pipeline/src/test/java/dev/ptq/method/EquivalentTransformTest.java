package dev.ptq.method;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.Block;
import dev.ptq.model.BlockPass;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.BlockRunner.BlockChange;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.HookPoint;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Scoring;
import dev.ptq.model.SmoothingMapping;
import dev.ptq.model.SyntheticModel;
import dev.ptq.model.TinyFamilies;
import dev.ptq.progress.Progress;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Transforms leave what a block computes as it is, whatever their parameters. */
class EquivalentTransformTest {
    /** Of the largest output: float32 sums of about a hundred terms, some twice. */
    private static final double TOLERANCE = 2e-5;

    @TempDir
    private Path folder;

    static Stream<Arguments> models() {
        return Stream.of(
                Arguments.of("llama", SyntheticModel.llama()),
                Arguments.of("grouped keys", SyntheticModel.llama().heads(8, 2)),
                Arguments.of("one key for all", SyntheticModel.llama().heads(4, 1)),
                Arguments.of("biases", SyntheticModel.llama().heads(8, 4).biases(true, true)),
                Arguments.of(
                        "heads wider than the stream",
                        SyntheticModel.llama().heads(4, 2).headDim(24)),
                Arguments.of("OPT", SyntheticModel.opt()),
                Arguments.of("OPT without biases", SyntheticModel.opt().biases(false, false)),
                Arguments.of("post-norm", SyntheticModel.opt().postNorm()));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("models")
    void functionIsPreserved(String name, SyntheticModel synthetic) throws IOException {
        assertThat(preservedBy(name, synthetic.write(folder))).isGreaterThan(4);
    }

    static Stream<Path> families() throws IOException {
        return TinyFamilies.folders().stream();
    }

    /** Also where linears are fused, rotations are partial or of neighbours, and norms are stored less one. */
    @ParameterizedTest
    @MethodSource("families")
    void functionOfEveryFamilyIsPreserved(Path family) throws IOException {
        assertThat(preservedBy(family.getFileName().toString(), family)).isPositive();
    }

    /** Tries all transforms of a model; returns how many there are. */
    private static int preservedBy(String name, Path folder) throws IOException {
        int tried = 0;
        try (LanguageModel model = LanguageModel.open(folder);
                Block block = model.load(1);
                BlockPass pass = new BlockPass(model);
                HiddenStates states = model.embed(new int[][] {{5, 3, 81, 12, 40, 7, 7}, {1, 2, 3, 4, 5, 6, 9}}, 2)) {
            NDManager manager = block.manager();
            NDArray before = pass.forward(block, states.batch(0), ActivationObserver.NONE);
            HeadLayout heads = HeadLayout.of(model.config().block(0).attention());
            FusedParts fused = new FusedParts(model.config().block(1));
            for (SmoothingMapping mapping : LanguageModel.mappings(model.config(), 1)) {
                for (EquivalentTransform transform : transforms(manager, block, mapping, heads, true)) {
                    scramble(transform, 7 + tried);
                    Map<String, NDArray> tensors = block.tensors();
                    Map<String, NDArray> apart = fused.apart(tensors);
                    transform.apply(apart);
                    Map<String, NDArray> transformed = fused.together(apart);
                    assertThat(transformed).as("%s changes tensors", mapping).isNotEqualTo(tensors);
                    assertThat(difference(
                                    before, pass.forward(block.with(transformed), states.batch(0), (b, s, x) -> {})))
                            .as("%s of %s", transform.parameters().get(0).name(), name)
                            .isLessThan(TOLERANCE);
                    tried++;
                }
            }
        }
        return tried;
    }

    /** Every mapping of every block at once: the logits of the whole model stay. */
    @ParameterizedTest
    @MethodSource("families")
    void logitsOfEveryFamilyArePreserved(Path family) throws IOException {
        int[][] chunks = {{5, 3, 81, 12, 40, 7, 7}, {1, 2, 3, 4, 5, 6, 9}};
        try (LanguageModel model = LanguageModel.open(family)) {
            NDArray before = logits(model, chunks, BlockChange.none());
            for (int which = 0; which < 2; which++) {
                int choice = which;
                BlockChange change = block -> {
                    HeadLayout heads =
                            HeadLayout.of(model.config().block(block.index()).attention());
                    FusedParts fused = new FusedParts(model.config().block(block.index()));
                    Map<String, NDArray> apart = fused.apart(block.tensors());
                    for (SmoothingMapping mapping : LanguageModel.mappings(model.config(), block.index())) {
                        List<EquivalentTransform> all = transforms(block.manager(), block, mapping, heads, true);
                        EquivalentTransform transform = all.get(Math.min(choice, all.size() - 1));
                        scramble(transform, choice + mapping.hashCode());
                        transform.apply(apart);
                    }
                    block.replace(fused.together(apart));
                };
                assertThat(difference(before, logits(model, chunks, change)))
                        .as("choice %d", which)
                        .isLessThan(1e-4);
            }
        }
    }

    private static NDArray logits(LanguageModel model, int[][] chunks, BlockChange change) throws IOException {
        HiddenStates states = model.embed(chunks, chunks.length);
        try (BlockRunner runner = new BlockRunner(model, change, false);
                Progress progress = Progress.Reporter.none().start("", 1, "")) {
            runner.run(states, ActivationObserver.NONE, progress);
            return Scoring.logits(model, states, 0);
        }
    }

    /** One mapping after the other, in the order of the computation, is a transform too. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("models")
    void allEdgesTogether(String name, SyntheticModel synthetic) throws IOException {
        synthetic.write(folder);
        try (LanguageModel model = LanguageModel.open(folder);
                Block block = model.load(0);
                BlockPass pass = new BlockPass(model);
                HiddenStates states = model.embed(new int[][] {{5, 3, 81, 12, 40, 7, 7}}, 1)) {
            HeadLayout heads = HeadLayout.of(model.config().block(0).attention());
            NDArray before = pass.forward(block, states.batch(0), ActivationObserver.NONE);
            for (int which = 0; which < 2; which++) {
                Map<String, NDArray> tensors = block.tensors();
                for (SmoothingMapping mapping : LanguageModel.mappings(model.config(), 0)) {
                    List<EquivalentTransform> all = transforms(block.manager(), block, mapping, heads, true);
                    EquivalentTransform transform = all.get(Math.min(which, all.size() - 1));
                    scramble(transform, which + mapping.hashCode());
                    transform.apply(tensors);
                }
                assertThat(difference(before, pass.forward(block.with(tensors), states.batch(0), (b, s, x) -> {})))
                        .isLessThan(4 * TOLERANCE);
            }
        }
    }

    /** With rotary positions, a factor for each channel of queries and keys changes the function. */
    @Test
    void freeFactorsBetweenRotatedQueriesAndKeysAreNotEquivalent() throws IOException {
        SyntheticModel.llama().write(folder);
        try (LanguageModel model = LanguageModel.open(folder);
                Block block = model.load(0);
                BlockPass pass = new BlockPass(model);
                HiddenStates states = model.embed(new int[][] {{5, 3, 81, 12, 40, 7, 7}}, 1)) {
            NDArray before = pass.forward(block, states.batch(0), ActivationObserver.NONE);
            HeadLayout heads = HeadLayout.of(model.config().block(0).attention());
            SmoothingMapping mapping = LanguageModel.mappings(model.config(), 0).stream()
                    .filter(found -> found.kind() == SmoothingMapping.Kind.QUERY_KEY)
                    .findFirst()
                    .orElseThrow();
            for (EquivalentTransform transform : transforms(block.manager(), block, mapping, heads, false)) {
                scramble(transform, 3);
                Map<String, NDArray> tensors = block.tensors();
                transform.apply(tensors);
                assertThat(difference(before, pass.forward(block.with(tensors), states.batch(0), (b, s, x) -> {})))
                        .isGreaterThan(1e-3);
            }
        }
    }

    static Stream<Arguments> smallModels() {
        return Stream.of(
                Arguments.of(
                        "llama",
                        SyntheticModel.llama()
                                .sizes(8, 12)
                                .heads(4, 2)
                                .headDim(4)
                                .biases(true, true)),
                Arguments.of("OPT", SyntheticModel.opt().sizes(8, 12).heads(2, 2)));
    }

    /** The gradient of a random linear form of all tensors, in every parameter. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("smallModels")
    void gradients(String name, SyntheticModel synthetic) throws IOException {
        synthetic.write(folder);
        try (LanguageModel model = LanguageModel.open(folder);
                Block block = model.load(0)) {
            NDManager manager = block.manager();
            HeadLayout heads = HeadLayout.of(model.config().block(0).attention());
            Map<String, NDArray> wide = new HashMap<>();
            block.tensors().forEach((tensor, values) -> wide.put(tensor, values.toType(DataType.FLOAT64, true)));
            for (SmoothingMapping mapping : LanguageModel.mappings(model.config(), 0)) {
                for (EquivalentTransform transform : transforms(manager, block, mapping, heads, true)) {
                    scramble(transform, 11);
                    transform.parameters().forEach(parameter -> parameter.convert(DataType.FLOAT64));
                    List<NDArray> variables = transform.parameters().stream()
                            .map(Parameter::tensor)
                            .toList();
                    GradientCheck.check(manager, variables, scratch -> form(scratch, wide, transform, variables), 1e-6);
                }
            }
        }
    }

    private static NDArray form(
            NDManager scratch, Map<String, NDArray> wide, EquivalentTransform transform, List<NDArray> variables) {
        wide.values().forEach(tensor -> tensor.tempAttach(scratch));
        variables.forEach(variable -> variable.tempAttach(scratch));
        Map<String, NDArray> tensors = new LinkedHashMap<>(wide);
        transform.apply(tensors);
        NDArray sum = scratch.zeros(new Shape(), DataType.FLOAT64);
        SplittableRandom random = new SplittableRandom(5);
        for (NDArray tensor : tensors.values()) {
            float[] weights = new float[(int) tensor.size()];
            for (int i = 0; i < weights.length; i++) {
                weights[i] = (float) random.nextGaussian();
            }
            NDArray weight = NativeFloats.of(scratch, weights, tensor.getShape().getShape());
            sum = sum.add(weight.mul(tensor).sum());
        }
        return sum;
    }

    /** All transforms that a mapping takes. */
    private static List<EquivalentTransform> transforms(
            NDManager manager, Block block, SmoothingMapping mapping, HeadLayout heads, boolean exact) {
        List<EquivalentTransform> transforms = new ArrayList<>();
        int keys = heads.kvHeads() * heads.headDim();
        int hidden = block.linears().iterator().next().spec().inFeatures();
        switch (mapping.kind()) {
            case ATTENTION_IN, MLP_IN -> {
                transforms.add(scaling(manager, mapping, heads, hidden, false));
                transforms.add(scaling(manager, mapping, heads, hidden, true));
                transforms.add(new AffineMap(
                        manager, mapping, heads, ones(manager, hidden), ones(manager, hidden), 0.5, 0.1, 1));
            }
            case MLP_MID -> {
                int middle = columns(block, mapping.balanceLayers().get(0));
                transforms.add(scaling(manager, mapping, heads, middle, false));
            }
            case VALUE_OUT -> {
                transforms.add(scaling(manager, mapping, heads, keys, false));
                transforms.add(scaling(manager, mapping, heads, keys, true));
                transforms.add(new AffineMap(
                        manager,
                        mapping,
                        heads,
                        ones(manager, heads.kvHeads(), heads.headDim()),
                        ones(manager, keys),
                        0.5,
                        0.1,
                        1));
            }
            case QUERY_KEY -> {
                boolean paired = exact && heads.rope().isPresent();
                transforms.add(new ChannelScaling(
                        mapping,
                        heads,
                        ones(manager, heads.kvHeads(), paired ? heads.headDim() - heads.pairs() : heads.headDim()),
                        null,
                        0.1,
                        1));
                transforms.add(
                        paired
                                ? new RotaryTurn(manager, mapping, heads, 0.1, 1)
                                : new AffineMap(
                                        manager,
                                        mapping,
                                        heads,
                                        ones(manager, heads.kvHeads(), heads.headDim()),
                                        null,
                                        0.5,
                                        0.1,
                                        1));
            }
        }
        return transforms;
    }

    private static int columns(Block block, String linear) {
        return block.linears().stream()
                .map(found -> found.spec())
                .filter(spec -> spec.path().equals(linear))
                .findFirst()
                .orElseThrow()
                .inFeatures();
    }

    private static ChannelScaling scaling(
            NDManager manager, SmoothingMapping mapping, HeadLayout heads, int channels, boolean shift) {
        return new ChannelScaling(
                mapping, heads, ones(manager, channels), shift ? ones(manager, channels) : null, 0.1, 1);
    }

    private static NDArray ones(NDManager manager, long... shape) {
        return manager.ones(new Shape(shape));
    }

    /** Moves every parameter at random and back to where it may be. */
    private static void scramble(EquivalentTransform transform, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        for (Parameter parameter : transform.parameters()) {
            boolean factors = parameter.name().endsWith("scale");
            FloatBuffer window = NativeFloats.writableWindow(parameter.tensor());
            for (int i = 0; i < window.capacity(); i++) {
                double noise = 0.5 * random.nextGaussian();
                window.put(i, (float) (factors ? Math.exp(noise) : window.get(i) + noise));
            }
        }
        transform.project();
    }

    private static double difference(NDArray expected, NDArray actual) {
        float[] a = expected.toFloatArray();
        float[] b = actual.toFloatArray();
        double largest = 0;
        double difference = 0;
        for (int i = 0; i < a.length; i++) {
            largest = Math.max(largest, Math.abs(a[i]));
            difference = Math.max(difference, Math.abs(a[i] - b[i]));
        }
        return difference / largest;
    }

    /** Rows of the matrix dominate after any move, and what is not open has no gradient. */
    @Test
    void matricesStayDominant() {
        try (NDManager manager = TensorEngine.newManager()) {
            HeadLayout heads = new HeadLayout(2, 2, 8, Optional.empty());
            List<String> output = List.of("self_attn.o_proj");
            SmoothingMapping mapping = new SmoothingMapping(
                    SmoothingMapping.Kind.VALUE_OUT,
                    Optional.of(HookPoint.ATTENTION_OUT),
                    "self_attn.v_proj",
                    output,
                    output);
            AffineMap map = new AffineMap(manager, mapping, heads, ones(manager, 2, 8), null, 0.3, 0.01, 1);
            NDArray matrix = map.parameters().get(0).tensor();
            SplittableRandom random = new SplittableRandom(1);
            for (int round = 0; round < 20; round++) {
                FloatBuffer window = NativeFloats.writableWindow(matrix);
                for (int i = 0; i < window.capacity(); i++) {
                    window.put(i, window.get(i) + (float) random.nextGaussian());
                }
                map.project();
                for (int row = 0; row < 16; row++) {
                    double others = 0;
                    for (int i = 0; i < 8; i++) {
                        others += i == row % 8 ? 0 : 0.3 * Math.abs(window.get(row * 8 + i));
                    }
                    assertThat((double) window.get(row * 8 + row % 8)).isGreaterThan(others);
                }
            }
        }
    }
}
