package dev.ptq.evaluate.task;

import dev.ptq.evaluate.PythonRandom;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;

/** Means, perplexities and their standard errors, computed as in the harness. */
final class Statistics {
    /** Resamples that share a generator, seeded by the block's number. */
    private static final int BLOCK = 1000;

    private Statistics() {}

    /**
     * Aggregates the values of documents.
     *
     * @param weights that items are divided by, if any
     * @param resamples behind the error of a perplexity; 0 leaves out all errors
     */
    static TaskResult.Value value(TaskMetric.Aggregation aggregation, double[] items, double[] weights, int resamples) {
        double sum = sum(items);
        boolean one = items.length == 1 || resamples == 0;
        return switch (aggregation) {
            case MEAN -> value(sum / items.length, one ? Double.NaN : deviation(items) / Math.sqrt(items.length));
            case PERPLEXITY -> value(Math.exp(-sum / items.length), one ? Double.NaN : bootstrap(items, resamples));
            case WEIGHTED_PERPLEXITY -> value(Math.exp(-sum / sum(weights)), Double.NaN);
            case BITS -> value(-(sum / sum(weights)) / Math.log(2), Double.NaN);
        };
    }

    /**
     * Returns the mean over the documents of several tasks.
     *
     * @param sizes the documents of each
     */
    static TaskResult.Value pooled(List<TaskResult.Value> values, int[] sizes) {
        long all = Arrays.stream(sizes).asLongStream().sum();
        double mean = 0;
        double squares = 0;
        for (int i = 0; i < sizes.length; i++) {
            double error = values.get(i).error().orElse(Double.NaN);
            mean += values.get(i).value() * sizes[i];
            squares += (double) sizes[i] * (sizes[i] - 1) * error * error;
        }
        return value(mean / all, Math.sqrt(squares / (all - sizes.length) / all));
    }

    private static TaskResult.Value value(double value, double error) {
        return new TaskResult.Value(value, Double.isFinite(error) ? OptionalDouble.of(error) : OptionalDouble.empty());
    }

    private static double bootstrap(double[] items, int resamples) {
        double[] perplexities = new double[resamples];
        for (int from = 0; from < resamples; from += BLOCK) {
            PythonRandom random = new PythonRandom(from / BLOCK);
            for (int i = from; i < Math.min(resamples, from + BLOCK); i++) {
                double sum = 0;
                for (int k = 0; k < items.length; k++) {
                    sum += items[(int) (random.uniform() * items.length)];
                }
                perplexities[i] = Math.exp(-sum / items.length);
            }
        }
        return deviation(perplexities);
    }

    /** Returns the sample standard deviation. */
    private static double deviation(double[] values) {
        double mean = sum(values) / values.length;
        double squares = 0;
        for (double value : values) {
            squares += (value - mean) * (value - mean);
        }
        return Math.sqrt(squares / (values.length - 1));
    }

    private static double sum(double[] values) {
        double sum = 0;
        for (double value : values) {
            sum += value;
        }
        return sum;
    }
}
