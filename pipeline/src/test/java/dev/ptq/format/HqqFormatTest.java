package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assertions.withinPercentage;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.config.ConfigException;
import dev.ptq.format.HqqSolver.Stop;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Shared;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class HqqFormatTest {
    private static final HqqSolver DEFAULT = new HqqSolver(20, Stop.LAST, 0.7, 10, 1);
    private static final HqqSolver V2 = new HqqSolver(20, Stop.BEST, 0.7, 10, 1.01);
    private static final HqqSolver SLOW = new HqqSolver(100, Stop.NEVER, 0.7, 10, 1.01);
    private static final HqqSolver NONE = DEFAULT.endingAfter(0);

    private final NDManager manager = TensorEngine.newManager();

    @AfterEach
    void close() {
        manager.close();
    }

    private static HqqFormat groups(int bits, int size, int axis, HqqSolver solver) {
        return new HqqFormat(bits, Granularity.GROUP, size, axis, false, solver);
    }

    private static HqqFormat channels(int bits, int axis, HqqSolver solver) {
        return new HqqFormat(bits, Granularity.CHANNEL, 0, axis, false, solver);
    }

    private static float[] rounded(NumberFormat format, int rows, float... values) {
        float[] rounded = values.clone();
        format.round(FloatBuffer.wrap(rounded), new Shape(rows, values.length / rows), Operand.WEIGHT);
        return rounded;
    }

    private static float[] random(long seed, int count, double size) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) (size * random.nextGaussian() * Math.exp(random.nextGaussian()));
        }
        return values;
    }

    /** Every code, scale and zero point that HQQ 0.2.8 makes of the weights of a small model. */
    @Test
    void codesAreThoseOfTheTool() throws IOException {
        Optional<Path> golden = Shared.find("golden/oneshot_codes_stories_hqq_w4_g64.safetensors");
        assumeTrue(golden.isPresent(), "no shared files");
        Path model = Shared.find("models/stories260k/model.safetensors").orElseThrow();
        HqqFormat format = groups(4, 64, 1, DEFAULT);
        int compared = 0;
        try (Safetensors expected = Safetensors.open(golden.get());
                Safetensors weights = Safetensors.open(model)) {
            for (String name : expected.entries().keySet()) {
                if (name.endsWith(".codes")) {
                    String linear = name.substring(0, name.length() - ".codes".length());
                    Grid grid = format.fit(weights.load(manager, linear + ".weight"), Operand.WEIGHT)
                            .orElseThrow();
                    assertThat(grid.exceptions()).isZero();
                    RawTensor codes = expected.raw(name);
                    for (int i = 0; i < grid.codes().remaining(); i++) {
                        assertThat(grid.codes().get(i))
                                .as("%s, %d", name, i)
                                .isEqualTo(codes.bytes().get(i) & 0xff);
                        compared++;
                    }
                    assertThat(grid.scales()).as(linear).containsExactly(expected.floats(linear + ".scale"));
                    float[] zeros = expected.floats(linear + ".zero");
                    FloatBuffer own = Objects.requireNonNull(grid.parts().get("zero_point"))
                            .bytes()
                            .asFloatBuffer();
                    for (int i = 0; i < zeros.length; i++) {
                        // its sums are in float32
                        assertThat(own.get(i)).as("%s, zero %d", linear, i).isCloseTo(zeros[i], within(2e-6f));
                    }
                }
            }
        }
        assertThat(compared).isEqualTo(226_560);
    }

    static Stream<HqqFormat> formats() {
        List<HqqFormat> formats = new ArrayList<>();
        for (HqqSolver solver : List.of(
                DEFAULT,
                V2,
                SLOW,
                NONE,
                new HqqSolver(1, Stop.LAST, 0.7, 10, 1),
                new HqqSolver(2, Stop.BEST, 1, 3, 1.5),
                new HqqSolver(30, Stop.BEST, 0.1, 1e4, 1),
                new HqqSolver(7, Stop.NEVER, 1, 100, 10))) {
            for (int axis = 0; axis < 2; axis++) {
                formats.add(groups(1, 12, axis, solver));
                formats.add(groups(3, 1, axis, solver));
                formats.add(groups(2, 72, axis, solver));
                formats.add(new HqqFormat(4, Granularity.GROUP, 6, axis, true, solver));
                formats.add(channels(8, axis, solver));
                formats.add(channels(3, axis, solver));
            }
        }
        return formats.stream();
    }

    /** Against the same in plain loops; those over groups that span rows, lie within, or are strided. */
    @ParameterizedTest
    @MethodSource("formats")
    void equalsThePlainFormula(HqqFormat format) {
        for (double size : new double[] {1, 0.01, 30}) {
            for (int rows : new int[] {6, 8, 9, 72}) {
                float[] values = random(rows, rows * (72 / rows) * 10, size);
                float[] expected = plain(format, values, rows);
                float[] found = rounded(format, rows, values);
                for (int i = 0; i < values.length; i++) {
                    assertThat(found[i]).as("%d rows, value %d", rows, i).isEqualTo(expected[i]);
                }
            }
        }
    }

    /** The number of the group of a value. */
    private static int group(HqqFormat format, int index, int rows, int count) {
        int columns = count / rows;
        if (format.granularity() == Granularity.CHANNEL) {
            return format.axis() == 1 ? index / columns : index % columns;
        }
        return format.axis() == 1 ? index / format.groupSize() : index % (count / format.groupSize());
    }

    private static float[] plain(HqqFormat format, float[] w, int rows) {
        int n = w.length;
        int[] group = new int[n];
        int groups = 0;
        for (int i = 0; i < n; i++) {
            group[i] = group(format, i, rows, n);
            groups = Math.max(groups, group[i] + 1);
        }
        float top = (1 << format.bits()) - 1;
        float[] min = new float[groups];
        float[] max = new float[groups];
        Arrays.fill(min, Float.POSITIVE_INFINITY);
        Arrays.fill(max, Float.NEGATIVE_INFINITY);
        for (int i = 0; i < n; i++) {
            min[group[i]] = Math.min(min[group[i]], w[i]);
            max[group[i]] = Math.max(max[group[i]], w[i]);
        }
        float[] s = new float[groups];
        float[] z = new float[groups];
        for (int g = 0; g < groups; g++) {
            s[g] = max[g] - min[g] <= 1e-4f ? 1 : Math.min(1 / (max[g] - min[g]) * top, 2e4f);
            z[g] = -min[g] * s[g];
            z[g] = format.roundZero() ? (float) Math.rint(z[g]) : z[g];
        }
        HqqSolver solver = format.solver();
        float best = Float.POSITIVE_INFINITY;
        float[] kept = z;
        double beta = solver.beta();
        for (int step = 0; step < solver.iterations(); step++) {
            double[] sums = new double[groups];
            int[] counts = new int[groups];
            double total = 0;
            for (int i = 0; i < n; i++) {
                int g = group[i];
                float q = Math.min(Math.max((float) Math.rint(w[i] * s[g] + z[g]), 0), top);
                float error = w[i] - (q - z[g]) / s[g];
                total += Math.abs(error);
                float pulled = Math.abs(error)
                        - (float) (1 / beta) * (float) Math.pow(Math.abs(error), (float) (solver.norm() - 1));
                float shrunk = Math.signum(error) * Math.max(pulled, 0);
                sums[g] += q - (w[i] - shrunk) * s[g];
                counts[g]++;
            }
            float[] next = new float[groups];
            for (int g = 0; g < groups; g++) {
                next[g] = (float) (sums[g] / counts[g]);
            }
            float error = (float) (total / n);
            if (solver.stop() != Stop.NEVER && !(error < best)) {
                z = solver.stop() == Stop.BEST ? kept : next;
                break;
            }
            best = error;
            kept = z;
            z = next;
            beta *= solver.kappa();
        }
        float[] result = new float[n];
        for (int i = 0; i < n; i++) {
            int g = group[i];
            float q = Math.min(Math.max((float) Math.rint(w[i] * s[g] + z[g]), 0), top);
            result[i] = (q - z[g]) * (1 / s[g]);
        }
        return result;
    }

    @Test
    void roundsByHand() {
        // without steps: s = 3 / 3, z = 1
        assertThat(rounded(channels(2, 1, NONE), 1, -1, 0.4f, 2)).containsExactly(-1, 0, 2);
        // a range that does not contain 0
        assertThat(rounded(channels(2, 1, NONE), 1, 7, 8.4f, 10)).containsExactly(7, 8, 10);
        // columns, and groups over the end of a row
        assertThat(rounded(channels(1, 0, NONE), 2, 1, 10, 3, 30)).containsExactly(1, 10, 3, 30);
        assertThat(rounded(groups(1, 2, 1, NONE), 2, 1, 2, 3, 4, 5, 9)).containsExactly(1, 2, 3, 4, 5, 9);
        assertThat(rounded(groups(1, 2, 0, NONE), 2, 1, 2, 3, 4, 5, 9)).containsExactly(1, 2, 3, 4, 5, 9);
        // one step: s = 1, codes 0 0 1, and the zero point is the mean of 0, -0.125 and 0
        float[] once = rounded(channels(1, 1, DEFAULT.endingAfter(1)), 1, 0, 0.125f, 1);
        float zeroPoint = (float) (-0.125 / 3);
        assertThat(once).containsExactly(-zeroPoint, -zeroPoint, 1 - zeroPoint);
        // an error of 0.25 shrinks to 0.25 - 0.25^-0.3 / 10, which is not made up for
        once = rounded(channels(1, 1, DEFAULT.endingAfter(1)), 1, 0, 0.25f, 1);
        assertThat((double) once[0]).isCloseTo(Math.pow(0.25, -0.3) / 10 / 3, within(1e-7));
    }

    @Test
    void badValuesSpoilTheirGroupAlone() {
        for (HqqSolver solver : List.of(DEFAULT, V2, SLOW, NONE)) {
            float[] good = random(2, 8, 1);
            float[] alone = rounded(groups(3, 8, 1, solver), 1, good);
            for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
                float[] values = Arrays.copyOf(good, 16);
                values[11] = bad;
                float[] found = rounded(groups(3, 8, 1, solver), 2, values);
                assertThat(Arrays.copyOf(found, 8)).containsExactly(alone);
                assertThat(Arrays.copyOfRange(found, 8, 16)).containsOnly(Float.NaN);
            }
            // a range beyond float32
            assertThat(rounded(channels(3, 1, solver), 1, Float.MAX_VALUE, -Float.MAX_VALUE))
                    .containsOnly(Float.NaN);
            assertThat(rounded(channels(3, 1, solver), 1, Float.MAX_VALUE, 0)).doesNotContain(Float.NaN);
            assertThat(rounded(channels(3, 1, solver), 1, Float.NaN)).containsOnly(Float.NaN);
        }
    }

    @Test
    void equalAndTinyValues() {
        for (HqqSolver solver : List.of(DEFAULT, V2, SLOW, NONE)) {
            assertThat(rounded(channels(4, 1, solver), 2, 0, 0, 0, -0f)).containsOnly(0);
            for (float value : new float[] {1, -3.5f, 1e-30f, Float.MIN_VALUE, 1e30f, -Float.MAX_VALUE}) {
                assertThat(rounded(channels(4, 1, solver), 1, value, value, value))
                        .containsOnly(value);
                assertThat(rounded(groups(4, 1, 1, solver), 1, value)).containsExactly(value);
            }
            // below a range of 1e-4 all have one code
            float[] close = rounded(channels(8, 1, solver), 1, 0.5f, 0.50004f);
            assertThat(close[0]).isEqualTo(close[1]).isBetween(0.5f, 0.50004f);
            // s would be 2.5e6, and is 2e4
            float[] near = rounded(channels(8, 1, NONE), 1, 0.5f, 0.50012f, 0.50006f);
            assertThat(near[1] - near[0]).isCloseTo(1e-4f, within(1e-6f));
        }
        assertThat(rounded(channels(4, 1, DEFAULT), 1)).isEmpty();
    }

    /** It is found once for the whole tensor, and then holds for its parts. */
    @Test
    void partsTakeTheStepsOfTheWhole() {
        float[] values = random(4, 640, 1);
        for (HqqSolver solver : List.of(DEFAULT, V2)) {
            HqqFormat format = groups(3, 16, 1, solver);
            GridFormat whole = format.ofTensor(FloatBuffer.wrap(values.clone()), new Shape(8, 80), Operand.WEIGHT);
            assertThat(whole).isNotEqualTo(format);
            assertThat(whole.ofTensor(FloatBuffer.wrap(values), new Shape(8, 80), Operand.WEIGHT))
                    .isSameAs(whole);
            float[] expected = rounded(format, 8, values);
            for (int row = 0; row < 8; row++) {
                float[] part = Arrays.copyOfRange(values, row * 80, (row + 1) * 80);
                assertThat(rounded(whole, 1, part))
                        .containsExactly(Arrays.copyOfRange(expected, row * 80, (row + 1) * 80));
            }
        }
    }

    /** What the solver is for: it lowers the error of each preset against the start, and more steps do not hurt. */
    @Test
    void theSolverLowersTheError() {
        float[] values = random(9, 64 * 64, 0.3);
        double start = error(groups(3, 64, 1, NONE), values);
        double found = error(groups(3, 64, 1, DEFAULT), values);
        assertThat(found).isLessThan(0.97 * start);
        assertThat(error(groups(3, 64, 1, V2), values)).isCloseTo(found, withinPercentage(0.5));
        assertThat(error(groups(3, 64, 1, SLOW), values)).isCloseTo(found, withinPercentage(1));
    }

    private static double error(HqqFormat format, float[] values) {
        float[] rounded = rounded(format, 64, values);
        double sum = 0;
        for (int i = 0; i < values.length; i++) {
            sum += Math.abs(values[i] - rounded[i]);
        }
        return sum;
    }

    @Test
    void whatDoesNotDivideTheTensorIsRefused() {
        HqqFormat format = groups(4, 64, 1, DEFAULT);
        assertThat(format.refusal(new Shape(172, 64))).isEmpty();
        assertThat(format.refusal(new Shape(16, 172))).isEmpty();
        assertThat(format.refusal(new Shape(10, 172)))
                .contains("its 1720 values are no multiple of group_size 64; take 43, or granularity = \"channel\"");
        assertThat(channels(4, 1, DEFAULT).refusal(new Shape(7, 13))).isEmpty();
        assertThatThrownBy(() -> rounded(format, 10, new float[1720]))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("no multiple of group_size 64");
        assertThatThrownBy(() -> format.read(new Shape(10, 172), Operand.WEIGHT, new Parts(Map.of())))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("no multiple of group_size 64");
    }

    @Test
    void countsScalesAndZeroPoints() {
        assertThat(groups(4, 64, 1, DEFAULT).storageBits(new Shape(16, 128), Operand.WEIGHT))
                .isEqualTo(16 * 128 * 4 + 32 * 32);
        assertThat(groups(4, 64, 0, DEFAULT).storageBits(new Shape(16, 128), Operand.WEIGHT))
                .isEqualTo(16 * 128 * 4 + 32 * 32);
        assertThat(channels(3, 1, DEFAULT).storageBits(new Shape(16, 128), Operand.WEIGHT))
                .isEqualTo(16 * 128 * 3 + 16 * 32);
        assertThat(channels(3, 0, DEFAULT).storageBits(new Shape(16, 128), Operand.WEIGHT))
                .isEqualTo(16 * 128 * 3 + 128 * 32);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "bits = 4 | { format = 'hqq', bits = 4, granularity = 'group', group_size = 64, axis = 1, round_zero = false,"
                        + " iterations = 20, early_stop = 'last', lp_norm = 0.7, beta = 10.0, kappa = 1.0 }",
                "bits = 3, preset = 'v2', granularity = 'channel' | { format = 'hqq', bits = 3, granularity = 'channel',"
                        + " axis = 1, round_zero = false, iterations = 20, early_stop = 'best', lp_norm = 0.7, beta = 10.0,"
                        + " kappa = 1.01 }",
                "bits = 1, preset = 'slow', axis = 0, round_zero = true | { format = 'hqq', bits = 1, granularity = 'group',"
                        + " group_size = 64, axis = 0, round_zero = true, iterations = 100, early_stop = 'never',"
                        + " lp_norm = 0.7, beta = 10.0, kappa = 1.01 }",
                "bits = 8, iterations = 0, lp_norm = 1, beta = 2 | { format = 'hqq', bits = 8, granularity = 'group',"
                        + " group_size = 64, axis = 1, round_zero = false, iterations = 0, early_stop = 'last',"
                        + " lp_norm = 1.0, beta = 2.0, kappa = 1.0 }"
            })
    void presetsAreThoseOfTheReleasedCode(String keys, String written) {
        NumberFormat format = Formats.parse("{ format = 'hqq', " + keys + " }", "test", Formats.Use.WEIGHT);
        assertThat(Formats.written(format)).isEqualTo(written);
        assertThat(Formats.parse(written, "test")).isEqualTo(format);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "bits = 9|WEIGHT|format.bits: expected a whole number from 1 to 8, got 9",
                "bits = 4, granularity = 'tensor'|WEIGHT|format.granularity: expected one of [channel, group]",
                "bits = 4, granularity = 'channel', group_size = 64|WEIGHT|format.group_size: unknown key",
                "bits = 4, axis = 2|WEIGHT|format.axis: expected a whole number from 0 to 1, got 2",
                "bits = 4, lp_norm = 0|WEIGHT|format.lp_norm: expected a number from 0.1 to 1",
                "bits = 4, kappa = 0.9|WEIGHT|format.kappa: expected a number from 1",
                "bits = 4|INPUT|format.format: hqq is for weights: it takes dozens of passes over the values",
                "bits = 4|FACTOR|format.format: hqq is for weights: it takes dozens of passes over the values",
                "bits = 4|ACTIVATION|format.format: hqq is for weights",
                "bits = 4|BIAS|format.format: hqq is for weights"
            })
    void saysWhatIsWrong(String keys, Formats.Use use, String problem) {
        assertThatThrownBy(() -> Formats.parse("{ format = 'hqq', " + keys + " }", "test", use))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(problem);
    }

    @Test
    void whatWasStoredRoundsTheSame() throws IOException {
        float[] values = random(8, 480, 1);
        float[] others = random(9, 480, 1);
        for (HqqFormat format : List.of(groups(4, 32, 1, DEFAULT), groups(4, 32, 0, SLOW), channels(5, 0, V2))) {
            Grid grid = format.fit(NativeFloats.of(manager, values, 16, 30), Operand.WEIGHT)
                    .orElseThrow();
            Grid read = Grid.read(format, grid.shape(), grid.operand(), grid.parts());
            assertThat(read.scales()).containsExactly(grid.scales());
            for (float[] some : List.of(values, others)) {
                assertThat(read.round(NativeFloats.of(manager, some, 16, 30))
                                .values(manager)
                                .toFloatArray())
                        .containsExactly(grid.round(NativeFloats.of(manager, some, 16, 30))
                                .values(manager)
                                .toFloatArray());
            }
        }
    }
}
