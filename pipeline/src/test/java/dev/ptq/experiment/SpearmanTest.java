package dev.ptq.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class SpearmanTest {
    @Test
    void onlyRanksMatter() {
        double[] values = {3, -1, 20, 7};
        assertThat(Spearman.of(values, new double[] {0.3, 0.1, 0.9, 0.4})).isCloseTo(1, within(1e-12));
        assertThat(Spearman.of(values, new double[] {-3, 1, -20, -7})).isCloseTo(-1, within(1e-12));
    }

    /** By the formula for ranks without ties, 1 - 6 Σd² / (n (n² - 1)), with d = 0, 1, 2, -1, -2. */
    @Test
    void agreesWithTheFormulaOfDifferences() {
        double[] first = {1, 2, 3, 4, 5};
        double[] second = {1, 3, 5, 3.5, 3.25};
        // ranks of the second: 1, 2, 5, 4, 3
        assertThat(Spearman.of(first, second)).isCloseTo(1 - 6.0 * (0 + 0 + 4 + 0 + 4) / (5 * 24), within(1e-12));
    }

    /** Ranks 1.5, 1.5, 3, 4 against 1, 2, 3, 4: 4.5 / sqrt(4.5 · 5). */
    @Test
    void equalValuesShareTheirRanks() {
        assertThat(Spearman.of(new double[] {1, 1, 2, 3}, new double[] {1, 2, 3, 4}))
                .isCloseTo(4.5 / Math.sqrt(4.5 * 5), within(1e-12));
        assertThat(Spearman.of(new double[] {1, 1, 1}, new double[] {1, 2, 3})).isNaN();
    }
}
