package dev.ptq.allocate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The multiple-choice knapsack: one option for every item, the least sum of scores, and sums of costs within limits.
 *
 * <p>Prices of costs (Lagrange multipliers) give a bound from below and a first solution, which exchanges of single options
 * improve. Then the items are gone through one by one, with all sums of costs and scores that can still be better than the
 * best solution known, by the bound for the items that are left. The result is exact unless there are more such sums than
 * {@link #STATES}, of which those with the least bounds are kept. The same input gives the same result.
 */
final class Knapsack {
    /** Sums that are kept after each item at most. */
    private static final int STATES = 1 << 16;
    /** Halvings of a range of prices. */
    private static final int HALVINGS = 100;
    /** How often all prices are found again, each for the others. */
    private static final int ROUNDS = 12;
    /** Improvements of the bound that are round-off. */
    private static final double ROUND_OFF = 1e-12;

    private final double[][] scores;
    private final double[][][] costs;
    private final double[] limits;
    private final int items;

    /**
     * A solution.
     *
     * @param options by item
     * @param score sum of its scores
     * @param bound no solution has less
     * @param exact whether no solution is better
     */
    record Solution(List<Integer> options, double score, double bound, boolean exact) {
        private static Solution of(int[] options, double score, double bound, boolean exact) {
            return new Solution(Arrays.stream(options).boxed().toList(), score, bound, exact);
        }
    }

    /**
     * Poses a problem.
     *
     * @param scores by item and option; infinite where an item does not have an option
     * @param costs by item, option and limit; none below zero
     * @param limits of the sums of costs
     */
    Knapsack(double[][] scores, double[][][] costs, double[] limits) {
        this.scores = scores;
        this.costs = costs;
        this.limits = limits;
        this.items = scores.length;
        for (double[] ofItem : scores) {
            if (Arrays.stream(ofItem).anyMatch(Double::isNaN)
                    || Arrays.stream(ofItem).noneMatch(Double::isFinite)) {
                throw new IllegalArgumentException("an item has no option, or a score that is NaN");
            }
        }
    }

    /** The least sum of one of the costs. */
    double least(int limit) {
        double sum = 0;
        for (int item = 0; item < items; item++) {
            sum += leastOf(item, limit);
        }
        return sum;
    }

    /** The largest sum of one of the costs. */
    double most(int limit) {
        double sum = 0;
        for (int item = 0; item < items; item++) {
            double most = 0;
            for (int option = 0; option < scores[item].length; option++) {
                most = has(item, option) ? Math.max(most, costs[item][option][limit]) : most;
            }
            sum += most;
        }
        return sum;
    }

    private double leastOf(int item, int limit) {
        double least = Double.POSITIVE_INFINITY;
        for (int option = 0; option < scores[item].length; option++) {
            least = has(item, option) ? Math.min(least, costs[item][option][limit]) : least;
        }
        return least;
    }

    private boolean has(int item, int option) {
        return Double.isFinite(scores[item][option]);
    }

    /** Solves it; empty if nothing is within all limits. */
    Optional<Solution> solve() {
        double[] prices = prices();
        int @Nullable [] best = feasible(prices);
        if (best != null) {
            improve(best);
        }
        return search(prices, best);
    }

    /** The options that are best at some prices; of equals the cheaper, then the first. */
    private int[] at(double[] prices) {
        int[] options = new int[items];
        for (int item = 0; item < items; item++) {
            int best = -1;
            for (int option = 0; option < scores[item].length; option++) {
                if (has(item, option) && (best < 0 || isBetter(item, option, best, prices))) {
                    best = option;
                }
            }
            options[item] = best;
        }
        return options;
    }

    private boolean isBetter(int item, int option, int than, double[] prices) {
        double own = priced(item, option, prices);
        double other = priced(item, than, prices);
        return own < other || (own == other && scores[item][option] > scores[item][than]);
    }

    private double priced(int item, int option, double[] prices) {
        double sum = scores[item][option];
        for (int i = 0; i < prices.length; i++) {
            sum += prices[i] * costs[item][option][i];
        }
        return sum;
    }

    private double[] sums(int[] options) {
        double[] sums = new double[limits.length];
        for (int item = 0; item < items; item++) {
            for (int i = 0; i < sums.length; i++) {
                sums[i] += costs[item][options[item]][i];
            }
        }
        return sums;
    }

    private double score(int[] options) {
        double sum = 0;
        for (int item = 0; item < items; item++) {
            sum += scores[item][options[item]];
        }
        return sum;
    }

    private boolean isWithin(int[] options) {
        double[] sums = sums(options);
        for (int i = 0; i < sums.length; i++) {
            if (sums[i] > limits[i]) {
                return false;
            }
        }
        return true;
    }

    /** The least prices at which the best options keep the limits, each found for the others. */
    private double[] prices() {
        double[] prices = new double[limits.length];
        int rounds = limits.length > 1 ? ROUNDS : 1;
        for (int round = 0; round < rounds; round++) {
            for (int i = 0; i < prices.length; i++) {
                prices[i] = price(prices, i);
            }
        }
        return prices;
    }

    private double price(double[] prices, int which) {
        double[] trial = prices.clone();
        trial[which] = 0;
        if (sums(at(trial))[which] <= limits[which]) {
            return 0;
        }
        double high = 1e-12;
        trial[which] = high;
        while (sums(at(trial))[which] > limits[which] && high < 1e30) {
            high *= 4;
            trial[which] = high;
        }
        double low = 0;
        for (int i = 0; i < HALVINGS; i++) {
            double middle = (low + high) / 2;
            trial[which] = middle;
            if (sums(at(trial))[which] > limits[which]) {
                low = middle;
            } else {
                high = middle;
            }
        }
        return high;
    }

    /** A solution near the prices, or null where none was found. */
    private int @Nullable [] feasible(double[] prices) {
        double[] trial = prices.clone();
        for (int i = 0; i < HALVINGS; i++) {
            int[] options = at(trial);
            if (isWithin(options)) {
                return options;
            }
            double[] sums = sums(options);
            for (int k = 0; k < trial.length; k++) {
                if (sums[k] > limits[k]) {
                    trial[k] = Math.max(1e-12, trial[k] * 1.25);
                }
            }
        }
        return null;
    }

    /** Exchanges the option of one item for a better one as long as there is one within the limits. */
    private void improve(int[] options) {
        double[] sums = sums(options);
        while (true) {
            int bestItem = -1;
            int bestOption = -1;
            double best = 0;
            for (int item = 0; item < items; item++) {
                for (int option = 0; option < scores[item].length; option++) {
                    double gain = scores[item][options[item]] - scores[item][option];
                    if (has(item, option) && gain > best && fits(sums, item, options[item], option)) {
                        best = gain;
                        bestItem = item;
                        bestOption = option;
                    }
                }
            }
            if (bestItem < 0) {
                return;
            }
            options[bestItem] = bestOption;
            sums = sums(options);
        }
    }

    private boolean fits(double[] sums, int item, int from, int to) {
        for (int i = 0; i < sums.length; i++) {
            if (sums[i] - costs[item][from][i] + costs[item][to][i] > limits[i]) {
                return false;
            }
        }
        return true;
    }

    /** Options of the first items: their sums, and the last of them. */
    private static final class State {
        private final double[] sums;
        private final double score;
        private final double bound;
        private final int option;
        private final @Nullable State before;

        private State(double[] sums, double score, double bound, int option, @Nullable State before) {
            this.sums = sums;
            this.score = score;
            this.bound = bound;
            this.option = option;
            this.before = before;
        }
    }

    private Optional<Solution> search(double[] prices, int @Nullable [] known) {
        double[] restPriced = new double[items + 1];
        double[][] restLeast = new double[items + 1][limits.length];
        for (int item = items - 1; item >= 0; item--) {
            double least = Double.POSITIVE_INFINITY;
            for (int option = 0; option < scores[item].length; option++) {
                least = has(item, option) ? Math.min(least, priced(item, option, prices)) : least;
            }
            restPriced[item] = restPriced[item + 1] + least;
            for (int i = 0; i < limits.length; i++) {
                restLeast[item][i] = restLeast[item + 1][i] + leastOf(item, i);
            }
        }
        double granted = 0;
        for (int i = 0; i < limits.length; i++) {
            granted += prices[i] * limits[i];
        }
        double bound = restPriced[0] - granted;
        double best = known == null ? Double.POSITIVE_INFINITY : score(known);
        boolean exact = true;
        List<State> states = List.of(new State(new double[limits.length], 0, bound, -1, null));
        for (int item = 0; item < items; item++) {
            List<State> next = new ArrayList<>();
            for (State state : states) {
                for (int option = 0; option < scores[item].length; option++) {
                    if (has(item, option)) {
                        State longer = longer(state, item, option, prices, restPriced[item + 1] - granted);
                        if (isHopeful(longer, restLeast[item + 1], best)) {
                            next.add(longer);
                        }
                    }
                }
            }
            states = undominated(next);
            if (states.size() > STATES) {
                exact = false;
                states = states.stream()
                        .sorted(Comparator.comparingDouble((State state) -> state.bound))
                        .limit(STATES)
                        .toList();
            }
        }
        Optional<State> found = states.stream().min(Comparator.comparingDouble((State state) -> state.score));
        if (found.isPresent() && found.get().score < best) {
            int[] options = new int[items];
            State state = found.get();
            for (int item = items - 1; item >= 0 && state != null; item--) {
                options[item] = state.option;
                state = state.before;
            }
            return Optional.of(Solution.of(options, score(options), bound, exact));
        }
        return known == null ? Optional.empty() : Optional.of(Solution.of(known, best, bound, exact));
    }

    private State longer(State state, int item, int option, double[] prices, double rest) {
        double[] sums = state.sums.clone();
        double score = state.score + scores[item][option];
        double priced = score;
        for (int i = 0; i < sums.length; i++) {
            sums[i] += costs[item][option][i];
            priced += prices[i] * sums[i];
        }
        return new State(sums, score, priced + rest, option, state);
    }

    private boolean isHopeful(State state, double[] restLeast, double best) {
        for (int i = 0; i < limits.length; i++) {
            if (state.sums[i] + restLeast[i] > limits[i]) {
                return false;
            }
        }
        return state.bound < best - ROUND_OFF * Math.abs(best) || best == Double.POSITIVE_INFINITY;
    }

    /** The states that no other is below in all sums and the score, as far as one cost tells it at once. */
    private List<State> undominated(List<State> states) {
        states.sort(Comparator.<State>comparingDouble(state -> state.sums.length == 0 ? 0 : state.sums[0])
                .thenComparingDouble(state -> state.score));
        List<State> kept = new ArrayList<>();
        double least = Double.POSITIVE_INFINITY;
        for (State state : states) {
            boolean dominated = limits.length <= 1
                    ? state.score >= least
                    : !kept.isEmpty() && isBelow(kept.get(kept.size() - 1), state);
            if (!dominated) {
                kept.add(state);
                least = Math.min(least, state.score);
            }
        }
        return kept;
    }

    private static boolean isBelow(State one, State other) {
        for (int i = 0; i < one.sums.length; i++) {
            if (one.sums[i] > other.sums[i]) {
                return false;
            }
        }
        return one.score <= other.score;
    }
}
