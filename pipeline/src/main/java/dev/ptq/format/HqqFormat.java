package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import dev.ptq.format.IntegerFormat.Granularity;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Integers with a zero point that is any number, found by a solver: {@code code = clamp(rint(w s + z))}, and the value is
 * {@code (code - z) / s}. Here {@code s = (2^bits - 1) / (max - min)}, at most 2e4, and 1 where the range is not above 1e-4;
 * {@code z} starts as {@code -min s}, so that the range need not contain 0. Source: Half-Quadratic Quantization of Large
 * Machine Learning Models (Badri and Shaji, 2023), with the arithmetic of the released code, but sums in double precision.
 *
 * <p>Groups are those of the flattened tensor and may reach over the end of a row. A group with a value that is not finite
 * becomes NaN, and so does one whose range is beyond float32.
 *
 * @param bits of a code, 1 to 8
 * @param granularity {@link Granularity#GROUP} or {@link Granularity#CHANNEL}
 * @param groupSize values that share a scale, for {@link Granularity#GROUP}; the size of a tensor is a multiple of it. 0
 *     otherwise
 * @param axis 1: a group consists of neighbours, a channel is a row. 0: a tensor of n values is read as {@code [groupSize, n
 *     / groupSize]}, and a group is a column of that; a channel is a column of the tensor
 * @param roundZero whether the zero point is rounded before the solver starts
 */
public record HqqFormat(int bits, Granularity granularity, int groupSize, int axis, boolean roundZero, HqqSolver solver)
        implements GridFormat {
    /** The name in configs. */
    static final String NAME = "hqq";

    static final int MOST_BITS = 8;

    /** A scale is stored in half precision, and so is a zero point. */
    private static final int SCALE_BITS = 16;

    private static final float LEAST_RANGE = 1e-4f;
    private static final float LARGEST_RECIPROCAL = 2e4f;

    public HqqFormat {
        boolean isGroupOrChannel = granularity == Granularity.GROUP || granularity == Granularity.CHANNEL;
        if (bits < 1 || bits > MOST_BITS || !isGroupOrChannel || axis < 0 || axis > 1) {
            throw new IllegalArgumentException("no such format: " + bits + " bits, " + granularity + ", axis " + axis);
        }
        granularity.require(groupSize);
    }

    @Override
    public boolean cutsOnPurpose() {
        return true;
    }

    @Override
    public Optional<String> refusal(Shape shape) {
        long size = shape.size();
        if (granularity != Granularity.GROUP || size % groupSize == 0) {
            return Optional.empty();
        }
        int divisor = (int) Math.min(groupSize, size);
        while (size % divisor != 0) {
            divisor--;
        }
        return Optional.of("its " + size + " values are no multiple of group_size " + groupSize + "; take " + divisor
                + ", or granularity = \"channel\"");
    }

    /** Returns where groups lie in the flattened tensor. */
    private Blocks groups(Shape shape) {
        Optional<String> refusal = refusal(shape);
        if (refusal.isPresent()) {
            throw new IllegalArgumentException("a tensor of shape " + shape + ": " + refusal.get());
        }
        if (granularity == Granularity.CHANNEL) {
            return axis == 1 ? Blocks.rows(shape) : Blocks.columns(shape);
        }
        int count = Math.toIntExact(shape.size() / groupSize);
        return axis == 1
                ? new Blocks(1, count, groupSize, 1, groupSize)
                : new Blocks(1, groupSize, count, groupSize, 1);
    }

    /** {@inheritDoc} Where groups are no rectangles of the tensor, there is one block. */
    @Override
    public Blocks blocks(Shape shape, Operand operand) {
        if (granularity == Granularity.CHANNEL) {
            return groups(shape);
        }
        Blocks rows = Blocks.rows(shape);
        boolean isInRows = axis == 1 && rows.columns() % groupSize == 0;
        boolean isColumn = axis == 0 && rows.strips() == groupSize;
        return isInRows
                ? Blocks.over(shape.getShape(), List.of(1, groupSize))
                : isColumn ? Blocks.columns(shape) : Blocks.one(shape);
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand) {
        fit(values, shape, operand);
    }

    @Override
    public StepEncoding fit(FloatBuffer values, Shape shape, Operand operand) {
        Blocks groups = groups(shape);
        HqqSolver.Problem problem = problem(groups, values);
        StepEncoding encoding =
                encoding(groups, problem.reciprocals(), solver.solve(problem).zeroPoints());
        encoding.round(values);
        return encoding;
    }

    /** {@inheritDoc} That is how often the solver changes the zero points. */
    @Override
    public GridFormat ofTensor(FloatBuffer values, Shape shape, Operand operand) {
        return solver.stopsEarly()
                ? with(solver.endingAfter(
                        solver.solve(problem(groups(shape), values)).iterations()))
                : this;
    }

    /** {@inheritDoc} These are the zero points from which the solver starts. */
    @Override
    public NumberFormat unsearched() {
        return with(solver.endingAfter(0));
    }

    private HqqFormat with(HqqSolver other) {
        return new HqqFormat(bits, granularity, groupSize, axis, roundZero, other);
    }

    private HqqSolver.Problem problem(Blocks groups, FloatBuffer values) {
        BlockRanges ranges = BlockRanges.of(groups, values);
        float[] reciprocals = new float[ranges.count()];
        float[] zeroPoints = new float[reciprocals.length];
        for (int i = 0; i < reciprocals.length; i++) {
            float range = ranges.high(i) - ranges.low(i);
            if (!Float.isFinite(range)) {
                reciprocals[i] = Float.NaN;
                continue;
            }
            // in this order, as torch divides a number by a tensor
            reciprocals[i] = range <= LEAST_RANGE ? 1 : Math.min(1 / range * highestCode(), LARGEST_RECIPROCAL);
            zeroPoints[i] = -ranges.low(i) * reciprocals[i];
            if (roundZero) {
                zeroPoints[i] = (float) Math.rint(zeroPoints[i]);
            }
        }
        return new HqqSolver.Problem(groupByGroup(groups, values), reciprocals, zeroPoints, highestCode());
    }

    /** Returns the values of the first group, then those of the second, and so on. */
    private static FloatBuffer groupByGroup(Blocks groups, FloatBuffer values) {
        if (groups.blockRows() == 1) {
            return values;
        }
        float[] turned = new float[values.capacity()];
        float[] line = new float[groups.columns()];
        for (int row = 0; row < groups.rows(); row++) {
            values.get(row * line.length, line);
            for (int column = 0; column < line.length; column++) {
                turned[column * groups.rows() + row] = line[column];
            }
        }
        return FloatBuffer.wrap(turned);
    }

    private StepEncoding encoding(Blocks groups, float[] reciprocals, float[] zeroPoints) {
        IntegerCodes codes = new IntegerCodes(bits, 0, highestCode(), IntegerCodes.Order.OF_RECIPROCALS);
        return new StepEncoding(codes, groups, StepEncoding.Zeros.FLOATING, false, reciprocals, zeroPoints);
    }

    private int highestCode() {
        return (1 << bits) - 1;
    }

    @Override
    public StepEncoding read(Shape shape, Operand operand, Parts parts) throws IOException {
        Optional<String> refusal = refusal(shape);
        if (refusal.isPresent()) {
            throw new IOException("a tensor of shape " + shape + ": " + refusal.get());
        }
        Blocks groups = groups(shape);
        float[] reciprocals = StepEncoding.readScales(groups, parts, false);
        return encoding(
                groups,
                reciprocals,
                StepEncoding.readZeroPoints(groups, parts, StepEncoding.Zeros.FLOATING, 0, highestCode()));
    }

    @Override
    public Map<String, Object> table() {
        Map<String, Object> table = new LinkedHashMap<>();
        table.put(Formats.FORMAT, NAME);
        table.put("bits", bits);
        granularity.write(groupSize, table);
        table.put("axis", axis);
        table.put("round_zero", roundZero);
        solver.write(table);
        return table;
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        double groups = granularity == Granularity.GROUP
                ? (double) shape.size() / groupSize
                : groups(shape).count();
        return (double) bits * shape.size() + 2 * SCALE_BITS * groups;
    }
}
