package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import dev.ptq.config.ConfigException;
import dev.ptq.family.AttentionShape;
import dev.ptq.family.AttentionShape.Scores;
import dev.ptq.family.Projection;
import dev.ptq.format.BlockFloatFormat;
import dev.ptq.format.Bounds;
import dev.ptq.format.CacheFormat;
import dev.ptq.format.Formats;
import dev.ptq.format.Fp8Format;
import dev.ptq.format.IntegerFormat;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Nvfp4Format;
import dev.ptq.format.Operand;
import dev.ptq.format.SmallFloat;
import dev.ptq.format.StaticFormat;
import dev.ptq.model.KvFormats.Rotary;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.tensor.Torch;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Attention over a cache whose keys and values are rounded, against loops over queries and tokens. */
class KvFormatsTest {
    private static final int HEADS = 4;
    private static final int KV_HEADS = 2;
    private static final int HEAD_DIM = 8;

    private final NDManager manager = TensorEngine.newManager();
    private final SplittableRandom random = new SplittableRandom(31);

    @AfterEach
    void closeManager() {
        manager.close();
    }

    private static QuantizationSettings read(String toml) {
        return CachedModel.read(toml);
    }

    private static KvFormats kv(String inline) {
        return read("kv = " + inline).attention().kv().orElseThrow();
    }

