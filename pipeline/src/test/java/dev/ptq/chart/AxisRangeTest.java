package dev.ptq.chart;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.chart.Axis.Scale;
import java.math.BigDecimal;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class AxisRangeTest {
    @Test
    void marksAreRound() {
        assertThat(labels(Scale.LINEAR, 0, 10)).containsExactly("0", "2", "4", "6", "8", "10");
        assertThat(labels(Scale.LINEAR, 8192, 39_000_000)).containsExactly("0", "10M", "20M", "30M", "40M");
        assertThat(labels(Scale.LINEAR, -0.03, 0.05)).containsExactly("-0.02", "0", "0.02", "0.04");
        assertThat(labels(Scale.LINEAR, 1234, 1236))
                .containsExactly("1.234k", "1.2345k", "1.235k", "1.2355k", "1.236k");
        assertThat(labels(Scale.LOGARITHMIC, 2.95, 8.5)).containsExactly("3", "4", "5", "6", "7", "8");
        assertThat(labels(Scale.LOGARITHMIC, 1, 1000)).containsExactly("1", "10", "100", "1k");
        assertThat(labels(Scale.LOGARITHMIC, 2, 60)).containsExactly("2", "5", "10", "20", "50");
        assertThat(labels(Scale.LOGARITHMIC, 3.3, 3.6)).containsExactly("3.3", "3.4", "3.5", "3.6");
    }

    @Test
    void aSingleValueIsInTheMiddle() {
        for (double value : new double[] {0, 3, -7, 1e-9}) {
            assertThat(AxisRange.of(Scale.LINEAR, new double[] {value}).position(value))
                    .isCloseTo(0.5, within(1e-12));
        }
    }

    @Test
    void nothingIsBelowZeroWhereNoValueIs() {
        assertThat(AxisRange.of(Scale.LINEAR, new double[] {1, 100}).low()).isZero();
        assertThat(AxisRange.of(Scale.LINEAR, new double[] {-1, 100}).low()).isLessThan(-1);
    }

    @Test
    void everyRangeHasSomeMarksAndNotTooMany() {
        SplittableRandom random = new SplittableRandom(4);
        for (int i = 0; i < 3000; i++) {
            double[] values = {Math.exp(random.nextDouble() * 60 - 30), Math.exp(random.nextDouble() * 60 - 30)};
            for (Scale scale : Scale.values()) {
                AxisRange range = AxisRange.of(scale, values);
                List<Double> positions = range.marks().stream()
                        .map(mark -> range.position(mark.doubleValue()))
                        .toList();
                assertThat(positions)
                        .as("%s %s %s", scale, values[0], values[1])
                        .hasSizeBetween(3, 11)
                        .isSorted()
                        .doesNotHaveDuplicates()
                        .allMatch(position -> position > -1e-6 && position < 1 + 1e-6);
                assertThat(range.position(values[0])).isBetween(0.0, 1.0);
                assertThat(range.position(values[1])).isBetween(0.0, 1.0);
            }
        }
    }

    @Test
    void labelsAreShort() {
        assertThat(MarkLabel.of(new BigDecimal("0.020"))).isEqualTo("0.02");
        assertThat(MarkLabel.of(new BigDecimal("999"))).isEqualTo("999");
        assertThat(MarkLabel.of(new BigDecimal("-2500"))).isEqualTo("-2.5k");
        assertThat(MarkLabel.of(new BigDecimal("1E+10"))).isEqualTo("10G");
        assertThat(MarkLabel.of(new BigDecimal("1E+16"))).isEqualTo("10000T");
        assertThat(MarkLabel.of(new BigDecimal("0E+3"))).isEqualTo("0");
    }

    private static List<String> labels(Scale scale, double low, double high) {
        return AxisRange.of(scale, new double[] {low, high}).marks().stream()
                .map(MarkLabel::of)
                .toList();
    }
}
