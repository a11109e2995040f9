package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.format.IntegerFormat.Range;
import dev.ptq.format.IntegerGrid.Mapping;
import dev.ptq.tensor.Torch;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Affine integers by the rules of a tool, bit for bit: its scale and zero point, and its order of rounding. {@link
 * IntegerFormat} is the grid of most methods that learn. In both a group with a value that is not finite becomes NaN, and so
 * does one whose range is beyond float32.
 *
 * @param bits of a code
 * @param granularity which values share a scale
 * @param groupSize how many do, for {@link Granularity#GROUP}; 0 otherwise
 * @param grid the tool; not {@link IntegerGrid#NARROW}
 * @param mapping the place of the range among the codes
 * @param range how the range is found: by a search of these grids or {@link Range#MINMAX}. With {@link
 *     Range#IMATRIX_MSE} nothing is rounded until the inputs are known, see {@link WeightedFormat}
 */
public record IntegerGridFormat(
        int bits, Granularity granularity, int groupSize, IntegerGrid grid, Mapping mapping, Range range)
        implements OneScaleFormat {
    /** A scale is stored in half precision, and so is a zero point that is no code. */
    private static final int SCALE_BITS = 16;

    /** The step of a group of zeros in compressed-tensors: the distance of 1 from the next float32. */
    private static final float STEP_OF_ZEROS = 0x1p-23f;

    public IntegerGridFormat {
        if (bits < 2 || bits > 16 || grid == IntegerGrid.NARROW || !(range == Range.MINMAX || range.isOfGrids())) {
            throw new IllegalArgumentException("no such format: " + bits + " bits, " + grid + ", " + range);
        }
        granularity.require(groupSize);
        if (grid != IntegerGrid.TORCHAO && mapping.isOfTorchao()) {
            throw new IllegalArgumentException(mapping + " is a mapping of torchao, not of " + grid);
        }
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand) {
        encoding(values, shape, operand).round(values);
    }

    @Override
    public StepEncoding fit(FloatBuffer values, Shape shape, Operand operand) {
        StepEncoding encoding = encoding(values, shape, operand);
        encoding.round(values);
        return encoding;
    }

    private StepEncoding encoding(FloatBuffer values, Shape shape, Operand operand) {
        if (range == Range.IMATRIX_MSE) {
            throw new IllegalStateException("the mean squares of inputs were not taken from statistics");
        }
        Blocks blocks = blocks(shape, operand);
        BlockRanges ranges = BlockRanges.of(blocks, values);
        return range == Range.MINMAX ? encoding(blocks, ranges) : new RangeShrinking(this, blocks, values).best(ranges);
    }

    @Override
    public Set<InputFact> needs() {
        return range == Range.IMATRIX_MSE ? EnumSet.of(InputFact.MEAN_SQUARES) : Set.of();
    }

    @Override
    public NumberFormat knowing(LinearFacts facts) throws IOException {
        return range == Range.IMATRIX_MSE ? new WeightedFormat(this, facts.meanSquares()) : this;
    }

    /** Returns the encoding of blocks with these ranges. */
    StepEncoding encoding(Blocks blocks, BlockRanges ranges) {
        float[] scales = new float[ranges.count()];
        float[] zeroPoints = new float[scales.length];
        for (int i = 0; i < scales.length; i++) {
            float scale = scale(ranges.low(i), ranges.high(i));
            float zeroPoint = zeroPoint(ranges.low(i), ranges.high(i), scale);
            boolean isNumber = Float.isFinite(scale) && Float.isFinite(zeroPoint);
            scales[i] = isNumber || scale == 0 ? usable(scale) : Float.NaN;
            zeroPoints[i] = isNumber ? zeroPoint : 0;
        }
        return encoding(blocks, scales, zeroPoints);
    }

    /** Returns the encoding of blocks with these scales and zero points. */
    StepEncoding encoding(Blocks blocks, float[] scales, float[] zeroPoints) {
        boolean isUnrounded = false;
        for (float scale : scales) {
            isUnrounded |= grid == IntegerGrid.GPTQ && scale == 0;
        }
        return new StepEncoding(codes(), blocks, zeros(), isUnrounded, scales, zeroPoints);
    }

    /**
     * Returns for each block the whole number on the other side of the zero point before it was rounded; the zero point
     * itself if that was whole.
     *
     * @param encoding with the scales and zero points that follow from the ranges
     */
    float[] otherZeroPoints(BlockRanges ranges, StepEncoding encoding) {
        float[] scales = encoding.scales();
        float[] others = encoding.allZeroPoints();
        for (int i = 0; i < others.length; i++) {
            float exact = -Math.min(ranges.low(i), 0) / scales[i];
            others[i] += Math.signum(exact - others[i]);
        }
        return others;
    }

    @Override
    public StepEncoding within(Blocks blocks, List<Bounds> ranges) {
        return encoding(blocks, BlockRanges.known(ranges));
    }

    @Override
    public NumberFormat unsearched() {
        return new IntegerGridFormat(bits, granularity, groupSize, grid, mapping, Range.MINMAX);
    }

    @Override
    public StepEncoding read(Blocks blocks, Parts parts) throws IOException {
        float[] scales = StepEncoding.readScales(blocks, parts, grid == IntegerGrid.FULL_RANGE);
        // a zero point that is not clamped is at most twice as far, where scales are rounded to the smallest numbers
        boolean isUnclamped = grid == IntegerGrid.GPTQ || grid == IntegerGrid.FULL_RANGE;
        int highest = isUnclamped ? 2 * highestCode() : highestCode();
        float[] zeroPoints = StepEncoding.readZeroPoints(blocks, parts, zeros(), lowestCode(), highest);
        return encoding(blocks, scales, zeroPoints);
    }

    private StepEncoding.Zeros zeros() {
        if (mapping == Mapping.ASYMMETRIC_FLOAT) {
            return StepEncoding.Zeros.FLOATING;
        }
        return mapping.symmetric() ? StepEncoding.Zeros.NONE : StepEncoding.Zeros.WHOLE;
    }

    IntegerCodes codes() {
        IntegerCodes.Order order = switch (grid) {
            case COMPRESSED_TENSORS -> IntegerCodes.Order.SHIFT_THEN_ROUND;
            case TORCHAO ->
                mapping == Mapping.ASYMMETRIC_FLOAT ? IntegerCodes.Order.FROM_MIDDLE : IntegerCodes.Order.BY_RECIPROCAL;
            default -> IntegerCodes.Order.ROUND_THEN_SHIFT;
        };
        return new IntegerCodes(bits, lowestCode(), highestCode(), order);
    }

    private boolean startsAtZero() {
        return !mapping.symmetric()
                && (grid == IntegerGrid.GPTQ || grid == IntegerGrid.FULL_RANGE || mapping == Mapping.ASYMMETRIC_FLOAT);
    }

    int lowestCode() {
        return startsAtZero() ? 0 : -(1 << (bits - 1));
    }

    int highestCode() {
        return lowestCode() + levels();
    }

    /** Returns the number of steps between the lowest and the highest code. */
    private int levels() {
        return (1 << bits) - 1;
    }

    /** Returns the scale of a group with these ends, before {@link #usable}. */
    private float scale(float low, float high) {
        float least = Math.min(low, 0);
        float most = Math.max(high, 0);
        return switch (grid) {
            case GPTQ -> gptqScale(least, most);
            case COMPRESSED_TENSORS ->
                mapping.symmetric() ? Math.max(-least, most) / (levels() / 2f) : (most - least) / levels();
            case FULL_RANGE -> fullRangeScale(least, most);
            case TORCHAO -> Math.max(torchaoScale(low, high), Float.MIN_NORMAL);
            case NARROW -> throw new IllegalStateException();
        };
    }

    private float gptqScale(float least, float most) {
        if (least == 0 && most == 0) {
            return 2f / levels();
        }
        if (!mapping.symmetric()) {
            return (most - least) / levels();
        }
        float end = Math.max(-least, most);
        return (least < 0 ? end - -end : end) / levels();
    }

    private float fullRangeScale(float least, float most) {
        if (!mapping.symmetric()) {
            return Math.max((most - least) / levels(), Torch.LEAST_FULL_RANGE);
        }
        float size = Math.max(Math.max(-least, most) / (1 << (bits - 1)), Torch.LEAST_FULL_RANGE);
        return most < -least || most == 0 ? size : -size;
    }

    private float torchaoScale(float low, float high) {
        float least = Math.min(low, 0);
        float most = Math.max(high, 0);
        return switch (mapping) {
            case SYMMETRIC -> Math.max(-least, most) / (levels() / 2f);
            case SYMMETRIC_NO_CLIPPING_ERR -> Math.max(least / lowestCode(), most / highestCode());
            case ASYMMETRIC -> (most - least) / levels();
            case ASYMMETRIC_NO_ZERO, ASYMMETRIC_FLOAT -> (high - low) / levels();
        };
    }

    /** Returns the zero point of a group with these ends and this {@link #scale}. */
    private float zeroPoint(float low, float high, float scale) {
        if (mapping.symmetric()) {
            return 0;
        }
        float least = Math.min(low, 0);
        return switch (grid) {
            case GPTQ, FULL_RANGE -> {
                boolean isZeros = grid == IntegerGrid.GPTQ && least == 0 && Math.max(high, 0) == 0;
                yield (float) Math.rint((isZeros ? 1 : -least) / scale);
            }
            case COMPRESSED_TENSORS -> compressedTensorsZeroPoint(least, scale);
            case TORCHAO -> torchaoZeroPoint(low, scale);
            case NARROW -> throw new IllegalStateException();
        };
    }

    private float compressedTensorsZeroPoint(float least, float scale) {
        float zeroPoint = (float) Math.rint(clamped(lowestCode() - least / scale));
        return scale == 0 && Float.isNaN(zeroPoint) ? 0 : zeroPoint;
    }

    private float torchaoZeroPoint(float low, float scale) {
        if (mapping == Mapping.ASYMMETRIC_FLOAT) {
            return low + scale * (1 << (bits - 1));
        }
        float start = mapping == Mapping.ASYMMETRIC ? Math.min(low, 0) : low;
        return clamped(lowestCode() - (float) Math.rint(start / scale));
    }

    private float clamped(float code) {
        return Math.min(Math.max(code, lowestCode()), highestCode());
    }

    /** Returns the scale, or the stand-in for 0. */
    private float usable(float scale) {
        return scale == 0 && grid == IntegerGrid.COMPRESSED_TENSORS ? STEP_OF_ZEROS : scale;
    }

    @Override
    public Optional<String> settingForOneRange() {
        if (granularity != Granularity.TENSOR && granularity != Granularity.CHANNEL) {
            return Optional.of(Granularity.OF_KNOWN_RANGES);
        }
        return range == Range.MINMAX ? Optional.empty() : Optional.of("range = \"minmax\"");
    }

    /** {@inheritDoc} In GPTQ's grid, a group whose scale is 0 leaves the others unrounded. */
    @Override
    public Optional<String> settingForRows() {
        return grid == IntegerGrid.GPTQ ? Optional.of("another grid") : granularity.settingForRows();
    }

    @Override
    public boolean isSymmetric() {
        return mapping.symmetric();
    }

    @Override
    public boolean hasRangePerFeature() {
        return granularity == Granularity.CHANNEL;
    }

    @Override
    public Map<String, Object> table() {
        Map<String, Object> table = new LinkedHashMap<>();
        table.put(Formats.FORMAT, IntegerFormat.NAME);
        table.put("bits", bits);
        granularity.write(groupSize, table);
        table.put("grid", Formats.label(grid));
        if (grid == IntegerGrid.TORCHAO) {
            table.put("mapping", Formats.label(mapping));
        } else {
            table.put("symmetric", mapping.symmetric());
        }
        table.put("range", Formats.label(range));
        return table;
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        int zeroPoint = switch (zeros()) {
            case NONE -> 0;
            case WHOLE -> bits;
            case FLOATING -> SCALE_BITS;
        };
        return (double) bits * shape.size()
                + (double) (SCALE_BITS + zeroPoint) * blocks(shape, operand).count();
    }

    @Override
    public Blocks blocks(Shape shape, Operand operand) {
        return granularity.blocks(shape, operand, groupSize);
    }
}
