package dev.ptq.evaluate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.math.BigDecimal;
import java.math.BigInteger;
import org.junit.jupiter.api.Test;

class McNemarTest {
    @Test
    void isTheBinomialTailOfBothSides() {
        for (int first = 0; first < 40; first++) {
            for (int second = 0; second < 40; second++) {
                assertThat(McNemar.probability(first, second))
                        .isCloseTo(exact(first, second), within(1e-12))
                        .isEqualTo(McNemar.probability(second, first));
            }
        }
    }

    private static double exact(int first, int second) {
        BigInteger tail = BigInteger.ZERO;
        BigInteger binomial = BigInteger.ONE;
        for (int k = 0; k <= Math.min(first, second); k++) {
            tail = tail.add(binomial);
            binomial = binomial.multiply(BigInteger.valueOf(first + second - k)).divide(BigInteger.valueOf(k + 1));
        }
        BigDecimal all = new BigDecimal(BigInteger.TWO.pow(first + second));
        return Math.min(1, new BigDecimal(tail.shiftLeft(1)).divide(all).doubleValue());
    }

    @Test
    void holdsForManyItems() {
        assertThat(McNemar.probability(0, 0)).isEqualTo(1);
        assertThat(McNemar.probability(5000, 5000)).isEqualTo(1);
        assertThat(McNemar.probability(0, 10_000)).isZero();
        // the normal approximation with its correction: z = (|b - c| - 1) / sqrt(b + c) = 1.99
        assertThat(McNemar.probability(4900, 5100)).isCloseTo(0.0466, within(5e-4));
    }
}
