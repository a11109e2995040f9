package dev.ptq.method;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.Statistic;
import dev.ptq.config.ConfigTable;
import dev.ptq.family.ModelConfig;
import dev.ptq.format.NumberFormat;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Parallel;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * LQER, L2QER and QERA: a low-rank path beside each linear that takes back most of its weight's quantization error. They
 * differ in the metric only. Sources: LQER (ICML 2024), QERA (ICLR 2025).
 *
 * @param of what the path is made for
 * @param inputs that statistics are taken from
 * @param metric in which the error is made small
 * @param rank of the path
 * @param factor format that both factors are rounded to
 * @param productA format of {@code x A}; absent: that of activations
 * @param productB format of {@code (x A) B}; absent: that of activations
 * @param pattern full-match regular expression of the weight names that get a path
 * @param singularValues whether all singular values of the error, and of the error in the metric, are kept
 */
public record LowRankCorrection(
        Of of,
        Inputs inputs,
        Metric metric,
        int rank,
        NumberFormat factor,
        Optional<NumberFormat> productA,
        Optional<NumberFormat> productB,
        String pattern,
        LowRankSolver solver,
        boolean singularValues)
        implements Method {
    private static final float SMALLEST_SCALE = 1e-4f;

    /** Weights whose errors are decomposed at once: a bound on memory. */
    private static final long WEIGHTS_AT_ONCE = 1L << 27;

    /** What a path is made for. */
    public enum Of {
        /** The error that rounding leaves in a weight. */
        ERROR,
        /** The weight itself, before it is rounded; rounding then has the rest. */
        WEIGHT,
        /** The weight with some of the rank, and the error that is left with the rest. */
        BOTH
    }

    /** In which the error is made small. */
    public enum Metric {
        /** Every input channel counts the same. */
        IDENTITY("lqer", Optional.empty()),
        /** Input channels count by their mean magnitude. */
        MEAN_ABS("l2qer", Optional.of(Statistic.MAX_BATCH_MEAN_ABS)),
        /** Input channels count by their mean square: the error of the output, were the channels independent. */
        SECOND_MOMENT("qera_approx", Optional.of(Statistic.SECOND_MOMENT)),
        /** The expected error of the output. */
        HESSIAN("qera_exact", Optional.of(Statistic.HESSIAN));

        private final String method;
        private final Optional<Statistic> statistic;

        Metric(String method, Optional<Statistic> statistic) {
            this.method = method;
            this.statistic = statistic;
        }

        /** The method that is a plain correction in this metric. */
        String method() {
            return method;
        }

        boolean needsStatistic() {
            return statistic.isPresent();
        }
    }

    /** The same for another target. */
    LowRankCorrection with(Of target) {
        return new LowRankCorrection(
                target, inputs, metric, rank, factor, productA, productB, pattern, solver, singularValues);
    }

    @Override
    public String name() {
        return metric.method;
    }

    @Override
    public boolean draws() {
        return solver.kind() == LowRankSolver.Kind.RANDOMIZED;
    }

    @Override
    public Phase phase() {
        return switch (of) {
            case ERROR -> Phase.CORRECT;
            case WEIGHT -> Phase.SPLIT;
            case BOTH -> Phase.ROUND;
        };
    }

    @Override
    public Needs needs() {
        return new Needs(metric.statistic.map(Set::of).orElse(Set.of()), inputs, Optional.empty());
    }

    @Override
    public void check(ModelConfig shape, QuantizationSettings quantization, ConfigTable table) {
        List<LinearSpec> linears = LanguageModel.linears(shape);
        List<LinearSpec> matched = linears.stream().filter(this::matches).toList();
        if (matched.isEmpty()) {
            table.problem(
                    "pattern",
                    "'" + pattern + "' matches no weight; there are such as "
                            + linears.get(0).weightName());
        }
        matched.stream()
                .filter(linear -> metric == Metric.HESSIAN && linear.inFeatures() > Statistic.LARGEST_MATRIX)
                .findFirst()
                .ifPresent(linear -> table.problem(
                        "pattern",
                        "expected weights of at most " + Statistic.LARGEST_MATRIX + " input features, "
                                + linear.weightName() + " has " + linear.inFeatures()
                                + "; leave it to a step qera_approx, or one with metric = \"second_moment\""));
        matched.stream()
                .filter(linear -> rank > Math.min(linear.inFeatures(), linear.outFeatures()))
                .findFirst()
                .ifPresent(linear -> table.problem(
                        "rank",
                        "expected at most " + Math.min(linear.inFeatures(), linear.outFeatures())
                                + ", the smaller side of "
                                + linear.weightName() + " [" + linear.outFeatures() + ", " + linear.inFeatures()
                                + "], got " + rank));
    }

    @Override
    public boolean addsPaths() {
        return true;
    }

    @Override
    public boolean matches(LinearSpec linear) {
        return linear.weightName().matches(pattern);
    }

    @Override
    public void apply(BlockContext context) throws IOException {
        LowRankDecomposition.of(this).apply(context);
    }

    /** How many weights of a size are corrected at once at most. */
    public static int atOnce(long size) {
        return (int) Math.max(1, Math.min(Parallel.THREADS, WEIGHTS_AT_ONCE / size));
    }

    /**
     * The cost of errors of a linear.
     *
     * @param statistics of its input, if the metric needs any
     * @param manager that owns it
     * @param method the name in messages
     */
    ErrorMetric metric(Optional<ActivationStatistics> statistics, LinearSpec spec, NDManager manager, String method)
            throws IOException {
        ErrorMetric found = switch (metric) {
            case IDENTITY -> ErrorMetric.diagonal(manager.ones(new Shape(spec.inFeatures())));
            case MEAN_ABS ->
                ErrorMetric.diagonal(NativeFloats.of(
                        manager,
                        normalized(statistics.orElseThrow().of(spec, Statistic.MAX_BATCH_MEAN_ABS)),
                        spec.inFeatures()));
            case SECOND_MOMENT ->
                ErrorMetric.squared(NativeFloats.of(
                        manager, statistics.orElseThrow().of(spec, Statistic.SECOND_MOMENT), spec.inFeatures()));
            case HESSIAN -> ErrorMetric.squared(statistics.orElseThrow().matrix(manager, spec, Statistic.HESSIAN));
        };
        if (!found.isFinite()) {
            throw new IOException(spec.module() + ": the statistics of its input for " + method
                    + " have a value that is NaN or infinite; calibrate with another text");
        }
        return found;
    }

    /** Raises values to at least 1e-4 and divides them by the geometric mean of the smallest and the largest. */
    static float[] normalized(float[] statistic) {
        float smallest = Float.POSITIVE_INFINITY;
        float largest = 0;
        for (int i = 0; i < statistic.length; i++) {
            statistic[i] = Math.max(statistic[i], SMALLEST_SCALE);
            smallest = Math.min(smallest, statistic[i]);
            largest = Math.max(largest, statistic[i]);
        }
        float middle = (float) Math.sqrt(smallest * largest);
        for (int i = 0; i < statistic.length; i++) {
            statistic[i] /= middle;
        }
        return statistic;
    }
}