    private NDArray values(int... shape) {
        int size = 1;
        long[] sides = new long[shape.length];
        for (int i = 0; i < shape.length; i++) {
            size *= shape[i];
            sides[i] = shape[i];
        }
        float[] values = new float[size];
        for (int i = 0; i < size; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return NativeFloats.of(manager, values, sides);
    }

    private static AttentionShape shape(OptionalInt window, OptionalDouble softcap) {
        return new AttentionShape(
                HEADS,
                KV_HEADS,
                HEAD_DIM,
                List.of(),
                AttentionShape.Order.SEPARATE,
                new Projection("", false, false),
                Optional.empty(),
                OptionalDouble.empty(),
                Optional.empty(),
                Optional.empty(),
                window,
                new Scores(Math.sqrt(HEAD_DIM), false, softcap),
                AttentionShape.Rotations.none());
    }

    private static final AttentionShape PLAIN = shape(OptionalInt.empty(), OptionalDouble.empty());

    /** Queries, keys before rotation, and values of two sequences. */
    private record Input(NDArray query, NDArray key, NDArray value) {
        int tokens() {
            return (int) query.getShape().get(2);
        }
    }

    private Input input(int tokens) {
        return new Input(
                values(2, HEADS, tokens, HEAD_DIM),
                values(2, KV_HEADS, tokens, HEAD_DIM),
                values(2, KV_HEADS, tokens, HEAD_DIM));
    }

    /** The angle by which a pair of features of a token is rotated. */
    private static double angle(int token, int pair) {
        return 0.7 * token / (pair + 1);
    }

    private UnaryOperator<NDArray> rotation(int tokens) {
        float[] cos = new float[tokens * HEAD_DIM / 2];
        float[] sin = new float[cos.length];
        for (int i = 0; i < cos.length; i++) {
            double angle = angle(i / (HEAD_DIM / 2), i % (HEAD_DIM / 2));
            cos[i] = (float) Math.cos(angle);
            sin[i] = (float) Math.sin(angle);
        }
        NDArray cosines = NativeFloats.of(manager, cos, tokens, HEAD_DIM / 2);
        NDArray sines = NativeFloats.of(manager, sin, tokens, HEAD_DIM / 2);
        return keys -> Torch.rotate(keys, cosines, sines);
    }

    private NDArray attend(Input input, AttentionFormats formats, AttentionShape shape, Operators operators) {
        UnaryOperator<NDArray> rotation = rotation(input.tokens());
        try (SequenceConstants constants = new SequenceConstants(manager, input.tokens());
                Block block = new Block(0, manager.newSubManager())) {
            ForwardPass pass = new ForwardPass(block, constants, ActivationObserver.NONE, operators);
            Optional<KvFormats> kv = formats.kv();
            Cached keys = kv.map(own -> own.keys(input.key(), rotation, pass))
                    .orElseGet(() -> Cached.uniform(rotation.apply(input.key())));
            Cached values =
                    kv.map(own -> own.values(input.value(), pass)).orElseGet(() -> Cached.uniform(input.value()));
            return operators.attention(input.query(), keys, values, shape, constants, formats);
        }
    }

    private float[] attend(Input input, KvFormats kv) {
        return attend(input, AttentionFormats.none().with(kv), PLAIN, Operators.inPlace())
                .toFloatArray();
    }

    /** The matrices of a tensor, {@code [batch · heads][tokens][headDim]}. */
    private static double[][][] matrices(NDArray tensor) {
        float[] flat = tensor.toFloatArray();
        int tokens = (int) tensor.getShape().get(2);
        double[][][] matrices = new double[flat.length / (tokens * HEAD_DIM)][tokens][HEAD_DIM];
        for (int i = 0; i < flat.length; i++) {
            matrices[i / (tokens * HEAD_DIM)][i / HEAD_DIM % tokens][i % HEAD_DIM] = flat[i];
        }
        return matrices;
    }

    private static double[][] rotated(double[][] keys) {
        double[][] rotated = new double[keys.length][HEAD_DIM];
        int half = HEAD_DIM / 2;
        for (int token = 0; token < keys.length; token++) {
            for (int pair = 0; pair < half; pair++) {
                double cos = Math.cos(angle(token, pair));
                double sin = Math.sin(angle(token, pair));
                rotated[token][pair] = keys[token][pair] * cos - keys[token][pair + half] * sin;
                rotated[token][pair + half] = keys[token][pair + half] * cos + keys[token][pair] * sin;
            }
        }
        return rotated;
    }

    /** Values that are rounded together, by themselves. */
    private double[] roundedAlone(NumberFormat format, double[] values) {
        float[] row = new float[values.length];
        for (int i = 0; i < row.length; i++) {
            row[i] = (float) values[i];
        }
        float[] rounded = format.fakeQuantize(NativeFloats.of(manager, row, 1, row.length), Operand.ACTIVATION)
                .toFloatArray();
        double[] result = new double[rounded.length];
        for (int i = 0; i < result.length; i++) {
            result[i] = rounded[i];
        }
        return result;
    }

    /** A matrix with all tokens rounded whose group is full. */
    private double[][] rounded(CacheFormat format, double[][] matrix) {
        double[][] rounded = new double[matrix.length][];
        for (int token = 0; token < matrix.length; token++) {
            rounded[token] =
                    format.groupSize() == 0 ? roundedAlone(format.format(), matrix[token]) : matrix[token].clone();
        }
        int size = format.groupSize();
        for (int first = 0; size > 0 && first + size <= matrix.length; first += size) {
            for (int feature = 0; feature < HEAD_DIM; feature++) {
                double[] group = new double[size];
                for (int i = 0; i < size; i++) {
                    group[i] = matrix[first + i][feature];
                }
                group = roundedAlone(format.format(), group);
                for (int i = 0; i < size; i++) {
                    rounded[first + i][feature] = group[i];
                }
            }
        }
        return rounded;
    }

    /** Integers by hand, with a static range for each channel or one for all. */
    private static final class Ranges {
        private final int bits;
        private final boolean perChannel;
        private final double[][][] heads;

        /**
         * Takes them from values.
         *
         * @param heads {@code [batch · kvHeads][tokens][headDim]}
         */
        Ranges(int bits, boolean perChannel, double[][][] heads) {
            this.bits = bits;
            this.perChannel = perChannel;
            this.heads = heads;
        }

        /** Half of the values' range, so that some are clipped. */
        Bounds of(int head, int feature) {
            double least = 0;
            double most = 0;
            for (int own = 0; own < heads.length; own++) {
                for (double[] token : heads[own]) {
                    for (int i = 0; i < HEAD_DIM; i++) {
                        if (!perChannel || (own % KV_HEADS == head && i == feature)) {
                            least = Math.min(least, token[i] / 2);
                            most = Math.max(most, token[i] / 2);
                        }
                    }
                }
            }
            return new Bounds((float) least, (float) most);
        }

        List<Bounds> all() {
            List<Bounds> all = new ArrayList<>();
            for (int channel = 0; channel < (perChannel ? KV_HEADS * HEAD_DIM : 1); channel++) {
                all.add(of(channel / HEAD_DIM, channel % HEAD_DIM));
            }
            return all;
        }

        double[][] rounded(int head, double[][] matrix) {
            double levels = (1 << bits) - 1;
            double[][] rounded = new double[matrix.length][HEAD_DIM];
            for (int feature = 0; feature < HEAD_DIM; feature++) {
                Bounds range = of(head, feature);
                double step = (range.high() - range.low()) / levels;
                double zeroPoint = Math.rint(-range.low() / step);
                for (int token = 0; token < matrix.length; token++) {
                    double code = Math.rint(matrix[token][feature] / step) + zeroPoint;
                    rounded[token][feature] = step * (Math.min(Math.max(code, 0), levels) - zeroPoint);
                }
            }
            return rounded;
        }
    }

    /** Whether a query sees a token rounded: all of its group is there, and before the latest tokens. */
    private static boolean seesRounded(CacheFormat format, int window, int query, int token) {
        int size = Math.max(1, format.groupSize());
        int lastOfGroup = token - token % size + size - 1;
        return lastOfGroup <= query && query - lastOfGroup >= window;
    }

    /** Rounds a matrix of keys or values of a head, tokens and groups that are not there yet included. */
    private interface Rounder {
        double[][] of(int head, double[][] matrix);
    }

    private double[] expected(Input input, KvFormats kv, AttentionShape shape) {
        return expected(
                input,
                kv,
                shape,
                (head, matrix) -> rounded(kv.key(), matrix),
                (head, matrix) -> rounded(kv.value(), matrix));
    }

    private double[] expected(Input input, KvFormats kv, AttentionShape shape, Rounder ofKeys, Rounder ofValues) {
        double[][][] queries = matrices(input.query());
        double[][][] keys = matrices(input.key());
        double[][][] values = matrices(input.value());
        int tokens = input.tokens();
        double[] mixed = new double[2 * tokens * HEADS * HEAD_DIM];
        for (int batch = 0; batch < 2; batch++) {
            for (int head = 0; head < HEADS; head++) {
                int own = batch * KV_HEADS + head / (HEADS / KV_HEADS);
                double[][] exactKeys = rotated(keys[own]);
                double[][] roundedKeys = kv.rotary() == Rotary.BEFORE
                        ? rotated(ofKeys.of(own % KV_HEADS, keys[own]))
                        : ofKeys.of(own % KV_HEADS, exactKeys);
                double[][] roundedValues = ofValues.of(own % KV_HEADS, values[own]);
                for (int query = 0; query < tokens; query++) {
                    double[] weights = new double[query + 1];
                    double sum = 0;
                    for (int token = 0; token <= query; token++) {
                        if (query - token >= shape.window().orElse(tokens)) {
                            continue;
                        }
                        double[] key = seesRounded(kv.key(), kv.window(), query, token)
                                ? roundedKeys[token]
                                : exactKeys[token];
                        double score = 0;
                        for (int i = 0; i < HEAD_DIM; i++) {
                            score += queries[batch * HEADS + head][query][i] * key[i];
                        }
                        score /= Math.sqrt(HEAD_DIM);
                        if (shape.scores().softcap().isPresent()) {
                            double bound = shape.scores().softcap().getAsDouble();
                            score = bound * Math.tanh(score / bound);
                        }
                        weights[token] = Math.exp(score);
                        sum += weights[token];
                    }
                    for (int token = 0; token <= query; token++) {
                        double[] value = seesRounded(kv.value(), kv.window(), query, token)
                                ? roundedValues[token]
                                : values[own][token];
                        for (int i = 0; i < HEAD_DIM; i++) {
                            mixed[((batch * tokens + query) * HEADS + head) * HEAD_DIM + i] +=
                                    weights[token] / sum * value[i];
                        }
                    }
                }
            }
        }
        return mixed;
    }

    private static void assertClose(float[] found, double[] expected) {
        assertThat(found).hasSameSizeAs(expected);
        for (int i = 0; i < found.length; i++) {
            assertThat((double) found[i]).as("value %s", i).isCloseTo(expected[i], within(2e-5));
        }
    }

    private static final String ASYMMETRIC = "format = 'int', bits = 3";

    /** Both axes, several formats; more tokens than are taken at a time, and a last group that is not full. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "{ key = { format = 'int', bits = 3 } }",
                "{ value = { format = 'int', bits = 3 } }",
                "{ key = { format = 'int', bits = 3 }, value = { format = 'nf4', block_size = 4 }, window = 1 }",
                "{ key = { format = 'int', bits = 2, granularity = 'group', group_size = 3 }, window = 70 }",
                "{ key = { format = 'int', bits = 3, per = 'channel', group_size = 16 } }",
                "{ value = { format = 'int', bits = 3, per = 'channel', group_size = 1 } }",
                "{ value = { format = 'mxfp4', per = 'channel', group_size = 7, block_size = 4 }, window = 3 }",
                "{ key = { format = 'fp8_e4m3', per = 'channel', group_size = 5 },"
                        + " value = { format = 'int', bits = 2, granularity = 'group', group_size = 4 }, window = 9 }",
                "{ key = { format = 'mxint', bits = 3, per = 'channel', group_size = 24, block_size = [1, 8] },"
                        + " value = { format = 'nvfp4', rule = 'torchao', tensor_scale = false } }",
                "{ key = { format = 'minifloat', bits = 5, exponent_bits = 3, per = 'channel', group_size = 40 },"
                        + " value = { format = 'ternary' }, window = 33 }",
            })
    void isWhatEachQuerySees(String inline) {
        for (Rotary rotary : Rotary.values()) {
            KvFormats read = kv(inline);
            KvFormats kv = new KvFormats(read.key(), read.value(), rotary, read.window());
            for (int tokens : new int[] {1, 37, 150}) {
                Input input = input(tokens);
                double[] expected = expected(input, kv, PLAIN);
                assertClose(attend(input, kv), expected);
                AttentionFormats formats = AttentionFormats.none().with(kv);
                assertClose(
                        attend(input, formats, PLAIN, Operators.differentiable())
                                .toFloatArray(),
                        expected);
            }
        }
    }

    /** Each channel of each head with a range of its own, or all values with one: known, whatever the values at hand. */
    @ParameterizedTest
    @CsvSource({"true, false, 0", "false, true, 0", "true, true, 3", "false, false, 70", "true, false, 200"})
    void staticRangesRoundEachTokenByItself(boolean keysPerChannel, boolean valuesPerChannel, int window)
            throws IOException {
        String format = "{ format = 'int', bits = 4, dynamic = false, per = ";
        KvFormats read = kv("{ key = " + format + (keysPerChannel ? "'channel'" : "'token'") + " }, value = " + format
                + (valuesPerChannel ? "'channel'" : "'token'") + " }, window = " + window + " }");
        Input calibration = input(40);
        Ranges ofKeys = new Ranges(4, keysPerChannel, matrices(calibration.key()));
        Ranges ofValues = new Ranges(4, valuesPerChannel, matrices(calibration.value()));
        for (Rotary rotary : Rotary.values()) {
            KvFormats asking = new KvFormats(read.key(), read.value(), rotary, window);
            KvFormats kv = asking.knowing((hookPoint, same) -> {
                assertThat(hookPoint)
                        .isIn(rotary == Rotary.BEFORE ? HookPoint.KEY : HookPoint.ROTATED_KEY, HookPoint.VALUE);
                return hookPoint.equals(HookPoint.VALUE) ? ofValues.all() : ofKeys.all();
            });
            for (int tokens : new int[] {1, 37, 150}) {
                Input input = input(tokens);
                double[] expected = expected(input, kv, PLAIN, ofKeys::rounded, ofValues::rounded);
                assertClose(attend(input, kv), expected);
                AttentionFormats formats = AttentionFormats.none().with(kv);
                assertClose(
                        attend(input, formats, PLAIN, Operators.differentiable())
                                .toFloatArray(),
                        expected);
            }
        }
        assertThatThrownBy(() -> attend(input(201), read))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("the range was not taken from statistics");
    }

    /** A value that is no number is noticed, and spoils no other. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "{ format = 'int', bits = 4, per = 'channel', dynamic = false }",
                "{ format = 'int', bits = 4, grid = 'torchao', per = 'channel', dynamic = false }",
                "{ format = 'fp8_e4m3', per = 'channel', dynamic = false }",
                "{ format = 'int', bits = 4, dynamic = false }",
                "{ format = 'mxint', bits = 4, block_size = [-1, -1], dynamic = false }"
            })
    void valuesThatAreNotFiniteStaySo(String format) throws IOException {
        KvFormats asking = kv("{ value = " + format + " }");
        boolean perChannel = asking.value().ofStatic().orElseThrow().format().hasRangePerFeature();
        KvFormats kv = asking.knowing(
                (hookPoint, own) -> Collections.nCopies(perChannel ? KV_HEADS * HEAD_DIM : 1, new Bounds(-2, 1.5f)));
        float[] values = values(1, KV_HEADS, 3, HEAD_DIM).toFloatArray();
        float[] clean = rounded(kv, values);
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            float[] spoiled = values.clone();
            spoiled[11] = bad;
            float[] found = rounded(kv, spoiled);
            for (int i = 0; i < found.length; i++) {
                boolean isSpoiled = i == 11;
                assertThat(Float.isNaN(found[i])).as("%s, %s", bad, i).isEqualTo(isSpoiled);
                assertThat(isSpoiled || found[i] == clean[i])
                        .as("%s, %s", bad, i)
                        .isTrue();
            }
        }
        float[] huge = values.clone();
        huge[11] = 1e30f;
        assertThat(rounded(kv, huge)[11]).isBetween(1f, 2f);
        assertThat(rounded(kv, new float[values.length])).containsOnly(0);
    }

    private float[] rounded(KvFormats kv, float[] values) {
        NDArray heads = NativeFloats.of(manager, values, 1, KV_HEADS, 3, HEAD_DIM);
        return Torch.contiguous(kv.value()
                        .rounded(heads, rows -> kv.value().format().fakeQuantize(rows, Operand.ACTIVATION)))
                .toFloatArray();
    }

    /** The tensor scale of a static NVFP4 is known, and blocks lie along the features of a head. */
    @Test
    void aStaticTensorScaleIsForEveryToken() throws IOException {
        KvFormats kv = kv("{ value = { format = 'nvfp4', dynamic = false } }")
                .knowing((hookPoint, own) -> List.of(new Bounds(-3, 2)));
        NumberFormat known = new Nvfp4Format().withAmax(3);
        float[] values = values(1, KV_HEADS, 3, HEAD_DIM).toFloatArray();
        float[] found = rounded(kv, values);
        for (int row = 0; row < KV_HEADS * 3; row++) {
            float[] alone = Arrays.copyOfRange(values, row * HEAD_DIM, (row + 1) * HEAD_DIM);
            assertThat(Arrays.copyOfRange(found, row * HEAD_DIM, (row + 1) * HEAD_DIM))
                    .isEqualTo(known.fakeQuantize(NativeFloats.of(manager, alone, 1, HEAD_DIM), Operand.ACTIVATION)
                            .toFloatArray());
        }
    }

    @ParameterizedTest
    @CsvSource({"20, 0", "0, 3", "20, 3"})
    void holdsWithSlidingWindowsAndBoundedScores(int window, double bound) {
        AttentionShape shape = shape(
                window == 0 ? OptionalInt.empty() : OptionalInt.of(window),
                bound == 0 ? OptionalDouble.empty() : OptionalDouble.of(bound));
        KvFormats kv = kv("{ key = { " + ASYMMETRIC + ", per = 'channel', group_size = 8 }, value = { " + ASYMMETRIC
                + " }, window = 5 }");
        Input input = input(90);
        double[] expected = expected(input, kv, shape);
        AttentionFormats formats = AttentionFormats.none().with(kv);
        for (Operators operators : List.of(Operators.inPlace(), Operators.differentiable())) {
            assertClose(attend(input, formats, shape, operators).toFloatArray(), expected);
        }
    }

    @Test
    void perTokenIsWhatAttentionFormatsAre() {
        for (Operators operators : List.of(Operators.inPlace(), Operators.differentiable())) {
            for (String format : List.of(
                    "{ format = 'int', bits = 3 }",
                    "{ format = 'int', bits = 3, granularity = 'group', group_size = 4 }",
                    "{ format = 'nf4', block_size = 4 }",
                    "{ format = 'mxfp4', block_size = 4 }")) {
                Input input = input(70);
                String both = "key = " + format + "\nvalue = " + format;
                AttentionFormats products =
                        read("[quantization.attention]\n" + both).attention();
                AttentionFormats cache = read("[quantization.kv]\n" + both).attention();
                float[] expected = attend(input, products, PLAIN, operators).toFloatArray();
                assertThat(attend(input, cache, PLAIN, operators).toFloatArray())
                        .isEqualTo(expected);
                assertThat(attend(input, AttentionFormats.none(), PLAIN, operators)
                                .toFloatArray())
                        .isNotEqualTo(expected);
            }
        }
    }

    /** A window as long as the text, and a group that is longer. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "{ key = { format = 'int', bits = 2 }, value = { format = 'int', bits = 2 }, window = 70 }",
                "{ key = { format = 'int', bits = 2, per = 'channel', group_size = 71 }, rotary = 'before' }",
                "{ value = { format = 'int', bits = 2, per = 'channel', group_size = 60 }, window = 11 }",
                "{ value = { format = 'int', bits = 2, per = 'channel', group_size = 2147483647 }, window = 2147483647 }",
            })
    void whatNoQuerySeesRoundedIsInFullPrecision(String inline) {
        Input input = input(70);
        float[] exact = attend(input, AttentionFormats.none(), PLAIN, Operators.inPlace())
                .toFloatArray();
        assertThat(attend(input, kv(inline))).isEqualTo(exact);
        Input longer = input(75);
        if (!inline.contains("2147483647")) {
            assertThat(attend(longer, kv(inline)))
                    .isNotEqualTo(attend(longer, AttentionFormats.none(), PLAIN, Operators.inPlace())
                            .toFloatArray());
        }
    }

    /** Probabilities are rounded after they were made from what each query sees. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "{ format = 'mxint', bits = 6, block_size = [1, 16] }",
                "{ format = 'mxint', bits = 6, block_size = [1, 48] }",
                "{ format = 'int', bits = 6 }"
            })
    void probabilitiesMayBeRoundedToo(String format) {
        int tokens = 136;
        String cache = "[quantization.kv]\nkey = { format = 'int', bits = 3, per = 'channel', group_size = 16 }\n";
        AttentionFormats unrounded = read(cache).attention();
        AttentionFormats rounded = read("[quantization.attention]\nprobability = " + format + "\n" + cache)
                .attention();
        NDArray one = manager.eye(tokens)
                .reshape(1, 1, tokens, tokens)
                .broadcast(2, KV_HEADS, tokens, tokens)
                .add(0);
        Input plain = input(tokens);
        NDArray probabilities = shown(plain, one, unrounded);
        assertThat(shown(plain, one, rounded).toFloatArray())
                .isEqualTo(rounded.probability()
                        .fakeQuantize(Torch.contiguous(probabilities), Operand.ACTIVATION)
                        .toFloatArray())
                .isNotEqualTo(probabilities.toFloatArray());
    }

    /** The probabilities, which an identity as value shows. */
    private NDArray shown(Input input, NDArray identity, AttentionFormats formats) {
        int tokens = input.tokens();
        try (SequenceConstants constants = new SequenceConstants(manager, tokens);
                Block block = new Block(0, manager.newSubManager())) {
            ForwardPass pass = new ForwardPass(block, constants, ActivationObserver.NONE, Operators.inPlace());
            Cached keys = formats.kv().orElseThrow().keys(input.key(), rotation(tokens), pass);
            assertThat(keys.isUniform()).isFalse();
            // a query of the width of the values, and keys likewise, without a change of the products
            NDArray mixed = Attention.attend(
                    padded(input.query(), tokens),
                    keys.map(own -> padded(own, tokens)),
                    Cached.uniform(identity),
                    PLAIN,
                    constants,
                    formats);
            return Attention.split(mixed, HEADS);
        }
    }

    private NDArray padded(NDArray values, int width) {
        long[] shape = values.getShape().getShape();
        NDArray zeros = manager.zeros(new Shape(shape[0], shape[1], shape[2], width - shape[3]));
        return values.concat(zeros, 3);
    }

    /** Gradients of what a query sees, where the rounding itself has derivative one. */
    @Test
    void gradientsReachWhatEachQuerySees() {
        int tokens = 9;
        Input input = input(tokens);
        NDArray shift = values(2, KV_HEADS, tokens, HEAD_DIM);
        NDArray weight = values(2, tokens, HEADS * HEAD_DIM);
        for (NDArray operand : List.of(input.key(), input.value())) {
            operand.setRequiresGradient(true);
            try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
                collector.backward(objective(input, shift, weight, Operators.differentiable()));
            }
            float[] gradient = operand.getGradient().toFloatArray();
            float[] values = operand.toFloatArray();
            double step = 1e-2;
            for (int i = 0; i < values.length; i += 13) {
                float[] more = values.clone();
                float[] less = values.clone();
                more[i] += (float) step;
                less[i] -= (float) step;
                double difference =
                        (changed(input, operand, more, shift, weight) - changed(input, operand, less, shift, weight))
                                / (2 * step);
                assertThat((double) gradient[i]).as("value %s", i).isCloseTo(difference, within(5e-3));
            }
        }
    }

