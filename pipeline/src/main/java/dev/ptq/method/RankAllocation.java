package dev.ptq.method;

import java.util.Arrays;
import java.util.List;

/**
 * Ranks under a budget of bits, chosen greedily: the next bits go where one more rank captures the most energy per bit,
 * until none can be paid.
 */
final class RankAllocation {
    /** The storage of factors of some rank. */
    @FunctionalInterface
    interface Storage {
        double bits(int rank);
    }

    /**
     * A low-rank part.
     *
     * @param energies what each rank captures more than the one before, the largest first; no rank above their number
     */
    record Part(List<Double> energies, Storage storage) {}

    private RankAllocation() {}

    /**
     * Chooses ranks.
     *
     * @param budget in bits, for all parts
     * @return a rank for each, perhaps 0; none for energy that is zero. Of equals the first comes first
     */
    static int[] ranks(List<Part> parts, double budget) {
        int[] ranks = new int[parts.size()];
        double[] prices = new double[parts.size()];
        Arrays.setAll(prices, i -> price(parts.get(i), 0));
        double left = budget;
        while (true) {
            int best = -1;
            double mostPerBit = 0;
            for (int i = 0; i < ranks.length; i++) {
                List<Double> energies = parts.get(i).energies();
                if (ranks[i] < energies.size()
                        && prices[i] <= left
                        && energies.get(ranks[i]) / prices[i] > mostPerBit) {
                    best = i;
                    mostPerBit = energies.get(ranks[i]) / prices[i];
                }
            }
            if (best < 0) {
                return ranks;
            }
            left -= prices[best];
            ranks[best]++;
            prices[best] = price(parts.get(best), ranks[best]);
        }
    }

    /** Of the rank behind those that a part has. */
    private static double price(Part part, int rank) {
        return part.storage().bits(rank + 1) - (rank == 0 ? 0 : part.storage().bits(rank));
    }
}
