package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.config.ConfigException;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.tensor.HalfFloats;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Integers with scales of float16. */
class HalfScaleFormatTest {
    private static final int ROWS = 5;
    private static final int COLUMNS = 22;
    private static final int GROUP = 8;
    private static final Shape SHAPE = new Shape(ROWS, COLUMNS);
    private static final String TABLE = "{ format = 'int', bits = 4, granularity = 'group', group_size = 8,"
            + " symmetric = false, scale_dtype = 'float16', grid = '%s' }";

    private static float[] weight(double scale) {
        SplittableRandom random = new SplittableRandom(5);
        float[] weight = new float[ROWS * COLUMNS];
        for (int i = 0; i < weight.length; i++) {
            weight[i] = (float) (scale * random.nextGaussian());
        }
        return weight;
    }

    private static float[] rounded(NumberFormat format, float[] weight) {
        float[] rounded = weight.clone();
        format.round(FloatBuffer.wrap(rounded), SHAPE, Operand.WEIGHT);
        return rounded;
    }

    private static NumberFormat of(IntegerGrid grid) {
        return Formats.parse(TABLE.formatted(Formats.label(grid)), "test", Formats.Use.WEIGHT);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void roundsAsALoopWouldWithTheStoredScale(boolean symmetric) {
        NumberFormat format = new HalfScaleFormat(new IntegerFormat(4, Granularity.GROUP, GROUP, symmetric));
        float[] weight = weight(1);
        float[] rounded = rounded(format, weight);
        for (int row = 0; row < ROWS; row++) {
            for (int from = 0; from < COLUMNS; from += GROUP) {
                int to = Math.min(COLUMNS, from + GROUP);
                float low = 0;
                float high = 0;
                for (int i = from; i < to; i++) {
                    low = Math.min(low, weight[row * COLUMNS + i]);
                    high = Math.max(high, weight[row * COLUMNS + i]);
                }
                float scale = symmetric ? Math.max(-low, high) / 7 : (high - low) / 15;
                float zero = symmetric ? 0 : (float) Math.rint(-low / scale);
                float stored = HalfFloats.round(scale);
                for (int i = from; i < to; i++) {
                    double code = Math.rint(weight[row * COLUMNS + i] / stored) + zero;
                    double within = Math.max(symmetric ? -8 : 0, Math.min(symmetric ? 7 : 15, code));
                    assertThat(rounded[row * COLUMNS + i]).isEqualTo((float) (within - zero) * stored);
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(value = IntegerGrid.class, names = "TORCHAO", mode = EnumSource.Mode.EXCLUDE)
    void storesNothingElse(IntegerGrid grid) throws IOException {
        NumberFormat format = of(grid);
        try (NDManager manager = TensorEngine.newManager()) {
            NDArray weight = NativeFloats.of(manager, weight(0.02), ROWS, COLUMNS);
            Grid fitted = format.fit(weight, Operand.WEIGHT).orElseThrow();
            for (float scale : fitted.scales()) {
                assertThat(HalfFloats.round(scale)).isEqualTo(scale);
            }
            assertThat(fitted.exceptions()).isZero();
            float[] values = fitted.values(manager).toFloatArray();
            assertThat(values)
                    .isEqualTo(format.fakeQuantize(weight, Operand.WEIGHT).toFloatArray());
            Grid read = Grid.read(format, SHAPE, Operand.WEIGHT, fitted.parts());
            assertThat(read.values(manager).toFloatArray()).isEqualTo(values);
        }
    }

    @Test
    void scalesBeyondFloat16AreItsEnds() {
        NumberFormat format = new HalfScaleFormat(new IntegerFormat(4, Granularity.TENSOR, 0, true));
        float[] tiny = rounded(format, weight(1e-9));
        assertThat(tiny).containsOnly(0f);
        float[] huge = rounded(format, weight(1e9));
        assertThat(huge).contains(7 * 65504f, -8 * 65504f);
        assertThat(rounded(format, new float[ROWS * COLUMNS])).containsOnly(0f);
    }

    @Test
    void anInfiniteValueSpoilsItsGroup() {
        float[] weight = weight(1);
        weight[3] = Float.POSITIVE_INFINITY;
        float[] rounded = rounded(new HalfScaleFormat(new IntegerFormat(4, Granularity.GROUP, GROUP, false)), weight);
        assertThat(rounded[0]).isNaN();
        assertThat(rounded[GROUP]).isFinite();
    }

    @ParameterizedTest
    @EnumSource(IntegerGrid.class)
    void itsTableIsReadBack(IntegerGrid grid) {
        NumberFormat format = grid == IntegerGrid.TORCHAO
                ? Formats.parse(
                        "{ format = 'int', bits = 4, grid = 'torchao', scale_dtype = 'float16' }",
                        "test",
                        Formats.Use.WEIGHT)
                : of(grid);
        assertThat(format).isInstanceOf(HalfScaleFormat.class);
        assertThat(Formats.parse(Formats.written(format), "test")).isEqualTo(format);
    }

    @ParameterizedTest
    @EnumSource(
            value = Formats.Use.class,
            names = {"INPUT", "ACTIVATION", "BIAS"})
    void whatIsNotStoredHasNoSuchScales(Formats.Use use) {
        String table = "{ format = 'int', bits = 8, scale_dtype = 'float16' }";
        assertThatThrownBy(() -> Formats.parse(table, "test", use))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(
                        "scale_dtype: only weights and low-rank factors have stored scales; leave it out");
    }
}