    private double changed(Input input, NDArray operand, float[] values, NDArray shift, NDArray weight) {
        NDArray other = NativeFloats.of(manager, values, operand.getShape().getShape());
        Input changed = operand == input.key()
                ? new Input(input.query(), other, input.value())
                : new Input(input.query(), input.key(), other);
        return objective(changed, shift, weight, Operators.inPlace()).getFloat();
    }

    private NDArray objective(Input input, NDArray shift, NDArray weight, Operators operators) {
        try (SequenceConstants constants = new SequenceConstants(manager, input.tokens())) {
            Cached keys = Cached.mixed(input.key(), input.key().add(shift), constants.rounded(2, 1));
            Cached values = Cached.mixed(input.value(), input.value().add(shift), constants.rounded(1, 3));
            return operators
                    .attention(input.query(), keys, values, PLAIN, constants, AttentionFormats.none())
                    .mul(weight)
                    .sum();
        }
    }

    @Test
    void tablesAreRead() {
        QuantizationSettings settings = read("""
                [quantization.attention]
                left = { format = "int", bits = 8 }
                [quantization.kv]
                key = { format = "int", bits = 2, per = "channel", group_size = 32 }
                value = { format = "mxint", bits = 4, per = "channel" }
                rotary = "before"
                window = 128
                """);
        NumberFormat left = new IntegerFormat(8, Granularity.TOKEN, 0, false);
        assertThat(settings.attention().query()).isEqualTo(left);
        assertThat(settings.attention().probability()).isEqualTo(left);
        assertThat(settings.attention().kv())
                .contains(new KvFormats(
                        new CacheFormat(new IntegerFormat(2, Granularity.TOKEN, 0, false), 32),
                        new CacheFormat(new BlockFloatFormat(4, List.of(1, 16), 8, 127), 128),
                        Rotary.BEFORE,
                        128));
        assertThat(settings.weightsOnly()).isEqualTo(QuantizationSettings.none());
        assertThat(settings.isNone()).isFalse();
        assertThat(kv("{ value = { format = 'int', bits = 4, granularity = 'group', group_size = 16 } }"))
                .isEqualTo(new KvFormats(
                        CacheFormat.none(),
                        new CacheFormat(new IntegerFormat(4, Granularity.GROUP, 16, false), 0),
                        Rotary.AFTER,
                        0));
        assertThat(AttentionFormats.none()
                        .with(kv("{ key = { format = 'none' } }"))
                        .isNone())
                .isTrue();
    }

