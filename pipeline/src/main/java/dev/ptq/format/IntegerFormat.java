package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * Affine integers whose scale is taken from the data, {@code value = scale (code - zeroPoint)}.
 *
 * <p>Symmetric: {@code scale = absMax / (2^(bits-1) - 1)}, codes from {@code -2^(bits-1)}, no zero point. Not
 * symmetric: {@code scale = (max - min) / (2^bits - 1)}, codes from 0, {@code zeroPoint = round(-min / scale)}.
 * All-zero groups stay zero.
 *
 * <p>Methods that learn ranges and roundings of weights use the parts: {@link #scales}, {@link #clipped}, {@link
 * #divided}.
 *
 * @param bits of a code
 * @param granularity which values share a scale
 * @param groupSize how many do, for {@link Granularity#GROUP}; 0 otherwise
 * @param symmetric without a zero point
 * @param includeZero whether the range always contains 0 and the zero point lies among the codes; true if symmetric. If
 *     false, a step is at least 2^-20 of the group's largest magnitude, so that all arithmetic on codes is exact in
 *     float32 and equal values stay unchanged
 * @param range how the range is found
 */
public record IntegerFormat(
        int bits, Granularity granularity, int groupSize, boolean symmetric, boolean includeZero, Range range)
        implements OneScaleFormat {
    /** The name in configs. */
    static final String NAME = "int";

    /** A scale is stored in half precision, and so is a zero point that may lie beyond the codes. */
    private static final int SCALE_BITS = 16;

    /** The most bits for which a range can be searched. */
    static final int MOST_SEARCHED_BITS = 8;

    /** The values that share a scale. */
    public enum Granularity {
        /** A whole matrix; every matrix of a batch has its own. */
        TENSOR,
        /** One output feature of a weight, one input feature of an activation. */
        CHANNEL,
        /** {@code groupSize} neighbouring features of one output feature or one token. */
        GROUP,
        /** One token of an activation. */
        TOKEN;

        /** The settings with which known ranges decide. */
        static final String OF_KNOWN_RANGES = "granularity = \"tensor\" or \"channel\"";

        /** Returns the blocks of a tensor whose values share a scale. */
        Blocks blocks(Shape shape, Operand operand, int groupSize) {
            List<Integer> size = switch (this) {
                case TENSOR -> List.of(-1, -1);
                case CHANNEL, TOKEN -> operand.channelsAreColumns() ? List.of(-1, 1) : List.of(1, -1);
                case GROUP -> operand.channelsAreColumns() ? List.of(groupSize, 1) : List.of(1, groupSize);
            };
            return Blocks.over(shape.getShape(), size);
        }

        /** Returns the shape of values that each group of a weight has one of, see {@link IntegerFormat#groups}. */
        Shape groups(Shape weight, int groupSize) {
            if (weight.dimension() != 2) {
                throw new IllegalArgumentException("expected a weight [out, in], got " + weight);
            }
            return switch (this) {
                case TENSOR -> new Shape(1, 1);
                case CHANNEL, TOKEN -> new Shape(weight.get(0), 1);
                case GROUP -> new Shape(weight.get(0), (weight.get(1) + groupSize - 1) / groupSize);
            };
        }

        /** See {@link GridFormat#settingForRows}. */
        Optional<String> settingForRows() {
            return this == TENSOR ? Optional.of("granularity = \"token\" or \"group\"") : Optional.empty();
        }

        /** Makes sure that there is a group size if, and only if, values share a scale in groups. */
        void require(int groupSize) {
            if (this == GROUP ? groupSize < 1 : groupSize != 0) {
                throw new IllegalArgumentException("group size " + groupSize + " with granularity " + this);
            }
        }

        /** Adds its keys to a format's table. */
        void write(int groupSize, Map<String, Object> table) {
            table.put("granularity", Formats.label(this));
            if (this == GROUP) {
                table.put("group_size", groupSize);
            }
        }
    }

    /** The method that finds the range of values that share a scale. */
    public enum Range {
        /** From the smallest to the largest. */
        MINMAX,
        /** By search, see {@link RangeSearch}. */
        MSE,
        /** By search as in GPTQ, see {@link RangeShrinking}. */
        GPTQ_MSE,
        /** By search as in GPTQModel, see {@link RangeShrinking}. */
        GPTQMODEL_MSE,
        /** By search as in llm-compressor, see {@link RangeShrinking}. */
        COMPRESSED_TENSORS_MSE,
        /** The same with errors weighted by the mean squares of inputs, see {@link WeightedFormat}. */
        IMATRIX_MSE,
        /** From one percentile to another, see {@link StaticFormat}. */
        PERCENTILE,
        /** The average of the ranges of sequences, see {@link StaticFormat}. */
        MOVING_AVERAGE;

        /** Returns whether it is a search that the grids of tools have. */
        boolean isOfGrids() {
            return this == GPTQ_MSE || this == GPTQMODEL_MSE || this == COMPRESSED_TENSORS_MSE || this == IMATRIX_MSE;
        }
    }

    public IntegerFormat {
        if (bits < 2 || bits > 16) {
            throw new IllegalArgumentException("no such format: " + bits + " bits");
        }
        granularity.require(groupSize);
        if (range != Range.MINMAX && range != Range.MSE) {
            throw new IllegalArgumentException("no search of this format: " + range);
        }
        if (!includeZero && (symmetric || range == Range.MSE)) {
            throw new IllegalArgumentException("a symmetric or searched range always contains 0");
        }
        if (range == Range.MSE && bits > MOST_SEARCHED_BITS) {
            throw new IllegalArgumentException("a range is searched for up to " + MOST_SEARCHED_BITS + " bits");
        }
    }

    /** Makes a format whose range is that of the values and 0. */
    public IntegerFormat(int bits, Granularity granularity, int groupSize, boolean symmetric) {
        this(bits, granularity, groupSize, symmetric, true, Range.MINMAX);
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand) {
        blocks(shape, operand).rewrite(values, layout -> new IntegerKernel(this, layout));
    }

    @Override
    public IntegerEncoding fit(FloatBuffer values, Shape shape, Operand operand) {
        Blocks blocks = blocks(shape, operand);
        float[] scales = new float[Math.toIntExact(blocks.count())];
        float[] zeroPoints = new float[scales.length];
        blocks.rewrite(values, layout -> {
            IntegerKernel kernel = new IntegerKernel(this, layout);
            return (strip, tile, at, rows) -> {
                kernel.measure(tile, at, rows);
                kernel.store(strip, scales, zeroPoints);
                kernel.round(tile, at, rows);
            };
        });
        return new IntegerEncoding(this, blocks, scales, zeroPoints);
    }

    @Override
    public IntegerEncoding within(Blocks blocks, List<Bounds> ranges) {
        return new IntegerEncoding(this, blocks, steps(ranges), zeroPoints(ranges));
    }

    private float[] steps(List<Bounds> ranges) {
        float[] steps = new float[ranges.size()];
        for (int i = 0; i < steps.length; i++) {
            steps[i] = step(ranges.get(i));
        }
        return steps;
    }

    private float[] zeroPoints(List<Bounds> ranges) {
        float[] zeroPoints = new float[ranges.size()];
        for (int i = 0; i < zeroPoints.length; i++) {
            zeroPoints[i] = zeroPoint(below(ranges.get(i)), step(ranges.get(i)));
        }
        return zeroPoints;
    }

    @Override
    public NumberFormat unsearched() {
        return new IntegerFormat(bits, granularity, groupSize, symmetric, includeZero, Range.MINMAX);
    }

    @Override
    public IntegerEncoding read(Blocks blocks, Parts parts) throws IOException {
        return IntegerEncoding.read(this, blocks, parts);
    }

    @Override
    public Optional<String> settingForOneRange() {
        if (granularity != Granularity.TENSOR && granularity != Granularity.CHANNEL) {
            return Optional.of(Granularity.OF_KNOWN_RANGES);
        }
        return range == Range.MINMAX ? Optional.empty() : Optional.of("range = \"minmax\"");
    }

    @Override
    public Optional<String> settingForRows() {
        return granularity.settingForRows();
    }

    @Override
    public boolean isSymmetric() {
        return symmetric;
    }

    @Override
    public boolean hasRangePerFeature() {
        return granularity == Granularity.CHANNEL;
    }

    @Override
    public Map<String, Object> table() {
        Map<String, Object> table = new LinkedHashMap<>();
        table.put(Formats.FORMAT, NAME);
        table.put("bits", bits);
        granularity.write(groupSize, table);
        table.put("grid", Formats.label(IntegerGrid.NARROW));
        table.put("symmetric", symmetric);
        table.put("range", Formats.label(range));
        table.put("include_zero", includeZero);
        return table;
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        int zeroPoint = symmetric ? 0 : includeZero ? bits : SCALE_BITS;
        return (double) bits * shape.size()
                + (double) (SCALE_BITS + zeroPoint) * blocks(shape, operand).count();
    }

    @Override
    public Blocks blocks(Shape shape, Operand operand) {
        return granularity.blocks(shape, operand, groupSize);
    }

    float lowestCode() {
        return symmetric ? -(1 << (bits - 1)) : 0;
    }

    float highestCode() {
        return symmetric ? (1 << (bits - 1)) - 1 : (1 << bits) - 1;
    }

    /** Returns the step of a group that reaches {@code above} and {@code below} zero; both may be negative. */
    float step(float above, float below) {
        float range = symmetric ? Math.max(below, above) : above + below;
        float step = range / highestCode();
        if (!includeZero) {
            step = Math.max(step, Math.max(Math.abs(above), Math.abs(below)) * Torch.LEAST_STEP);
        }
        return step == 0 ? 1 : step;
    }

    private float step(Bounds bounds) {
        return step(includeZero ? Math.max(0, bounds.high()) : bounds.high(), below(bounds));
    }

    private float below(Bounds bounds) {
        return includeZero ? Math.max(0, -bounds.low()) : -bounds.low();
    }

    /** Returns the zero point that belongs to a {@link #step}. */
    float zeroPoint(float below, float step) {
        if (symmetric) {
            return 0;
        }
        float zeroPoint = (float) Math.rint(below / step);
        return includeZero ? Math.min(Math.max(zeroPoint, 0), highestCode()) : zeroPoint;
    }

    /**
     * The scales and zero points of a weight, each of shape {@link #groups}, attached to the weight's manager; not
     * differentiable. The receiver closes both tensors.
     */
    public static final class Scales {
        private final NDArray scale;
        private final NDArray zeroPoint;

        Scales(NDArray scale, NDArray zeroPoint) {
            this.scale = scale;
            this.zeroPoint = zeroPoint;
        }

        public NDArray scale() {
            return scale;
        }

        /** Returns whole numbers; all 0 if the format is symmetric. */
        public NDArray zeroPoint() {
            return zeroPoint;
        }
    }

    /**
     * Returns the shape of values that each group of a weight has one of: {@code [outFeatures, groups of a row]}, or
     * {@code [1, 1]}.
     */
    public Shape groups(Shape weight) {
        return granularity.groups(weight, groupSize);
    }

    /** Returns the scales and zero points that {@link #fakeQuantize} uses for a float32 weight. */
    public Scales scales(NDArray weight) {
        long[] groups = groups(weight.getShape()).getShape();
        FloatBuffer source = NativeFloats.window(weight);
        FloatBuffer rounded = FloatBuffer.allocate(source.capacity());
        rounded.put(0, source, 0, source.capacity());
        IntegerEncoding encoding = fit(rounded, weight.getShape(), Operand.WEIGHT);
        NDManager manager = weight.getManager();
        return new Scales(
                NativeFloats.of(manager, encoding.scales(), groups),
                NativeFloats.of(manager, encoding.allZeroPoints(), groups));
    }

    /**
     * Rounds a weight within a part of its range, {@code lowerFactor · min} to {@code upperFactor · max} (symmetric:
     * the larger magnitude of both). With factors of 1 the values are those of {@link #fakeQuantize}. Source: OmniQuant
     * (ICLR 2024), learnable weight clipping.
     *
     * <p>Differentiable in all three arguments: rounding passes the gradient of the code on, clamping that of values
     * inside, the zero point none, and a range passes its own to the extreme values.
     *
     * @param weight {@code [outFeatures, inFeatures]}, float32 or float64
     * @param upperFactor positive, of shape {@link #groups}
     * @param lowerFactor likewise
     */
    public NDArray clipped(NDArray weight, NDArray upperFactor, NDArray lowerFactor) {
        if (range != Range.MINMAX) {
            throw new IllegalStateException("a range that is searched for cannot be learned too");
        }
        Shape groups = groups(weight.getShape());
        requireShape("upper factor", upperFactor, groups);
        requireShape("lower factor", lowerFactor, groups);
        return withScratch(
                scratch -> {
                    Groups lines = new Groups(granularity, groupSize, weight.getShape(), Operand.WEIGHT);
                    Shape each = lines.shared(groups);
                    return lines.restored(Torch.integersInRange(
                            kind(),
                            lines.of(weight),
                            upperFactor.reshape(each),
                            lowerFactor.reshape(each),
                            codes(scratch)));
                },
                weight,
                upperFactor,
                lowerFactor);
    }

    /** Returns the grid whose values are those of {@link #clipped}, bit for bit; all arguments are float32. */
    public Grid clippedGrid(NDArray weight, NDArray upperFactor, NDArray lowerFactor) {
        Shape groups = groups(weight.getShape());
        try (NDArray rounded = clipped(weight, upperFactor, lowerFactor)) {
            return borrowing(
                    scratch -> {
                        Groups lines = new Groups(granularity, groupSize, weight.getShape(), Operand.WEIGHT);
                        Shape each = lines.shared(groups);
                        NDList range = Torch.rangeOfIntegers(
                                kind(),
                                lines.of(weight),
                                upperFactor.reshape(each),
                                lowerFactor.reshape(each),
                                codes(scratch));
                        return grid(rounded, range.get(0), range.get(1));
                    },
                    weight,
                    upperFactor,
                    lowerFactor);
        }
    }

    private Grid grid(NDArray rounded, NDArray scale, NDArray zeroPoint) {
        Shape shape = rounded.getShape();
        IntegerEncoding encoding = new IntegerEncoding(
                this, blocks(shape, Operand.WEIGHT), scale.toFloatArray(), zeroPoint.toFloatArray());
        return Grid.ofRounded(this, shape, Operand.WEIGHT, encoding, NativeFloats.window(rounded));
    }

    /**
     * Rounds each value of a weight with a separate divisor: {@code scale (clamp(round(weight / divisor) + zeroPoint) -
     * zeroPoint)}. With the scale as divisor the values are those of {@link #fakeQuantize}. Source: FlexRound (ICML
     * 2023).
     *
     * <p>Differentiable in weight, scale and divisor: rounding passes the gradient of the code on, clamping that of
     * values inside.
     *
     * @param weight {@code [outFeatures, inFeatures]}, float32 or float64
     * @param scale of shape {@link #groups}
     * @param zeroPoint likewise, whole numbers
     * @param divisor of the weight's shape or one that can be broadcast to it, or of shape {@link #groups}
     */
    public NDArray divided(NDArray weight, NDArray scale, NDArray zeroPoint, NDArray divisor) {
        Shape groups = groups(weight.getShape());
        requireShape("scale", scale, groups);
        requireShape("zero point", zeroPoint, groups);
        return withScratch(
                scratch -> {
                    if (groups.get(1) == 1) {
                        return Torch.integersByDivisor(weight, divisor, scale, zeroPoint, codes(scratch));
                    }
                    Groups lines = new Groups(granularity, groupSize, weight.getShape(), Operand.WEIGHT);
                    Shape each = lines.shared(groups);
                    NDArray divisors =
                            divisor.getShape().equals(groups) ? divisor.reshape(each) : lines.ofBroadcast(divisor);
                    return lines.restored(Torch.integersByDivisor(
                            lines.of(weight), divisors, scale.reshape(each), zeroPoint.reshape(each), codes(scratch)));
                },
                weight,
                scale,
                zeroPoint,
                divisor);
    }

    /** Returns the grid whose values are those of {@link #divided}, bit for bit; all arguments are float32. */
    public Grid dividedGrid(NDArray weight, NDArray scale, NDArray zeroPoint, NDArray divisor) {
        try (NDArray rounded = divided(weight, scale, zeroPoint, divisor)) {
            return grid(rounded, scale, zeroPoint);
        }
    }

    /**
     * {@inheritDoc}
     *
     * <p>Here the derivative also passes through the scale, to the extreme values, and is zero for clamped values; the
     * zero point has none, nor has a searched range.
     */
    @Override
    public NDArray differentiable(NDArray values, Operand operand) {
        if (range == Range.MSE) {
            if (operand != Operand.WEIGHT || values.getShape().dimension() != 2) {
                throw new IllegalArgumentException(
                        "a range is searched for in weights [out, in], not in a " + operand + " " + values.getShape());
            }
            return withScratch(
                    scratch -> {
                        Scales scales = scales(values.stopGradient());
                        return divided(values, scales.scale(), scales.zeroPoint(), scales.scale());
                    },
                    values);
        }
        return withScratch(
                scratch -> {
                    Groups lines = new Groups(granularity, groupSize, values.getShape(), operand);
                    NDArray one = scratch.ones(new Shape(), values.getDataType());
                    return lines.restored(Torch.integersInRange(kind(), lines.of(values), one, one, codes(scratch)));
                },
                values);
    }

    /**
     * {@inheritDoc}
     *
     * <p>Here the derivative of clamped values is zero.
     */
    @Override
    public NDArray differentiableWithin(List<Bounds> ranges, NDArray values, Operand operand) {
        long[] features = hasRangePerFeature() ? new long[] {ranges.size()} : new long[0];
        try (NDManager scratch = values.getManager().newSubManager()) {
            NDArray scale = NativeFloats.of(scratch, steps(ranges), features);
            NDArray zeroPoint = NativeFloats.of(scratch, zeroPoints(ranges), features);
            return Torch.integersByDivisor(values, scale, scale, zeroPoint, codes(scratch));
        }
    }

    private NDArray codes(NDManager scratch) {
        return Torch.codes(scratch, lowestCode(), highestCode());
    }

    private Torch.Integers kind() {
        return symmetric ? Torch.Integers.SYMMETRIC : includeZero ? Torch.Integers.WITH_ZERO : Torch.Integers.PLAIN;
    }

    static void requireShape(String what, NDArray array, Shape expected) {
        if (!array.getShape().equals(expected)) {
            throw new IllegalArgumentException(
                    "expected a " + what + " of shape " + expected + ", got " + array.getShape());
        }
    }

    /** Computes a result in the manager of the first argument; intermediate arrays are closed. */
    static NDArray withScratch(Function<NDManager, NDArray> computation, NDArray... arguments) {
        NDManager manager = arguments[0].getManager();
        return borrowing(
                scratch -> {
                    NDArray result = computation.apply(scratch);
                    result.attach(manager);
                    return result;
                },
                arguments);
    }

    /** Computes a result; all arrays made on the way, but not the arguments, are closed at the end. */
    static <T> T borrowing(Function<NDManager, T> computation, NDArray... arguments) {
        try (NDManager scratch = arguments[0].getManager().newSubManager()) {
            for (NDArray argument : arguments) {
                if (argument.getManager() != scratch) {
                    argument.tempAttach(scratch);
                }
            }
            return computation.apply(scratch);
        }
    }
}
