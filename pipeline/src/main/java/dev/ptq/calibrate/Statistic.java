package dev.ptq.calibrate;

import dev.ptq.model.HookPoint;
import java.util.Arrays;

/** The statistics of activations there are: each a file that accumulates it, and its lines here. */
public enum Statistic {
    /** The largest batch mean of magnitudes. */
    MAX_BATCH_MEAN_ABS("max_batch_mean_abs", 1),
    /** The mean magnitude. */
    MEAN_ABS("mean_abs", 1),
    /** The least value. */
    MIN("min", 1),
    /** The largest value. */
    MAX("max", 1),
    /** The largest magnitude. */
    ABS_MAX("abs_max", 1),
    /** A moving average over sequences of the middle between the extremes. */
    MID_RANGE("mid_range", 1),
    /** The mean square. */
    SECOND_MOMENT("second_moment", 1),
    /** The mean products of all pairs of features, a matrix. */
    HESSIAN("hessian", 2),
    /** The tokens that a router sends to an expert, one number. */
    TOKENS("tokens", 0);

    /** Features of an input whose matrix fits in one window, {@link dev.ptq.tensor.NativeFloats#window}. */
    public static final int LARGEST_MATRIX = 23170;

    private final String label;
    private final int dimensions;

    Statistic(String label, int dimensions) {
        this.label = label;
        this.dimensions = dimensions;
    }

    /** The name in files. */
    public String label() {
        return label;
    }

    /** Whether it has a value for each pair of features, not for each feature. */
    public boolean isMatrix() {
        return dimensions == 2;
    }

    /** Its shape for an input of so many features. */
    public long[] shape(int features) {
        long[] shape = new long[Math.max(1, dimensions)];
        Arrays.fill(shape, dimensions == 0 ? 1 : features);
        return shape;
    }

    /** Returns whether it is taken at a hook point at all. */
    boolean isOf(HookPoint hookPoint) {
        return switch (this) {
            case TOKENS -> hookPoint.isRouted() && hookPoint.place() == HookPoint.Place.MLP_IN;
            // only the errors of linears are measured by a matrix
            case HESSIAN -> !hookPoint.equals(HookPoint.MIXTURE_IN);
            default -> true;
        };
    }

    /** Starts with nothing seen, of batches of {@code batchSize} sequences. */
    Accumulator start(int features, int batchSize) {
        return switch (this) {
            case MAX_BATCH_MEAN_ABS -> new MaxBatchMeanAbs(features, batchSize);
            case MEAN_ABS -> new MeanAbs(features);
            case MIN -> new Extremes(features, false);
            case MAX -> new Extremes(features, true);
            case ABS_MAX -> new AbsMax(features);
            case MID_RANGE -> new MidRange(features);
            case SECOND_MOMENT -> new SecondMoment(features);
            case HESSIAN -> new Hessian(features);
            case TOKENS -> new RoutedTokens();
        };
    }
}