    @Test
    void staticTablesAreRead() {
        KvFormats kv = kv("{ key = { format = 'int', bits = 4, per = 'channel', dynamic = false, range ="
                + " 'moving_average' }, value = { format = 'fp8_e4m3', dynamic = false, range = 'percentile' },"
                + " rotary = 'before', window = 5 }");
        StaticFormat key = kv.key().ofStatic().orElseThrow();
        assertThat(key.format()).isEqualTo(new IntegerFormat(4, Granularity.CHANNEL, 0, false));
        assertThat(key.rule()).isEqualTo(IntegerFormat.Range.MOVING_AVERAGE);
        assertThat(key.ranges()).isEmpty();
        assertThat(kv.key().tokensTogether()).isEqualTo(1);
        StaticFormat value = kv.value().ofStatic().orElseThrow();
        assertThat(value.format()).isEqualTo(new Fp8Format(SmallFloat.E4M3, Fp8Format.Granularity.TENSOR));
        assertThat(value.percentile()).isEqualTo(99.99);
        assertThat(kv.statics()).containsOnlyKeys(HookPoint.KEY, HookPoint.VALUE);
        for (String format : List.of(
                "{ format = 'int', bits = 4, per = 'channel', granularity = 'channel', dynamic = false }",
                "{ format = 'int', bits = 4, per = 'channel', symmetric = true, dynamic = false }",
                "{ format = 'int', bits = 4, per = 'channel', grid = 'gptq', dynamic = false }",
                "{ format = 'fp8_e5m2', per = 'channel', dynamic = false }",
                "{ format = 'int', bits = 4, granularity = 'tensor', dynamic = false, range = 'mse' }",
                "{ format = 'mxint', bits = 4, block_size = [-1, -1], dynamic = false }",
                "{ format = 'nvfp4', dynamic = false, range = 'percentile', percentile = 99.0 }")) {
            QuantizationSettings settings = read("kv = { value = " + format + " }");
            assertThat(settings.attention().statics()).as(format).containsOnlyKeys(HookPoint.VALUE);
            assertThat(settings.hasStaticActivations()).isTrue();
            assertThat(settings.askCalibration()).isTrue();
            assertThat(settings.needs()).isEmpty();
            assertThat(settings.weightsOnly().askCalibration()).isFalse();
        }
        assertThat(read("kv = { value = { format = 'int', bits = 4 } }").askCalibration())
                .isFalse();
    }

