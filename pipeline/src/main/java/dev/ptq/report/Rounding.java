package dev.ptq.report;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.List;

/**
 * Rounds the numbers of a column for display: all get the same number of decimals, from two to four, enough to keep
 * different numbers apart and to leave the smallest two digits; no decimals from a thousand on; halves go to the even
 * digit. Numbers too large or too small for that get an exponent, {@code 1.23e-7}. Whole numbers are left alone.
 */
final class Rounding {
    private static final int MOST = 4;
    private static final double LARGE = 1e6;

    private final boolean whole;
    private final int decimals;

    private Rounding(boolean whole, int decimals) {
        this.whole = whole;
        this.decimals = decimals;
    }

    /** Returns the rounding for the numbers of a column. */
    static Rounding of(List<Number> column) {
        boolean whole = column.stream()
                .allMatch(value -> value instanceof Integer || value instanceof Long || value instanceof BigInteger);
        List<BigDecimal> exact = column.stream()
                .filter(value -> Double.isFinite(value.doubleValue()) && value.doubleValue() != 0)
                .map(value -> BigDecimal.valueOf(value.doubleValue()))
                .filter(value -> value.abs().doubleValue() < LARGE)
                .distinct()
                .toList();
        double smallest = exact.stream()
                .mapToDouble(value -> value.abs().doubleValue())
                .min()
                .orElse(1);
        int decimals = smallest >= 1000 ? 0 : 2;
        while (decimals < MOST && (smallest < Math.pow(10, 1 - decimals) || !areApart(exact, decimals))) {
            decimals++;
        }
        return new Rounding(whole, decimals);
    }

    private static boolean areApart(List<BigDecimal> values, int decimals) {
        return values.stream().map(value -> rounded(value, decimals)).distinct().count() == values.size();
    }

    private static BigDecimal rounded(BigDecimal value, int decimals) {
        return value.setScale(decimals, RoundingMode.HALF_EVEN);
    }

    /** The number as displayed. */
    String text(Number number) {
        double value = number.doubleValue();
        if (whole) {
            return number.toString();
        }
        if (!Double.isFinite(value)) {
            return Double.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
        }
        BigDecimal exact = BigDecimal.valueOf(value);
        BigDecimal rounded = rounded(exact, decimals);
        boolean lost = value != 0 && rounded.signum() == 0;
        return lost || Math.abs(value) >= LARGE ? scientific(exact) : rounded.toPlainString();
    }

    private static String scientific(BigDecimal value) {
        BigDecimal three = value.round(new MathContext(3, RoundingMode.HALF_EVEN));
        int exponent = three.precision() - three.scale() - 1;
        return three.scaleByPowerOfTen(-exponent)
                        .setScale(2, RoundingMode.UNNECESSARY)
                        .toPlainString() + "e" + exponent;
    }
}
