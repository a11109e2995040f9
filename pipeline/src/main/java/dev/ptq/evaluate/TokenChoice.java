package dev.ptq.evaluate;

import java.util.Arrays;
import java.util.Comparator;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * The rule for drawing a token from logits: with probabilities {@code softmax(logits / temperature)}, from the fewest
 * largest ones that together reach {@code topP}.
 *
 * @param temperature at least 0; 0 takes the likeliest token
 * @param topP above 0, at most 1; 1 leaves every token in
 */
public record TokenChoice(double temperature, double topP) {
    public TokenChoice {
        if (!(temperature >= 0 && temperature <= Double.MAX_VALUE)) {
            throw new IllegalArgumentException("a temperature of " + temperature);
        }
        if (!(topP > 0 && topP <= 1)) {
            throw new IllegalArgumentException("a top-p of " + topP);
        }
    }

    /**
     * Returns a token's index.
     *
     * @param logits one per token, all finite
     */
    public int draw(float[] logits, SplittableRandom random) {
        if (temperature == 0) {
            return likeliest(logits);
        }
        double[] weights = weights(logits);
        double left = random.nextDouble() * Arrays.stream(weights).sum();
        int chosen = 0;
        for (int token = 0; token < weights.length && left >= 0; token++) {
            if (weights[token] > 0) {
                chosen = token;
                left -= weights[token];
            }
        }
        return chosen;
    }

    private static int likeliest(float[] logits) {
        int likeliest = 0;
        for (int token = 1; token < logits.length; token++) {
            if (logits[token] > logits[likeliest]) {
                likeliest = token;
            }
        }
        return likeliest;
    }

    /** Returns the probabilities over the largest of them; 0 for tokens that are left out. */
    private double[] weights(float[] logits) {
        double largest = logits[likeliest(logits)];
        double[] weights = IntStream.range(0, logits.length)
                .mapToDouble(token -> Math.exp((logits[token] - largest) / temperature))
                .toArray();
        if (topP < 1) {
            keepLargest(weights);
        }
        return weights;
    }

    private void keepLargest(double[] weights) {
        double wanted = topP * Arrays.stream(weights).sum();
        int[] descending = IntStream.range(0, weights.length)
                .boxed()
                .sorted(Comparator.comparingDouble(token -> -weights[token]))
                .mapToInt(Integer::intValue)
                .toArray();
        double kept = 0;
        for (int token : descending) {
            if (kept >= wanted) {
                weights[token] = 0;
            }
            kept += weights[token];
        }
    }
}