    @Test
    void mistakesWithStaticRangesAreNamed() {
        String integer = "kv = { key = { format = 'int', bits = 4, dynamic = false";
        refused(
                integer + ", per = 'channel', group_size = 32 } }",
                "quantization.kv.key.group_size: with a range from calibration a token is rounded as soon as it is there,"
                        + " without a group; leave it out");
        refused(
                integer + ", group_size = 32 } }",
                "quantization.kv.key.group_size: with a range from calibration a token is rounded");
        refused(
                integer + ", granularity = 'channel' } }",
                "quantization.kv.key.per: a range for each channel of each head is that of per = \"channel\"; set that, and"
                        + " leave granularity out");
        refused(
                integer + ", granularity = 'token' } }",
                "quantization.kv.key.dynamic: a range from calibration is that of all values: set granularity = \"tensor\"");
        refused(
                integer + ", per = 'channel', granularity = 'token' } }",
                "quantization.kv.key.granularity: expected one of [channel], got \"token\"");
        for (String rule : List.of("percentile", "mse")) {
            refused(
                    integer + ", per = 'channel', range = '" + rule + "' } }",
                    "quantization.kv.key.range: \"" + rule + "\" goes by a histogram, which calibration takes of all"
                            + " values of an input; set granularity = \"tensor\", in a cache per = \"token\", or take"
                            + " \"minmax\" or \"moving_average\"");
        }
        refused(
                integer + ", range = 'gptq_mse' } }",
                "quantization.kv.key.range: expected one of [minmax, percentile, moving_average, mse]");
        refused(
                integer.replace(", dynamic = false", "") + ", range = 'percentile' } }",
                "quantization.kv.key.range: \"percentile\" is found in calibration; set dynamic = false");
        for (String format : List.of("'mxint', bits = 4", "'nvfp4'")) {
            refused(
                    "kv = { key = { format = " + format + ", per = 'channel', dynamic = false } }",
                    "quantization.kv.key.dynamic: of this format a range from calibration is that of all values, not of a"
                            + " channel: set per = \"token\", or take int or fp8");
        }
        for (String format : List.of("nf4", "mxfp4", "ternary")) {
            refused(
                    "kv = { key = { format = '" + format + "', per = 'channel', dynamic = false } }",
                    "quantization.kv.key.dynamic: " + format + " has no range that could come from calibration");
        }
        assertThatThrownBy(() -> new CacheFormat(
                        new StaticFormat(new IntegerFormat(4, Granularity.CHANNEL, 0, false), Optional.empty()), 32))
                .hasMessage("groups of 32 tokens with a static range");
    }

