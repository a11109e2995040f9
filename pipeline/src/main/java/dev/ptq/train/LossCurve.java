package dev.ptq.train;

import java.util.LinkedHashMap;
import java.util.Map;

/** The course of a training. */
final class LossCurve {
    private LossCurve() {}

    /**
     * One look at the validation texts.
     *
     * @param step number of steps taken
     * @param tokens trained on so far
     * @param learningRate of that step
     * @param trainLoss mean over the steps since the last look, in nats per token
     * @param validation loss by corpus, in nats per token
     */
    record Point(int step, long tokens, double learningRate, double trainLoss, Map<String, Double> validation) {
        Point {
            validation = new LinkedHashMap<>(validation);
        }

        /** Mean over the corpora. */
        double meanValidation() {
            return validation.values().stream()
                    .mapToDouble(Double::doubleValue)
                    .average()
                    .orElseThrow();
        }
    }
}
