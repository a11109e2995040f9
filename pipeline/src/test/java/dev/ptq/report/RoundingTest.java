package dev.ptq.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class RoundingTest {
    private static List<String> shown(Number... numbers) {
        Rounding rounding = Rounding.of(List.of(numbers));
        return Stream.of(numbers).map(rounding::text).toList();
    }

    @Test
    void asManyDecimalsAsKeepNumbersApart() {
        assertThat(shown(4.1391, 5.025, 123.456)).containsExactly("4.14", "5.02", "123.46");
        assertThat(shown(4.3909, 4.3942)).containsExactly("4.391", "4.394");
        assertThat(shown(4.39091, 4.39094, 4.39094)).containsExactly("4.3909", "4.3909", "4.3909");
        assertThat(shown(4.5)).containsExactly("4.50");
        assertThat(shown(4, new BigDecimal("4.125"), 4.135)).containsExactly("4.00", "4.12", "4.14");
    }

    @Test
    void theSmallestKeepsTwoDigits() {
        assertThat(shown(0.059, -1.5)).containsExactly("0.059", "-1.500");
        assertThat(shown(0.00213, 0)).containsExactly("0.0021", "0.0000");
        assertThat(shown(0.00000123456, 0.25)).containsExactly("1.23e-6", "0.2500");
    }

    @Test
    void largeOnesHaveNoDecimals() {
        assertThat(shown(1234.56, 98765.4)).containsExactly("1235", "98765");
        assertThat(shown(1234567.0, 4.5)).containsExactly("1.23e6", "4.50");
        assertThat(shown(-9.999e20)).containsExactly("-1.00e21");
    }

    @Test
    void wholeNumbersAreLeftAlone() {
        assertThat(shown(32640, 3L, new BigInteger("12345678901234567890")))
                .containsExactly("32640", "3", "12345678901234567890");
    }

    @Test
    void whatIsNoNumberSaysSo() {
        assertThat(shown(Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, 2.5))
                .containsExactly("nan", "inf", "-inf", "2.50");
        assertThat(shown(new BigDecimal("1e999999999"), new BigDecimal("1e-999999999")))
                .containsExactly("inf", "0.00");
    }
}
