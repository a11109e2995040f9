package dev.ptq.allocate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Against all allotments of small problems, and bounds of large ones. */
class KnapsackTest {
    private static final double NONE = Double.POSITIVE_INFINITY;

    /** The least score of all allotments within the limits; infinite if there is none. */
    private static double best(double[][] scores, double[][][] costs, double[] limits, int item, double[] sums) {
        for (int i = 0; i < limits.length; i++) {
            if (sums[i] > limits[i]) {
                return NONE;
            }
        }
        if (item == scores.length) {
            return 0;
        }
        double best = NONE;
        for (int option = 0; option < scores[item].length; option++) {
            double[] longer = sums.clone();
            for (int i = 0; i < limits.length; i++) {
                longer[i] += costs[item][option][i];
            }
            best = Math.min(best, scores[item][option] + best(scores, costs, limits, item + 1, longer));
        }
        return best;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void isTheBestOfAll(int budgets) {
        for (int seed = 0; seed < 60; seed++) {
            SplittableRandom random = new SplittableRandom(31L * seed + budgets);
            double[][] scores = new double[6][4];
            double[][][] costs = new double[6][4][budgets];
            double[] limits = new double[budgets];
            for (int item = 0; item < 6; item++) {
                for (int option = 0; option < 4; option++) {
                    // few values, so that there are ties, and some options that an item does not have
                    scores[item][option] = option > 0 && random.nextInt(8) == 0 ? NONE : random.nextInt(12);
                    for (int i = 0; i < budgets; i++) {
                        costs[item][option][i] = random.nextInt(8);
                    }
                }
            }
            for (int i = 0; i < budgets; i++) {
                limits[i] = 8 + random.nextInt(20);
            }
            double best = best(scores, costs, limits, 0, new double[budgets]);
            Optional<Knapsack.Solution> found = new Knapsack(scores, costs, limits).solve();

            assertThat(found.map(Knapsack.Solution::score).orElse(NONE))
                    .as("seed %d", seed)
                    .isEqualTo(best);
            if (found.isPresent()) {
                assertThat(found.get().exact()).isTrue();
                assertThat(found.get().bound()).isLessThanOrEqualTo(best + 1e-9);
                double[] sums = new double[budgets];
                for (int item = 0; item < 6; item++) {
                    for (int i = 0; i < budgets; i++) {
                        sums[i] += costs[item][found.get().options().get(item)][i];
                    }
                }
                for (int i = 0; i < budgets; i++) {
                    assertThat(sums[i]).isLessThanOrEqualTo(limits[i]);
                }
            }
        }
    }

    /** 400 linears of eight sizes: errors that a bit more divides by four, in an irregular way. */
    @Test
    void largeProblemsAreSolvedToo() {
        SplittableRandom random = new SplittableRandom(7);
        double[][] scores = new double[400][6];
        double[][][] costs = new double[400][6][1];
        for (int item = 0; item < 400; item++) {
            double size = 1 + random.nextInt(8);
            double sensitivity = Math.exp(4 * random.nextDouble());
            for (int option = 0; option < 6; option++) {
                scores[item][option] = size * sensitivity * Math.pow(0.25, option) * (0.8 + 0.4 * random.nextDouble());
                costs[item][option][0] = size * (2 + option + 0.01 * random.nextDouble());
            }
        }
        double total = Arrays.stream(costs).mapToDouble(item -> item[1][0]).sum();
        Knapsack knapsack = new Knapsack(scores, costs, new double[] {total});
        Knapsack.Solution solution = knapsack.solve().orElseThrow();

        assertThat(solution.score()).isBetween(solution.bound(), solution.bound() * 1.0005);
        assertThat(knapsack.solve().orElseThrow().options()).isEqualTo(solution.options());
    }

    @Test
    void aBudgetForEverythingBuysTheBest() {
        double[][] scores = {{3, 1, 2}, {5, 5, 4}};
        double[][][] costs = {{{1}, {2}, {3}}, {{1}, {2}, {3}}};
        Knapsack knapsack = new Knapsack(scores, costs, new double[] {100});

        assertThat(knapsack.solve().orElseThrow().options()).containsExactly(1, 2);
        assertThat(knapsack.least(0)).isEqualTo(2);
        assertThat(knapsack.most(0)).isEqualTo(6);
        assertThat(new Knapsack(scores, costs, new double[] {1.9}).solve()).isEmpty();
        assertThat(new Knapsack(scores, costs, new double[] {2})
                        .solve()
                        .orElseThrow()
                        .score())
                .isCloseTo(8, within(0.0));
    }

    @Test
    void scoresAreNumbersAndItemsHaveOptions() {
        double[][][] costs = {{{1}}};
        assertThatThrownBy(() -> new Knapsack(new double[][] {{Double.NaN}}, costs, new double[] {1}))
                .hasMessageContaining("NaN");
        assertThatThrownBy(() -> new Knapsack(new double[][] {{NONE}}, costs, new double[] {1}))
                .hasMessageContaining("no option");
    }
}
