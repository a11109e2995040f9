package dev.ptq.train;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class NGramDiscountsTest {
    /** n1 = 4, n2 = 2, n3 = n4 = 1, so Y = 4 / 8; larger counts have no say. */
    @Test
    void followTheCountsOfCounts() {
        NGramDiscounts discounts = NGramDiscounts.of(new int[] {1, 9, 1, 2, 4, 1, 3, 2, 1, 100});

        assertThat(discounts).isEqualTo(new NGramDiscounts(1 - 2 * 0.5 * 2 / 4, 2 - 3 * 0.5 * 1 / 2, 3 - 4 * 0.5 * 1));
        assertThat(discounts).isEqualTo(new NGramDiscounts(0.5, 1.25, 1));
        assertThat(discounts.of(0)).isZero();
        assertThat(discounts.of(1)).isEqualTo(0.5);
        assertThat(discounts.of(2)).isEqualTo(1.25);
        assertThat(discounts.of(3)).isEqualTo(1);
        assertThat(discounts.of(100)).isEqualTo(1);
    }

    @Test
    void fallBackWhereACountOfCountsIsZero() {
        assertThat(NGramDiscounts.of(new int[0])).isEqualTo(NGramDiscounts.FALLBACK);
        assertThat(NGramDiscounts.of(new int[] {2, 2, 3, 4})).isEqualTo(NGramDiscounts.FALLBACK);
        assertThat(NGramDiscounts.of(new int[] {1, 1, 3, 4})).isEqualTo(NGramDiscounts.FALLBACK);
        assertThat(NGramDiscounts.of(new int[] {1, 1, 2, 4})).isEqualTo(NGramDiscounts.FALLBACK);
        assertThat(NGramDiscounts.of(new int[] {1, 1, 2, 3})).isEqualTo(NGramDiscounts.FALLBACK);
    }

    /** n1 = 4, n2 = 1 and n3 = 3, so Y = 4 / 6, and the discount of a count of two would be 2 - 9 Y = -4. */
    @Test
    void fallBackWhereADiscountIsNegative() {
        assertThat(NGramDiscounts.of(new int[] {1, 1, 1, 1, 2, 3, 3, 3, 4})).isEqualTo(NGramDiscounts.FALLBACK);
    }

    @Test
    void areLessThanTheirCounts() {
        for (int count = 1; count < 6; count++) {
            assertThat(NGramDiscounts.FALLBACK.of(count)).isBetween(0.5, count - 0.5);
        }
    }
}
