package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import dev.ptq.format.IntegerFormat.Range;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * A format with a static range for all values, and so with one scale, or with one for each feature; in {@code nvfp4} it
 * gives the tensor's scale, and blocks keep scales from their values. Values beyond the range become its ends; an infinite
 * one becomes NaN, so that it is noticed.
 *
 * @param format used with the ranges
 * @param rule by which they are found: {@link Range#MINMAX}, {@link Range#PERCENTILE}, {@link Range#MOVING_AVERAGE} or
 *     {@link Range#MSE}
 * @param percentile of values, or of magnitudes in a symmetric range, that the range covers with {@link
 *     Range#PERCENTILE}: as many hundredths are not above its upper end, and as many not below the lower; else 100
 * @param ranges one, or one for each feature; empty until they are taken from statistics, and until then nothing can be
 *     rounded
 */
public record StaticFormat(RangedFormat format, Range rule, double percentile, List<Bounds> ranges)
        implements GridFormat {
    /** The keys of the range in a table outside configs. */
    static final String LOW = "low";

    static final String HIGH = "high";
    /** The config key that says whether the range is dynamic. */
    static final String DYNAMIC = "dynamic";
    /** The config key of the percentile. */
    static final String PERCENTILE = "percentile";

    /** The rules in the order of the reference. */
    static final List<Range> RULES = List.of(Range.MINMAX, Range.PERCENTILE, Range.MOVING_AVERAGE, Range.MSE);

    /** The percentile of a range without one. */
    static final double ALL = 100;

    /** A search shrinks a range by hundredths. */
    private static final double PARTS = 100;

    private static final int CANDIDATES = 80;

    public StaticFormat {
        ranges = List.copyOf(ranges);
        Optional<String> setting = format.settingForOneRange();
        if (setting.isPresent()) {
            throw new IllegalArgumentException("a range that is found beforehand is that of a tensor or a feature: "
                    + "expected " + setting.get() + ", got " + format);
        }
        Optional<String> problem = problem(format, rule);
        if (problem.isPresent()) {
            throw new IllegalArgumentException(problem.get());
        }
        if (!(percentile > 0 && percentile <= ALL) || (rule != Range.PERCENTILE && percentile != ALL)) {
            throw new IllegalArgumentException("no such percentile: " + percentile + " with " + rule);
        }
    }

    /** Makes a format that covers all values; its range is still to be taken from statistics unless it is given. */
    public StaticFormat(RangedFormat format, Optional<Bounds> bounds) {
        this(format, Range.MINMAX, ALL, bounds.stream().toList());
    }

    /** Makes a format whose ranges are still to be taken from statistics. */
    static StaticFormat by(Range rule, double percentile, RangedFormat format) {
        return new StaticFormat(format, rule, rule == Range.PERCENTILE ? percentile : ALL, List.of());
    }

    /** Returns why the ranges of a format cannot be found by a rule; empty if they can. */
    static Optional<String> problem(RangedFormat format, Range rule) {
        if (!RULES.contains(rule)) {
            return Optional.of("expected one of "
                    + RULES.stream().map(Formats::label).toList()
                    + " for a range from calibration, got \"" + Formats.label(rule) + "\"");
        }
        boolean ofHistogram = rule == Range.PERCENTILE || rule == Range.MSE;
        if (ofHistogram && format.hasRangePerFeature()) {
            return Optional.of("\"" + Formats.label(rule)
                    + "\" goes by a histogram, which calibration takes of all values of an input; set"
                    + " granularity = \"tensor\", in a cache per = \"token\", or take \"minmax\" or"
                    + " \"moving_average\"");
        }
        if (rule == Range.MSE && !(format instanceof OneScaleFormat)) {
            return Optional.of("the error of a value depends on its neighbours, which a histogram does not know;"
                    + " take \"percentile\" or \"moving_average\"");
        }
        return Optional.empty();
    }

    /** Returns the same format with this range. */
    public StaticFormat withBounds(float low, float high) {
        return withRanges(List.of(new Bounds(low, high)));
    }

    /** Returns the same format with these ranges. */
    public StaticFormat withRanges(List<Bounds> found) {
        return new StaticFormat(format, rule, percentile, found);
    }

    @Override
    public Set<InputFact> needs() {
        return switch (rule) {
            case MINMAX -> EnumSet.of(InputFact.EXTREMES);
            case PERCENTILE, MSE -> EnumSet.of(InputFact.EXTREMES, InputFact.HISTOGRAM);
            case MOVING_AVERAGE ->
                EnumSet.of(format.hasRangePerFeature() ? InputFact.MOVING_EXTREMES : InputFact.MOVING_RANGE);
            default -> throw new IllegalStateException(rule + " is no rule");
        };
    }

    @Override
    public NumberFormat knowing(LinearFacts facts) throws IOException {
        return withRanges(facts.inputRange(this));
    }

    @Override
    public NumberFormat dynamic() {
        return format;
    }

    private List<Bounds> known() {
        if (ranges.isEmpty()) {
            throw new IllegalStateException("the range was not taken from statistics");
        }
        return ranges;
    }

    /**
     * Returns the range with the least sum of squared errors, out of the whole less 0 to 79 hundredths of both its ends;
     * of equal ones the widest.
     *
     * @param whole of all values
     * @param values that occur
     * @param counts how often each does
     */
    public Bounds leastError(Bounds whole, float[] values, double[] counts) {
        Bounds best = whole;
        double least = Double.POSITIVE_INFINITY;
        for (int i = 0; i < CANDIDATES; i++) {
            float share = (float) (1 - i / PARTS);
            Bounds candidate = new Bounds(share * whole.low(), share * whole.high());
            double error = squaredError(candidate, values, counts);
            if (error < least) {
                least = error;
                best = candidate;
            }
        }
        return best;
    }

    private double squaredError(Bounds range, float[] values, double[] counts) {
        float[] rounded = values.clone();
        format.fitWithin(List.of(range), FloatBuffer.wrap(rounded), new Shape(1, values.length), Operand.ACTIVATION);
        double sum = 0;
        for (int i = 0; i < values.length; i++) {
            double error = (double) rounded[i] - values[i];
            sum += counts[i] * error * error;
        }
        return sum;
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand) {
        format.fitWithin(known(), values, shape, operand);
    }

    @Override
    public Encoding fit(FloatBuffer values, Shape shape, Operand operand) {
        return format.fitWithin(known(), values, shape, operand);
    }

    @Override
    public Blocks blocks(Shape shape, Operand operand) {
        return format.hasRangePerFeature() ? Blocks.columns(shape) : Blocks.one(shape);
    }

    @Override
    public Encoding read(Shape shape, Operand operand, Parts parts) throws IOException {
        return format.readWithin(shape, operand, parts);
    }

    @Override
    public int bits() {
        return format.bits();
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        return format.storageBitsWithin(shape, operand);
    }

    /**
     * {@inheritDoc}
     *
     * <p>For integers, the derivative of clamped values is zero here.
     */
    @Override
    public NDArray differentiable(NDArray values, Operand operand) {
        return format.differentiableWithin(known(), values, operand);
    }

    /**
     * {@inheritDoc}
     *
     * <p>Ranges of features are left out: there are too many of them.
     */
    @Override
    public Map<String, Object> table() {
        Map<String, Object> table = new LinkedHashMap<>(format.table());
        table.put("range", Formats.label(rule));
        if (rule == Range.PERCENTILE) {
            table.put(PERCENTILE, percentile);
        }
        table.put(DYNAMIC, false);
        if (!format.hasRangePerFeature() && !ranges.isEmpty()) {
            table.put(LOW, ranges.get(0).low());
            table.put(HIGH, ranges.get(0).high());
        }
        return table;
    }
}
