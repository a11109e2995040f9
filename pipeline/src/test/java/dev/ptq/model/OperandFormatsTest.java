package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Section;
import dev.ptq.family.AttentionShape;
import dev.ptq.family.AttentionShape.Scores;
import dev.ptq.family.Projection;
import dev.ptq.format.BlockFloatFormat;
import dev.ptq.format.BlockFloatFormat.ExponentRounding;
import dev.ptq.format.IntegerFormat;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.format.StaticFormat;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Shared;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.tensor.Torch;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which operand is rounded to which format, and where. */
class OperandFormatsTest {
    private static final Key<ConfigTable> QUANTIZATION =
            Key.table("quantization", QuantizationSettings.SECTION).says("formats");
    private static final Section FILE = Section.of("file", QUANTIZATION);

    private static final NumberFormat NONE = new NoFormat();

    private final NDManager manager = TensorEngine.newManager();
    private final SplittableRandom random = new SplittableRandom(12);

    @AfterEach
    void closeManager() {
        manager.close();
    }

    private static NumberFormat token(int bits) {
        return new IntegerFormat(bits, Granularity.TOKEN, 0, false);
    }

    private NDArray values(long... shape) {
        int size = 1;
        for (long each : shape) {
            size *= (int) each;
        }
        float[] values = new float[size];
        for (int i = 0; i < size; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return NativeFloats.of(manager, values, shape);
    }

    @Test
    void aBiasIsRoundedAsActivationsAreWhereTheseShareExponents() {
        String activation = "[activation]\nformat = 'mxint'\nbits = 4\nexponent_rounding = 'floor'";
        assertThat(read(activation).linear().bias())
                .isEqualTo(read(activation).linear().activation())
                .isEqualTo(new BlockFloatFormat(4, List.of(1, 16), 8, 127, ExponentRounding.FLOOR));
        assertThat(read(activation + "\n[bias]\nformat = 'none'").linear().bias())
                .isEqualTo(NONE);
        assertThat(read("[activation]\nformat = 'int'\nbits = 4").linear().bias())
                .isEqualTo(NONE);
    }

    /** Bias and low-rank path are added first, and all features of a token share a scale. */
    @Test
    void anOutputIsRoundedAfterAllThatIsAddedToIt() {
        LinearSpec spec = new LinearSpec(
                0, "model.layers.0.self_attn.k_proj", "self_attn.k_proj", HookPoint.ATTENTION_IN, 6, 10, true);
        NDArray weight = values(6, 10);
        NDArray bias = values(6);
        NDArray input = values(2, 5, 10);
        NDArray a = values(10, 3);
        NDArray b = values(3, 6);
        LowRankFormats unrounded = new LowRankFormats(NONE, Optional.of(NONE), Optional.of(NONE));
        for (boolean corrected : new boolean[] {false, true}) {
            Linear plain = new Linear(spec, weight.duplicate(), bias.duplicate());
            Linear rounded = new Linear(spec, weight.duplicate(), bias.duplicate());
            rounded.quantize(new LinearFormats(NONE, NONE, NONE, token(4)));
            if (corrected) {
                plain.correct(new LowRank(a, b, unrounded));
                rounded.correct(new LowRank(a, b, unrounded));
            }
            NDArray expected = token(4).fakeQuantize(plain.forward(input, Operators.inPlace()), Operand.ACTIVATION);
            assertThat(rounded.forward(input, Operators.inPlace()).toFloatArray())
                    .isEqualTo(expected.toFloatArray());
            assertThat(expected.toFloatArray())
                    .isNotEqualTo(plain.forward(input, Operators.inPlace()).toFloatArray());
        }
        Linear copy = new Linear(spec, weight.duplicate(), bias.duplicate());
        copy.quantize(new LinearFormats(NONE, NONE, NONE, token(2)));
        assertThat(copy.copy().forward(input, Operators.inPlace()).toFloatArray())
                .isEqualTo(copy.forward(input, Operators.inPlace()).toFloatArray());
    }

    /** {@code Q(x) Wᵀ + x A B}: a path may read the input before it is rounded, and rounding does not overwrite that. */
    @Test
    void aPathMayReadTheInputBeforeItIsRounded() {
        NDArray input = values(2, 5, 10);
        float[] before = input.toFloatArray();
        float[] rounded = token(3).fakeQuantize(input, Operand.ACTIVATION).toFloatArray();
        NDArray weight = values(6, 10);
        NDArray a = values(10, 3);
        NDArray b = values(3, 6);
        for (LowRankFormats.Input read : LowRankFormats.Input.values()) {
            for (Operators operators : List.of(Operators.inPlace(), Operators.differentiable())) {
                Block block = new Block(0, manager.newSubManager());
                for (String name : List.of("k_proj", "v_proj")) {
                    String path = "self_attn." + name;
                    LinearSpec spec =
                            new LinearSpec(0, "model.layers.0." + path, path, HookPoint.ATTENTION_IN, 6, 10, false);
                    Linear linear = new Linear(spec, weight.duplicate(), null);
                    linear.quantize(new LinearFormats(NONE, token(3), NONE));
                    block.add(linear);
                }
                block.linear("self_attn.v_proj")
                        .correct(new LowRank(
                                a, b, new LowRankFormats(NONE, Optional.of(NONE), Optional.of(NONE), read)));
                NDArray given = NativeFloats.of(manager, before, 2, 5, 10);
                List<NDArray> outputs = new ForwardPass(
                                block, new SequenceConstants(manager, 5), ActivationObserver.NONE, operators)
                        .project(HookPoint.ATTENTION_IN, given, "self_attn.k_proj", "self_attn.v_proj");
                float[] reads = read == LowRankFormats.Input.ROUNDED ? rounded : before;
                float[] paths = product(product(reads, 10, a), 3, b);
                float[] products = product(rounded, 10, weight.transpose(1, 0));
                for (int i = 0; i < products.length; i++) {
                    assertThat(outputs.get(0).toFloatArray()[i]).isCloseTo(products[i], within(1e-4f));
                    assertThat(outputs.get(1).toFloatArray()[i]).isCloseTo(products[i] + paths[i], within(1e-4f));
                }
                assertThat(block.roundsActivations()).isTrue();
            }
        }
    }

    /** Rows of {@code width} values times a matrix, by plain loops. */
    private static float[] product(float[] rows, int width, NDArray matrix) {
        int columns = Math.toIntExact(matrix.size(1));
        float[] values = matrix.toFloatArray();
        float[] product = new float[rows.length / width * columns];
        for (int i = 0; i < product.length; i++) {
            for (int k = 0; k < width; k++) {
                product[i] += rows[i / columns * width + k] * values[k * columns + i % columns];
            }
        }
        return product;
    }

    /** Some queries at a time, anywhere, see what they see among all. */
    @ParameterizedTest
    @CsvSource({"1, 1, 1", "2, 1, 31", "2, 2, 32", "1, 2, 33", "1, 1, 127", "1, 1, 128", "1, 1, 129", "3, 8, 300"})
    void fusedAttentionIsAttention(int batch, int kvHeads, int tokens) {
        NDArray query = values(batch, 2L * kvHeads, tokens, 4);
        NDArray key = values(batch, kvHeads, tokens, 4);
        NDArray value = values(batch, kvHeads, tokens, 4);
        float[] expected = attend(
                        query, key, value, Attention.causalMask(manager, tokens, tokens), AttentionFormats.none())
                .toFloatArray();
        NDArray noBias = NativeFloats.of(manager, new float[0], 1, 1, 1, 0);
        NDArray noBound = NativeFloats.of(manager, new float[0], 0);
        NDArray noBranches = NativeFloats.of(manager, new float[0], 1, 1, 0, tokens);
        for (int longest : new int[] {tokens, tokens + 7}) {
            NDArray window = Torch.window(manager, longest, longest);
            NDArray mixed = Torch.branchedAttention(query, key, value, window, noBranches, noBias, noBound);
            float[] found = mixed.transpose(0, 2, 1, 3).toFloatArray();
            assertThat(found).hasSameSizeAs(expected);
            for (int i = 0; i < found.length; i++) {
                assertThat(found[i]).isCloseTo(expected[i], within(1e-5f));
            }
        }
    }

    @Test
    void eachOperandOfAttentionHasItsFormat() {
        NDArray query = values(2, 4, 8, 8);
        NDArray key = values(2, 2, 8, 8);
        NDArray value = values(2, 2, 8, 8);
        NDArray mask = Attention.causalMask(manager, 8, 8);
        AttentionFormats formats = new AttentionFormats(token(5), token(4), token(3), NONE);
        float[] found = attend(query, key, value, mask, formats).toFloatArray();
        float[] expected = attend(
                        token(5).fakeQuantize(query, Operand.ACTIVATION),
                        token(4).fakeQuantize(key, Operand.KEY),
                        token(3).fakeQuantize(value, Operand.VALUE),
                        mask,
                        AttentionFormats.none())
                .toFloatArray();
        assertThat(found).isEqualTo(expected);
        for (NumberFormat probability : List.of(NONE, token(4))) {
            AttentionFormats all = new AttentionFormats(token(5), token(4), token(3), probability);
            // the second divisor is that of the fused operator
            for (double divisor : new double[] {1, Math.sqrt(8)}) {
                Scores scores = new Scores(divisor, false, OptionalDouble.empty());
                AttentionShape shape = new AttentionShape(
                        4,
                        2,
                        8,
                        List.of(),
                        AttentionShape.Order.SEPARATE,
                        new Projection("", false, false),
                        Optional.empty(),
                        OptionalDouble.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        OptionalInt.empty(),
                        scores,
                        AttentionShape.Rotations.none());
                try (SequenceConstants constants = new SequenceConstants(manager, 8)) {
                    assertSame(
                            Attention.differentiable(
                                    query, Cached.uniform(key), Cached.uniform(value), shape, constants, all),
                            Attention.attend(
                                            query,
                                            Cached.uniform(key),
                                            Cached.uniform(value),
                                            mask,
                                            Optional.empty(),
                                            scores,
                                            all)
                                    .toFloatArray());
                }
            }
        }

        // an identity as value shows the probabilities
        NDArray identity =
                manager.eye(8).reshape(1, 1, 8, 8).broadcast(2, 2, 8, 8).add(0);
        NDArray probabilities =
                token(3).fakeQuantize(shown(query, key, identity, mask, AttentionFormats.none()), Operand.ACTIVATION);
        AttentionFormats last = new AttentionFormats(NONE, NONE, NONE, token(3));
        assertSame(shown(query, key, identity, mask, last), probabilities.toFloatArray());
        assertThat(probabilities.toFloatArray())
                .isNotEqualTo(shown(query, key, identity, mask, AttentionFormats.none())
                        .toFloatArray());
    }

    /** Where blocks allow it, probabilities are made and rounded a few queries at a time: the same, to the bit. */
    @ParameterizedTest
    @CsvSource({"1, 16", "16, 16", "32, 64", "1, 48", "128, 16"})
    void probabilitiesAreRoundedAsAWhole(int blockRows, int blockColumns) {
        int tokens = 270;
        NDArray query = values(1, 4, tokens, tokens).mul(0.2f);
        NDArray key = values(1, 2, tokens, tokens);
        NDArray mask = Attention.causalMask(manager, tokens, tokens);
        NDArray window = Torch.window(manager, tokens + 3, tokens + 3);
        NDArray identity = manager.eye(tokens)
                .reshape(1, 1, tokens, tokens)
                .broadcast(1, 2, tokens, tokens)
                .add(0);
        NumberFormat format = new BlockFloatFormat(6, List.of(blockRows, blockColumns), 8, 127);
        assertThat(format.roundsSquares(64)).isEqualTo(64 % blockRows == 0 && 64 % blockColumns == 0);
        NDArray probabilities = format.fakeQuantize(
                Torch.contiguous(shown(query, key, identity, mask, AttentionFormats.none())), Operand.ACTIVATION);
        AttentionFormats formats = new AttentionFormats(NONE, NONE, NONE, format);
        NDArray given = format.roundsSquares(64) ? window : mask;
        assertThat(shown(query, key, identity, given, formats).toFloatArray()).isEqualTo(probabilities.toFloatArray());
        // and what they are multiplied by is as good as whole: sums without the zeros
        NDArray value = values(1, 2, tokens, tokens);
        NDArray each = value.repeat(1, 2);
        assertSame(
                shown(query, key, value, given, formats),
                probabilities.matMul(each).toFloatArray());
    }

    private static NDArray shown(NDArray query, NDArray key, NDArray identity, NDArray mask, AttentionFormats formats) {
        return Attention.split(attend(query, key, identity, mask, formats), 4);
    }

    private static NDArray attend(NDArray query, NDArray key, NDArray value, NDArray mask, AttentionFormats formats) {
        Scores halved = new Scores(2, false, OptionalDouble.empty());
        return Attention.attend(
                query, Cached.uniform(key), Cached.uniform(value), mask, Optional.empty(), halved, formats);
    }

    private static void assertSame(NDArray found, float[] expected) {
        float[] values = found.toFloatArray();
        assertThat(values).hasSameSizeAs(expected);
        for (int i = 0; i < values.length; i++) {
            assertThat(values[i]).isCloseTo(expected[i], within(1e-6f));
        }
    }

    @Test
    void anOperandGoesBeforeItsSide() {
        QuantizationSettings settings = read("""
                [attention]
                left = { format = "int", bits = 8 }
                right = { format = "int", bits = 7 }
                key = { format = "int", bits = 4 }
                probability = { format = "none" }
                [output]
                format = "int"
                bits = 6
                [[override]]
                pattern = '.*q_proj\\.weight'
                output = { format = "none" }
                """);
        assertThat(settings.attention()).isEqualTo(new AttentionFormats(token(8), token(4), token(7), NONE));
        assertThat(settings.formats("a.k_proj.weight").output()).isEqualTo(token(6));
        assertThat(settings.formats("a.q_proj.weight").output()).isEqualTo(NONE);
        assertThat(settings.weightsOnly()).isEqualTo(QuantizationSettings.none());
        assertThat(read("[attention]\nleft = { format = 'int', bits = 8 }").attention())
                .isEqualTo(new AttentionFormats(token(8), NONE, NONE, token(8)));
    }

    @Test
    void integersOfWeightsAreRead() {
        assertThat(read("weight = { format = 'int', bits = 4, symmetric = false, include_zero = false }")
                        .linear()
                        .weight())
                .isEqualTo(new IntegerFormat(4, Granularity.CHANNEL, 0, false, false, IntegerFormat.Range.MINMAX));
        assertThat(read("weight = { format = 'int', bits = 4, range = 'mse' }")
                        .linear()
                        .weight())
                .isEqualTo(new IntegerFormat(4, Granularity.CHANNEL, 0, true, true, IntegerFormat.Range.MSE));
        assertThatThrownBy(() -> read("""
                        weight = { format = "int", bits = 9, range = "mse" }
                        activation = { format = "int", bits = 8, range = "mse" }
                        bias = { format = "int", bits = 8, include_zero = false }
                        output = { format = "int", bits = 8, range = "minmx" }
                        [[override]]
                        pattern = "x"
                        weight = { format = "int", bits = 4, symmetric = false, range = "mse", include_zero = false }
                        """))
                .isInstanceOfSatisfying(
                        ConfigException.class,
                        e -> assertThat(e.problems())
                                .satisfiesExactly(
                                        first -> assertThat(first)
                                                .contains("weight.range: \"mse\" is for up to 8 bits, there are 9"),
                                        second ->
                                                assertThat(second).contains("activation.range: \"mse\" is for weights"),
                                        third -> assertThat(third)
                                                .contains(
                                                        "bias.include_zero: a range always contains 0 with symmetric = true"),
                                        fourth -> assertThat(fourth)
                                                .contains("output.range: expected one of")
                                                .contains("did you mean \"minmax\""),
                                        fifth -> assertThat(fifth)
                                                .contains(
                                                        "override.0.weight.include_zero: a range always contains 0 with range")));
    }

    /** A range from calibration is that of inputs: a bias beside them takes its exponent from itself. */
    @Test
    void aBiasBesideActivationsWithARangeHasItsOwn() {
        QuantizationSettings settings = read("""
                activation = { format = "mxint", bits = 8, block_size = [-1, -1], dynamic = false }
                """);
        assertThat(settings.linear().bias()).isEqualTo(new BlockFloatFormat(8, List.of(-1, -1), 8, 127));
        assertThat(settings.linear().activation()).isInstanceOf(StaticFormat.class);
        assertThat(settings.hasStaticActivations()).isTrue();
    }

    /** The examples of what W4A8 means. */
    @Test
    void theExamplesOfTheDocumentationAreRead() throws IOException {
        String text = Files.readString(Shared.root().resolve("configs/README.md"));
        Matcher blocks = Pattern.compile("(?s)```toml\n(# \\(\\d\\).*?)```").matcher(text);
        int examples = 0;
        while (blocks.find()) {
            ConfigTable table = ConfigTable.parse(blocks.group(1), "configs/README.md", List.of(), FILE);
            QuantizationSettings settings = QuantizationSettings.read(table.read(QUANTIZATION));
            table.finish();
            assertThat(settings.linear().weight().isNone()).isFalse();
            examples++;
        }
        assertThat(examples).isEqualTo(4);
    }

    private static QuantizationSettings read(String toml) {
        ConfigTable table = ConfigTable.parse(toml, "test", List.of(), QuantizationSettings.SECTION);
        QuantizationSettings settings = QuantizationSettings.read(table);
        table.finish();
        return settings;
    }
}
