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
    TOKENS("tokens", 0),
    /** A moving average over sequences of the least value. */
    MOVING_MIN("moving_min", 1),
    /** A moving average over sequences of the largest value. */
    MOVING_MAX("moving_max", 1),
    /** The same of the least value of all features, one number. */
    MOVING_MIN_OF_ALL("moving_min_of_all", 0),
    /** The same of the largest value of all features, one number. */
    MOVING_MAX_OF_ALL("moving_max_of_all", 0),
    /** How often the values of all features occur, see {@link ValueCounts}. */
    HISTOGRAM("histogram", 0);

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

    /** Returns whether it stays in its file until it is asked for. */
    boolean isLarge() {
        return isMatrix() || this == HISTOGRAM;
    }

    /** Its shape for an input of so many features. */
    public long[] shape(int features) {
        if (this == HISTOGRAM) {
            return new long[] {2, ValueCounts.BINS};
        }
        long[] shape = new long[Math.max(1, dimensions)];
        Arrays.fill(shape, dimensions == 0 ? 1 : features);
        return shape;
    }

    /** Returns whether it is taken at a hook point at all. */
    boolean isOf(HookPoint hookPoint) {
        return switch (this) {
            case TOKENS -> hookPoint.isRouted() && hookPoint.place() == HookPoint.Place.MLP_IN;
            // large, and only linears ask for them
            case HESSIAN, HISTOGRAM -> !hookPoint.equals(HookPoint.MIXTURE_IN);
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
            case MOVING_MIN -> new MovingExtremes(features, false);
            case MOVING_MAX -> new MovingExtremes(features, true);
            case MOVING_MIN_OF_ALL -> new MovingExtremes(1, false);
            case MOVING_MAX_OF_ALL -> new MovingExtremes(1, true);
            case HISTOGRAM -> new Histogram();
        };
    }
}
