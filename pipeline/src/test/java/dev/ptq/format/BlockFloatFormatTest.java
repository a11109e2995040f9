package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import ai.djl.ndarray.types.Shape;
import dev.ptq.format.BlockFloatFormat.ExponentRounding;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Blocks whose exponent is rounded down; those of LQER are compared with its own results elsewhere. */
class BlockFloatFormatTest {
    private static BlockFloatFormat floor(int bits, int block) {
        return new BlockFloatFormat(bits, List.of(1, block), 8, 127, ExponentRounding.FLOOR);
    }

    private static float[] rounded(BlockFloatFormat format, float... values) {
        float[] copy = values.clone();
        format.round(FloatBuffer.wrap(copy), new Shape(1, copy.length), Operand.WEIGHT);
        return copy;
    }

    /** Exponent 1, step 1/2, codes 2, 1 (of 0.6), -4, 2 (of 1.8), 0 (of a half, which goes to the even). */
    @Test
    void aLargestMagnitudeThatIsAPowerOfTwoIsKept() {
        float[] values = {1, 0.3f, -2, 0.9f, 0.25f};
        assertThat(rounded(floor(4, 5), values)).containsExactly(1, 0.5f, -2, 1, 0);
        // LQER: step 1/4, and -8 is no code
        assertThat(rounded(new BlockFloatFormat(4, List.of(1, 5), 8, 127), values))
                .containsExactly(1, 0.25f, -1.75f, 1, 0.25f);
    }

    @Test
    void whatRoundsBeyondTheLargestCodeIsClamped() {
        assertThat(rounded(floor(4, 2), 1.99f, -1.99f)).containsExactly(1.75f, -1.75f);
        assertThat(rounded(floor(2, 3), 1.99f, -0.6f, 0.5f)).containsExactly(1, -1, 0);
    }

    /** MXINT8 of the OCP specification: steps of 1/64 up to 1 63/64, times the power of two. */
    @Test
    void eightBitsAreThoseOfTheSpecification() {
        assertThat(rounded(floor(8, 3), 8 * 1.9921875f, -8 * 0.0234375f, 8 * 0.0078125f))
                .containsExactly(8 * 127 / 64f, -8 * 2 / 64f, 0);
    }

    @Test
    void blocksAreIndependent() {
        float[] values = {1, 0.1f, 100, 10, 0, 0, Float.NaN, 1, Float.NEGATIVE_INFINITY, 1, 3e38f, 1e38f};
        float nan = Float.NaN;
        assertThat(rounded(floor(3, 2), values))
                .containsExactly(1, 0, 96, 0, 0, 0, nan, nan, nan, nan, 0x1.8p127f, 0x1p126f);
    }

    /** Down to numbers that are not normal, and with exponents that are cut off at both ends. */
    @ParameterizedTest
    @CsvSource({
        "2, 1, 16, 8, 127",
        "4, 1, 16, 8, 127",
        "8, 16, 1, 8, 127",
        "23, 2, 3, 8, 127",
        "5, -1, 7, 8, 127",
        "4, 1, 16, 4, 7",
        "6, 3, 5, 2, 1",
        "3, 1, 16, 8, 255",
        "8, 1, 4, 8, 0"
    })
    void equalsItsDefinition(int bits, int blockRows, int blockColumns, int exponentBits, int bias) {
        BlockFloatFormat format = new BlockFloatFormat(
                bits, List.of(blockRows, blockColumns), exponentBits, bias, ExponentRounding.FLOOR);
        SplittableRandom random = new SplittableRandom(bits * 100L + blockColumns);
        for (int trial = 0; trial < 60; trial++) {
            int rows = 1 + random.nextInt(20);
            int columns = 1 + random.nextInt(40);
            int height = blockRows == -1 ? rows : blockRows;
            double size = Math.pow(2, trial % 3 == 0 ? random.nextInt(-149, 126) : random.nextInt(-10, 10));
            float[] values = new float[rows * columns];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) (size * random.nextGaussian());
                switch (random.nextInt(8)) {
                    case 0 -> values[i] = 0;
                    case 1 -> values[i] = (float) (size * Math.pow(2, random.nextInt(-3, 3)));
                    case 2 -> values[i] = (float) (size * (random.nextInt(-8, 8) + 0.5));
                    default -> {}
                }
            }
            float[] found = values.clone();
            format.round(FloatBuffer.wrap(found), new Shape(rows, columns), Operand.WEIGHT);
            for (int i = 0; i < values.length; i++) {
                int firstRow = i / columns / height * height;
                int firstColumn = i % columns / blockColumns * blockColumns;
                double largest = 0;
                for (int row = firstRow; row < Math.min(rows, firstRow + height); row++) {
                    for (int column = firstColumn; column < Math.min(columns, firstColumn + blockColumns); column++) {
                        largest = Math.max(largest, Math.abs(values[row * columns + column]));
                    }
                }
                int exponent = largest == 0 ? 0 : Math.getExponent(largest);
                exponent = Math.max(-bias, Math.min((1 << exponentBits) - 1 - bias, exponent));
                double step = Math.scalb(1.0, exponent - (bits - 2));
                int most = (1 << (bits - 1)) - 1;
                double code = Math.max(-most, Math.min(most, Math.rint(values[i] / step)));
                // adding zero: zeros of both signs are equal
                assertThat(found[i] + 0f)
                        .as("trial %d, value %d, %s of a block of %s", trial, i, values[i], largest)
                        .isEqualTo((float) (code * step) + 0f);
            }
        }
    }

    /** Where no largest magnitude is a power of two, the two rules have the same steps. */
    @Test
    void bothRulesAgreeBesideThePowersOfTwo() {
        SplittableRandom random = new SplittableRandom(6);
        float[] values = new float[320];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (10 * random.nextGaussian());
        }
        float[] up = rounded(new BlockFloatFormat(5, List.of(1, 16), 8, 127), values);
        float[] down = rounded(floor(5, 16), values);
        for (int i = 0; i < values.length; i++) {
            // adding zero: zeros of both signs are equal
            assertThat(down[i] + 0f).as("%s", values[i]).isEqualTo(up[i] + 0f);
        }
    }

    @Test
    void whatIsOnTheGridStays() {
        SplittableRandom random = new SplittableRandom(7);
        float[] values = new float[96];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        float[] once = rounded(floor(6, 16), values);
        assertThat(rounded(floor(6, 16), once)).isEqualTo(once);
    }

    @Test
    void refusesWhatIsNoFormat() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> floor(1, 16))
                .withMessage("no such format: 1 bits, 8 exponent bits");
    }
}
