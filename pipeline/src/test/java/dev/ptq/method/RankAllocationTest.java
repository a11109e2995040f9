package dev.ptq.method;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class RankAllocationTest {
    private static RankAllocation.Part part(double price, double... energies) {
        return new RankAllocation.Part(Arrays.stream(energies).boxed().toList(), rank -> price * rank);
    }

    @Test
    void theNextRankGoesWhereItCapturesTheMostPerBit() {
        List<RankAllocation.Part> parts = List.of(part(10, 9, 4, 1), part(20, 30, 10, 9), part(10, 5, 5, 5));
        // per bit: .9 .4 .1, 1.5 .5 .45, .5 .5 .5
        assertThat(RankAllocation.ranks(parts, 20)).containsExactly(0, 1, 0);
        assertThat(RankAllocation.ranks(parts, 30)).containsExactly(1, 1, 0);
        assertThat(RankAllocation.ranks(parts, 50)).containsExactly(1, 2, 0);
        // too little is left for the dearer one
        assertThat(RankAllocation.ranks(parts, 40)).containsExactly(1, 1, 1);
        assertThat(RankAllocation.ranks(parts, 9)).containsExactly(0, 0, 0);
        assertThat(RankAllocation.ranks(parts, 1e9)).containsExactly(3, 3, 3);
    }

    @Test
    void nothingIsPaidForWhatCapturesNothing() {
        assertThat(RankAllocation.ranks(List.of(part(1, 2, 0, 0), part(1), part(1, 0)), 100))
                .containsExactly(1, 0, 0);
        assertThat(RankAllocation.ranks(List.of(), 100)).isEmpty();
        assertThat(RankAllocation.ranks(List.of(part(1, Double.NaN)), 100)).containsExactly(0);
    }

    /** Blocks of values share bits, so that some ranks are dearer than others. */
    @Test
    void pricesMayDifferFromRankToRank() {
        RankAllocation.Part lumpy =
                new RankAllocation.Part(List.of(4.0, 4.0, 4.0, 4.0), rank -> 10 * rank + 30 * ((rank + 1) / 2));
        assertThat(RankAllocation.ranks(List.of(lumpy), 49)).containsExactly(1);
        assertThat(RankAllocation.ranks(List.of(lumpy), 50)).containsExactly(2);
        assertThat(RankAllocation.ranks(List.of(lumpy), 89)).containsExactly(2);
        assertThat(RankAllocation.ranks(List.of(lumpy), 90)).containsExactly(3);
    }

    /** With equal prices greed is best: it takes the largest energies of all. */
    @Test
    void capturesTheMostWhereAllCostTheSame() {
        SplittableRandom random = new SplittableRandom(7);
        for (int trial = 0; trial < 50; trial++) {
            double[][] energies = new double[1 + random.nextInt(5)][];
            Arrays.setAll(
                    energies,
                    i -> IntStream.range(0, 1 + random.nextInt(6))
                            .mapToDouble(j -> -random.nextDouble())
                            .sorted()
                            .map(value -> -value)
                            .toArray());
            int budget = random.nextInt(12);
            int[] ranks = RankAllocation.ranks(
                    Arrays.stream(energies).map(each -> part(3, each)).toList(), 3 * budget + 2.5);
            double[] all = Arrays.stream(energies)
                    .flatMapToDouble(Arrays::stream)
                    .sorted()
                    .toArray();
            double best = IntStream.range(Math.max(0, all.length - budget), all.length)
                    .mapToDouble(i -> all[i])
                    .sum();
            double captured = IntStream.range(0, energies.length)
                    .mapToDouble(i -> Arrays.stream(energies[i], 0, ranks[i]).sum())
                    .sum();
            assertThat(captured).isCloseTo(best, within(1e-12));
            assertThat(Arrays.stream(ranks).sum()).isEqualTo(Math.min(budget, all.length));
        }
    }
}
