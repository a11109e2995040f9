package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.types.Shape;
import dev.ptq.format.BlockFloatFormat.ExponentRounding;
import java.nio.FloatBuffer;
import java.util.List;
import org.junit.jupiter.api.Test;

class RowKernelsTest {
    private static final int[] NANS = {0x7fc00000, 0x7f800001, 0x7fffffff};

    @Test
    void aNanIsAboveAll() {
        for (int bits : NANS) {
            float nan = Float.intBitsToFloat(bits);
            for (int place = 0; place < 7; place++) {
                float[] magnitudes = {1, 2, 3, 4, 5, 6, Float.POSITIVE_INFINITY};
                magnitudes[place] = nan;
                assertThat(RowKernels.largestBits(magnitudes, 0, 7)).isEqualTo(bits);
            }
        }
        assertThat(RowKernels.largestBits(new float[] {1, 3, 2, 0, 9}, 0, 4)).isEqualTo(Float.floatToIntBits(3));
        assertThat(RowKernels.largestBits(new float[] {1, 3}, 1, 1)).isZero();
    }

    @Test
    void aNanSpoilsItsBlock() {
        for (int bits : NANS) {
            float nan = Float.intBitsToFloat(bits);
            for (NumberFormat format : List.of(
                    new BlockFloatFormat(4, List.of(1, 3), 8, 127),
                    new BlockFloatFormat(4, List.of(1, 3), 8, 127, ExponentRounding.FLOOR),
                    new IntegerFormat(4, IntegerFormat.Granularity.GROUP, 3, true),
                    new IntegerFormat(4, IntegerFormat.Granularity.GROUP, 3, false))) {
                float[] values = {1, nan, 2, 4, 4, 4};
                format.round(FloatBuffer.wrap(values), new Shape(1, 6), Operand.WEIGHT);
                assertThat(values).startsWith(Float.NaN, Float.NaN, Float.NaN);
                assertThat(values[5]).isBetween(3f, 5f);
            }
        }
    }

    @Test
    void whatIsNotFiniteIsSpoilt() {
        float[] values = {
            Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.NaN, -0f, Float.MAX_VALUE, -Float.MIN_VALUE
        };
        float[] expected = {values[0], Float.NaN, Float.NaN, -0f, Float.MAX_VALUE, -Float.MIN_VALUE};
        RowKernels.spoil(values, 1, 5);
        assertThat(values).isEqualTo(expected);
    }
}
