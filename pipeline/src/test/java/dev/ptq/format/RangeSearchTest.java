package dev.ptq.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.types.Shape;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.IntegerFormat.Range;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RangeSearchTest {
    private static IntegerFormat format(int bits, boolean symmetric) {
        return new IntegerFormat(bits, Granularity.CHANNEL, 0, symmetric, true, Range.MSE);
    }

    @ParameterizedTest
    @CsvSource({"2,true", "3,true", "4,true", "8,true", "2,false", "3,false", "4,false", "5,false", "8,false"})
    void findsTheRangeThatTryingAllFinds(int bits, boolean symmetric) {
        SplittableRandom random = new SplittableRandom(bits);
        RangeSearch search = new RangeSearch(format(bits, symmetric));
        int trials = bits == 8 ? 4 : 40;
        for (int trial = 0; trial < trials; trial++) {
            float[] values = new float[1 + random.nextInt(bits == 8 ? 60 : 200)];
            double mean = trial % 4 - 1;
            double power = trial % 5 == 0 ? 3 : 1;
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) Math.pow(random.nextGaussian(), power) + (float) (0.7 * mean);
            }
            search.run(values, values.length);
            double[] best = tryAll(values, bits, symmetric);
            double found = score(values, search.scale(), search.zeroPoint(), bits, symmetric);
            // between two grids whose scores are as close as float32 can tell either will do
            double bound = 1e-6 * best[2] + uncertainty(values, search.scale(), search.zeroPoint(), bits, symmetric);
            assertThat(found).as("trial %s", trial).isCloseTo(best[2], within(bound));
            if (search.zeroPoint() == best[1]) {
                assertThat((double) search.scale()).isCloseTo(best[0], within(1.1e-2 * best[0]));
            }
        }
    }

    /** Scale, zero point and score of the best, in loops that follow the definition. */
    private static double[] tryAll(float[] values, int bits, boolean symmetric) {
        float most = 0;
        float least = 0;
        for (float value : values) {
            most = Math.max(most, value);
            least = Math.min(least, value);
        }
        double[] best = {0, 0, Double.POSITIVE_INFINITY};
        int levels = (1 << bits) - 1;
        if (symmetric) {
            for (int i = 0; i < 80; i++) {
                double scale = (1 - i / 100.0) * Math.max(most, -least) / ((1 << (bits - 1)) - 1);
                keep(best, scale, 0, score(values, scale, 0, bits, true));
            }
        } else {
            for (int i = 1; i <= 100; i++) {
                double scale = ((double) most - least) * i / 100 / levels;
                for (int zero = 0; zero <= levels; zero++) {
                    keep(best, scale, zero, score(values, scale, zero, bits, false));
                }
            }
        }
        return best;
    }

    private static void keep(double[] best, double scale, double zeroPoint, double score) {
        if (score < best[2]) {
            best[0] = scale;
            best[1] = zeroPoint;
            best[2] = score;
        }
    }

    private static double score(float[] values, double scale, double zeroPoint, int bits, boolean symmetric) {
        double least = symmetric ? -(1 << (bits - 1)) : -zeroPoint;
        double most = symmetric ? (1 << (bits - 1)) - 1 : (1 << bits) - 1 - zeroPoint;
        double sum = 0;
        for (float value : values) {
            double code = Math.min(Math.max(Math.rint(value / scale), least), most);
            sum += Math.pow(Math.abs(value - code * scale), 2.4);
        }
        return sum;
    }

    /** How far the score moves when codes times scale move by a place of float32. */
    private static double uncertainty(float[] values, double scale, double zeroPoint, int bits, boolean symmetric) {
        double sum = 0;
        for (float value : values) {
            double error = Math.pow(score(new float[] {value}, scale, zeroPoint, bits, symmetric), 1 / 2.4);
            sum += 2.4 * Math.pow(error, 1.4) * Math.abs(value) * 0x1p-22;
        }
        return sum;
    }

    @Test
    void isNoWorseThanTheWholeRange() {
        SplittableRandom random = new SplittableRandom(77);
        for (boolean symmetric : new boolean[] {true, false}) {
            for (int bits : new int[] {2, 4, 6}) {
                float[] values = new float[333];
                for (int i = 0; i < values.length; i++) {
                    values[i] = (float) random.nextGaussian();
                }
                IntegerFormat whole = new IntegerFormat(bits, Granularity.CHANNEL, 0, symmetric);
                // equal where the whole range is the best
                assertThat(error(values, format(bits, symmetric)))
                        .isLessThanOrEqualTo(error(values, whole) * (bits == 2 ? 0.9 : 1 + 1e-6));
            }
        }
    }

    private static double error(float[] values, IntegerFormat format) {
        float[] rounded = values.clone();
        format.round(FloatBuffer.wrap(rounded), new Shape(1, values.length), Operand.WEIGHT);
        double sum = 0;
        for (int i = 0; i < values.length; i++) {
            sum += Math.pow(Math.abs(values[i] - rounded[i]), 2.4);
        }
        return sum;
    }

    @Test
    void oddGroupsHaveAFiniteGrid() {
        for (boolean symmetric : new boolean[] {true, false}) {
            RangeSearch search = new RangeSearch(format(4, symmetric));
            for (float value : new float[] {0, 1, -3, 1e-38f, Float.MIN_VALUE, -Float.MIN_VALUE, 1e38f}) {
                float[] values = new float[9];
                Arrays.fill(values, value);
                search.run(values, values.length);
                assertThat(search.scale()).isFinite().isPositive();
                assertThat(search.zeroPoint()).isBetween(0f, 15f);
                double score = score(values, search.scale(), search.zeroPoint(), 4, symmetric);
                assertThat(score).isLessThanOrEqualTo(9 * Math.pow(Math.abs(value) * 1e-5, 2.4) + 1e-38);
            }
            search.run(new float[0], 0);
            assertThat(search.scale()).isEqualTo(1);
            search.run(new float[] {1, Float.NaN, 2}, 3);
            assertThat(search.scale()).isNaN();
            search.run(new float[] {1, Float.POSITIVE_INFINITY}, 2);
            assertThat(search.scale()).isInfinite();
        }
    }

    /** A search after another, and beyond its end, starts anew. */
    @Test
    void looksAtTheFirstValuesOnly() {
        RangeSearch search = new RangeSearch(format(3, false));
        float[] values = {1, -1, 0.3f, 0.2f, 100, 200};
        search.run(values, 6);
        search.run(values, 4);
        float scale = search.scale();
        RangeSearch other = new RangeSearch(format(3, false));
        other.run(new float[] {1, -1, 0.3f, 0.2f}, 4);
        assertThat(scale).isEqualTo(other.scale());
        assertThat(search.zeroPoint()).isEqualTo(other.zeroPoint());
    }
}
