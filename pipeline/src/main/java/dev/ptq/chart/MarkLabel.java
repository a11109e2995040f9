package dev.ptq.chart;

import java.math.BigDecimal;

/** Formats the value of a mark: 250k, 1.5M, 0.02. */
final class MarkLabel {
    private static final String SUFFIXES = "kMGT";

    private MarkLabel() {}

    static String of(BigDecimal value) {
        int thousands = 0;
        BigDecimal scaled = value;
        while (scaled.abs().compareTo(BigDecimal.valueOf(1000)) >= 0 && thousands < SUFFIXES.length()) {
            scaled = scaled.movePointLeft(3);
            thousands++;
        }
        String number = scaled.signum() == 0 ? "0" : scaled.stripTrailingZeros().toPlainString();
        return thousands == 0 ? number : number + SUFFIXES.charAt(thousands - 1);
    }
}
