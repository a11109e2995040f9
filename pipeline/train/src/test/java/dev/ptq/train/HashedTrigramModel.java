package dev.ptq.train;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The formulas of {@link TrigramModel} as they are written: n-grams are lists, counts in maps, sums taken anew. */
final class HashedTrigramModel {
    private final int vocabSize;
    /** By order: of unigrams, bigrams, trigrams. */
    private final List<Map<List<Integer>, Integer>> counts = List.of(new HashMap<>(), new HashMap<>(), new HashMap<>());

    HashedTrigramModel(List<int[]> texts, int vocabSize) {
        this.vocabSize = vocabSize;
        for (int[] tokens : texts) {
            List<Integer> text = Arrays.stream(tokens).boxed().toList();
            for (int i = 2; i < text.size(); i++) {
                counts.get(2).merge(text.subList(i - 2, i + 1), 1, Integer::sum);
            }
            if (text.size() >= 2) {
                counts.get(1).merge(text.subList(0, 2), 1, Integer::sum);
            }
        }
        for (int order : new int[] {2, 1}) {
            for (List<Integer> gram : counts.get(order).keySet()) {
                counts.get(order - 1).merge(gram.subList(1, order + 1), 1, Integer::sum);
            }
        }
    }

    /** The probability of a token after a context of at most two tokens. */
    double probability(List<Integer> context, int token) {
        double lower = context.isEmpty() ? 1.0 / vocabSize : probability(context.subList(1, context.size()), token);
        double total = 0;
        double count = 0;
        int[] grams = new int[4];
        for (Map.Entry<List<Integer>, Integer> entry :
                counts.get(context.size()).entrySet()) {
            if (entry.getKey().subList(0, context.size()).equals(context)) {
                total += entry.getValue();
                grams[Math.min(3, entry.getValue())]++;
                if (entry.getKey().get(context.size()) == token) {
                    count = entry.getValue();
                }
            }
        }
        if (total == 0) {
            return lower;
        }
        double[] d = discounts(context.size());
        double gamma = (d[1] * grams[1] + d[2] * grams[2] + d[3] * grams[3]) / total;
        return Math.max(count - d[(int) Math.min(3, count)], 0) / total + gamma * lower;
    }

    /** Whether the counts of counts of an order give discounts; 0 is the order of unigrams. */
    boolean estimatesDiscounts(int order) {
        double[] d = estimate(order);
        // where a count of counts is zero one is infinite, not a number, or takes all
        return d[1] > 0 && d[2] > 0 && d[3] > 0 && d[3] < 3;
    }

    private double[] discounts(int order) {
        return estimatesDiscounts(order) ? estimate(order) : new double[] {0, 0.5, 1, 1.5};
    }

    private double[] estimate(int order) {
        double n1 = having(order, 1);
        double n2 = having(order, 2);
        double n3 = having(order, 3);
        double n4 = having(order, 4);
        double y = n1 / (n1 + 2 * n2);
        return new double[] {0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3};
    }

    private long having(int order, int count) {
        return counts.get(order).values().stream().filter(c -> c == count).count();
    }
}