    private static void refused(String toml, String... problems) {
        assertThatThrownBy(() -> read(toml)).isInstanceOfSatisfying(ConfigException.class, e -> {
            assertThat(e.problems()).hasSize(problems.length);
            for (int i = 0; i < problems.length; i++) {
                assertThat(e.problems().get(i)).contains(problems[i]);
            }
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {"key", "value", "right"})
    void keysAndValuesAreNotRoundedTwice(String other) {
        refused(
                "attention = { " + other
                        + " = { format = 'int', bits = 8 } }\nkv = { key = { format = 'int', bits = 4 } }",
                "quantization.kv: keys and values would be rounded twice, here and by quantization.attention." + other);
    }

    @Test
    void formatsInWhichTokensShareSomethingAreRefused() {
        for (String format : List.of(
                "{ format = 'int', bits = 4, granularity = 'tensor' }",
                "{ format = 'int', bits = 4, grid = 'torchao', granularity = 'tensor' }",
                "{ format = 'int', bits = 4, grid = 'gptq' }",
                "{ format = 'int', bits = 4, grid = 'gptq', per = 'channel' }",
                "{ format = 'ternary', granularity = 'tensor' }",
                "{ format = 'fp8_e4m3', granularity = 'tensor' }",
                "{ format = 'fp8_e4m3', granularity = 'block', block_size = [2, 16] }",
                "{ format = 'mxint', bits = 4, block_size = [16, 1] }",
                "{ format = 'mxint', bits = 4, block_size = [16] }",
                "{ format = 'mxint', bits = 4, block_size = [-1, -1] }",
                "{ format = 'nvfp4' }",
                "{ format = 'nvfp4', per = 'channel' }")) {
            refused(
                    "kv = { value = " + format + " }",
                    "quantization.kv.value: tokens would share what they are rounded by, so a later token would change"
                            + " earlier predictions; set ");
        }
        for (String format : List.of(
                "{ format = 'fp8_e4m3', granularity = 'block', block_size = [1, 16] }",
                "{ format = 'int', bits = 4, grid = 'compressed_tensors' }",
                "{ format = 'mxint', bits = 4, block_size = [1, -1] }",
                "{ format = 'fixed', bits = 4, fraction_bits = 2 }")) {
            assertThat(kv("{ value = " + format + " }").value().isNone()).isFalse();
        }
        assertThatThrownBy(() -> new CacheFormat(new IntegerFormat(4, Granularity.TENSOR, 0, false), 0))
                .hasMessageContaining("granularity = \"token\" or \"group\"");
    }

    @Test
    void otherMistakesAreNamed() {
        refused("kv = { window = 3 }", "quantization.kv: expected a key or a value format");
        refused(
                "kv = { key = { format = 'int', bits = 4, per = 'channel', granularity = 'group' } }",
                "quantization.kv.key.granularity: expected one of [token], got \"group\"");
        refused(
                "kv = { key = { format = 'mxfp4', group_size = 16 } }",
                "quantization.kv.key.group_size: only with per = \"channel\" are tokens rounded in groups; leave it out");
        refused(
                "kv = { key = { format = 'int', bits = 4, group_size = 16 } }",
                "quantization.kv.key.group_size: only with per = \"channel\"");
        refused(
                "kv = { key = { format = 'int', bits = 4, per = 'chanel' }, window = -1 }",
                "did you mean \"channel\"",
                "quantization.kv.window: expected a whole number of at least 0");
        refused(
                "activation = { format = 'int', bits = 4, per = 'channel' }",
                "quantization.activation.per: unknown key");
    }

    @Test
    void storageIsCounted() {
        CacheFormat token =
                new CacheFormat(Formats.parse("{ format = 'int', bits = 4 }", "", Formats.Use.ACTIVATION), 0);
        // each token and head: 8 codes, a scale of 16 bits, a zero point of 4
        assertThat(token.storageBits(2, 8, 10, 0)).isEqualTo(10 * 2 * (8 * 4 + 16 + 4));
        assertThat(token.storageBits(2, 8, 10, 3)).isEqualTo(7 * 2 * (8 * 4 + 16 + 4) + 3 * 2 * 8 * 16);
        assertThat(token.storageBits(2, 8, 10, 11)).isEqualTo(10 * 2 * 8 * 16);
        CacheFormat channel = new CacheFormat(token.format(), 4);
        // of 10 tokens two groups of 4 are full; each channel of each has a scale and a zero point
        assertThat(channel.storageBits(2, 8, 10, 0)).isEqualTo(2 * 16 * (4 * 4 + 16 + 4) + 2 * 16 * 16);
        assertThat(channel.storageBits(2, 8, 10, 3)).isEqualTo(16 * (4 * 4 + 16 + 4) + 6 * 16 * 16);
        assertThat(channel.storageBits(2, 8, 3, 0)).isEqualTo(3 * 16 * 16);
        assertThat(CacheFormat.none().storageBits(2, 8, 10, 0)).isEqualTo(10 * 16 * 16);
    }

    /** Ranges are there once for all tokens. */
    @Test
    void storageOfStaticRangesIsCounted() {
        String integer = "{ format = 'int', bits = 4, dynamic = false, ";
        CacheFormat channel = kv("{ key = " + integer + "per = 'channel' } }").key();
        assertThat(channel.storageBits(2, 8, 10, 0)).isEqualTo(10 * 16 * 4 + 16 * (16 + 4));
        assertThat(channel.storageBits(2, 8, 10, 3)).isEqualTo(7 * 16 * 4 + 16 * (16 + 4) + 3 * 16 * 16);
        assertThat(channel.storageBits(2, 8, 10, 10)).isEqualTo(10 * 16 * 16);
        CacheFormat symmetric = kv("{ key = " + integer + "per = 'channel', symmetric = true } }")
                .key();
        assertThat(symmetric.storageBits(2, 8, 10, 0)).isEqualTo(10 * 16 * 4 + 16 * 16);
        CacheFormat one = kv("{ key = " + integer + "per = 'token' } }").key();
        assertThat(one.storageBits(2, 8, 10, 0)).isEqualTo(10 * 16 * 4 + 16 + 4);
        CacheFormat fp8 = kv("{ key = { format = 'fp8_e4m3', dynamic = false, per = 'channel' } }")
                .key();
        assertThat(fp8.storageBits(2, 8, 10, 0)).isEqualTo(10 * 16 * 8 + 16 * 32);
        CacheFormat blocks =
                kv("{ key = { format = 'nvfp4', dynamic = false } }").key();
        // two blocks of 8 features a token, and one scale
        assertThat(blocks.storageBits(2, 8, 10, 0)).isEqualTo(10 * (16 * 4 + 2 * 8) + 32);
    }
}
