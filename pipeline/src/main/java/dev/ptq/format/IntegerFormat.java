package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.function.Function;

/**
 * Affine integers whose scale is taken from the data, {@code value = scale (code - zeroPoint)}.
 *
 * <p>Symmetric: {@code scale = absMax / (2^(bits-1) - 1)}, codes from {@code -2^(bits-1)}, no zero point. Not symmetric:
 * {@code scale = (max - min) / (2^bits - 1)}, codes from 0, {@code zeroPoint = round(-min / scale)}. Where all values
 * are zero they stay zero.
 *
 * <p>For the methods that learn ranges and roundings of weights the parts are open: {@link #grid}, {@link #clipped},
 * {@link #divided}.
 *
 * @param bits of a code
 * @param granularity which values share a scale
 * @param groupSize how many do, for {@link Granularity#GROUP}; 0 otherwise
 * @param symmetric without a zero point
 * @param includeZero whether the range always contains 0 and the zero point lies among the codes; true where symmetric.
 *     Where not, a step is at least 2^-20 of the group's largest magnitude, so that all arithmetic on codes is exact in
 *     float32 and equal values stay what they are
 * @param range how the range is found
 */
public record IntegerFormat(
        int bits, Granularity granularity, int groupSize, boolean symmetric, boolean includeZero, Range range)
        implements NumberFormat {
    /** A scale is stored in half precision, and so is a zero point that may lie beyond the codes. */
    private static final int SCALE_BITS = 16;

    /** The most bits that a range can be searched for. */
    static final int MOST_SEARCHED_BITS = 8;

    /** Which values share a scale. */
    public enum Granularity {
        /** A whole matrix; every matrix of a batch has its own. */
        TENSOR,
        /** One output feature of a weight. */
        CHANNEL,
        /** {@code groupSize} neighbouring features of one output feature or one token. */
        GROUP,
        /** One token of an activation. */
        TOKEN
    }

    /** How the range of values that share a scale is found. */
    public enum Range {
        /** From the least to the largest. */
        MINMAX,
        /** Searched for, see {@link RangeSearch}. */
        MSE
    }

    public IntegerFormat {
        if (bits < 2 || bits > 16) {
            throw new IllegalArgumentException("no such format: " + bits + " bits");
        }
        if (granularity == Granularity.GROUP ? groupSize < 1 : groupSize != 0) {
            throw new IllegalArgumentException("group size " + groupSize + " with granularity " + granularity);
        }
        if (!includeZero && (symmetric || range == Range.MSE)) {
            throw new IllegalArgumentException("a symmetric or searched range always contains 0");
        }
        if (range == Range.MSE && bits > MOST_SEARCHED_BITS) {
            throw new IllegalArgumentException("a range is searched for up to " + MOST_SEARCHED_BITS + " bits");
        }
    }

    /** A format whose range is that of the values and 0. */
    public IntegerFormat(int bits, Granularity granularity, int groupSize, boolean symmetric) {
        this(bits, granularity, groupSize, symmetric, true, Range.MINMAX);
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand, boolean skipFirst) {
        Blocks blocks = blocks(shape, operand, skipFirst);
        blocks.rewrite(values, () -> new IntegerKernel(this, blocks));
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        int zeroPoint = symmetric ? 0 : includeZero ? bits : SCALE_BITS;
        return (double) bits * shape.size()
                + (double) (SCALE_BITS + zeroPoint)
                        * blocks(shape, operand, false).count();
    }

    @Override
    public boolean roundsTokensAlone(Operand operand) {
        return granularity != Granularity.TENSOR && !operand.channelsAreColumns();
    }

    private Blocks blocks(Shape shape, Operand operand, boolean skipFirst) {
        List<Integer> size = switch (granularity) {
            case TENSOR -> List.of(-1, -1);
            case CHANNEL, TOKEN -> operand.channelsAreColumns() ? List.of(-1, 1) : List.of(1, -1);
            case GROUP -> operand.channelsAreColumns() ? List.of(groupSize, 1) : List.of(1, groupSize);
        };
        return Blocks.over(shape.getShape(), size, skipFirst);
    }

    float lowestCode() {
        return symmetric ? -(1 << (bits - 1)) : 0;
    }

    float highestCode() {
        return symmetric ? (1 << (bits - 1)) - 1 : (1 << bits) - 1;
    }

    /** The step of a group that reaches {@code above} and {@code below} zero; both may be negative. */
    float step(float above, float below) {
        float range = symmetric ? Math.max(below, above) : above + below;
        float step = range / highestCode();
        if (!includeZero) {
            step = Math.max(step, Math.max(Math.abs(above), Math.abs(below)) * Torch.LEAST_STEP);
        }
        return step == 0 ? 1 : step;
    }

    /** The zero point that belongs to a {@link #step}. */
    float zeroPoint(float below, float step) {
        if (symmetric) {
            return 0;
        }
        float zeroPoint = (float) Math.rint(below / step);
        return includeZero ? Math.min(Math.max(zeroPoint, 0), highestCode()) : zeroPoint;
    }

    /**
     * The scales and zero points of a weight, each of shape {@link #groups}, beside it; without a path for gradients.
     * Whoever gets it closes both tensors.
     */
    public static final class Grid {
        private final NDArray scale;
        private final NDArray zeroPoint;

        Grid(NDArray scale, NDArray zeroPoint) {
            this.scale = scale;
            this.zeroPoint = zeroPoint;
        }

        public NDArray scale() {
            return scale;
        }

        /** Whole numbers; all 0 where the format is symmetric. */
        public NDArray zeroPoint() {
            return zeroPoint;
        }
    }

    /** The shape of what the groups of a weight have one of each: {@code [outFeatures, groups of a row]}, or {@code [1, 1]}. */
    public Shape groups(Shape weight) {
        if (weight.dimension() != 2) {
            throw new IllegalArgumentException("expected a weight [out, in], got " + weight);
        }
        return switch (granularity) {
            case TENSOR -> new Shape(1, 1);
            case CHANNEL, TOKEN -> new Shape(weight.get(0), 1);
            case GROUP -> new Shape(weight.get(0), (weight.get(1) + groupSize - 1) / groupSize);
        };
    }

    /** Returns the scales and zero points that {@link #fakeQuantize} uses for a float32 weight. */
    public Grid grid(NDArray weight) {
        Shape groups = groups(weight.getShape());
        NDManager manager = weight.getManager();
        Grid grid = new Grid(NativeFloats.create(manager, groups), NativeFloats.create(manager, groups));
        if (groups.size() > 0 && weight.size() > 0) {
            IntegerKernel.ranges(
                    this,
                    NativeFloats.window(weight),
                    weight.getShape(),
                    NativeFloats.window(grid.scale()),
                    NativeFloats.window(grid.zeroPoint()));
        }
        return grid;
    }

    /**
     * Rounds a weight within a range that is a part of its own, {@code lowerFactor · min} to {@code upperFactor · max}
     * (symmetric: the larger magnitude of both). With factors of 1 the values are those of {@link #fakeQuantize}. Source:
     * OmniQuant (ICLR 2024), learnable weight clipping.
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
                    Groups lines = new Groups(this, weight.getShape(), Operand.WEIGHT);
                    Shape each = lines.shared(groups);
                    return lines.restored(Torch.integersInRange(
                            lines.of(weight), upperFactor.reshape(each), lowerFactor.reshape(each), codes(scratch)));
                },
                weight,
                upperFactor,
                lowerFactor);
    }

    /**
     * Rounds a weight with a divisor of its own for each value: {@code scale (clamp(round(weight / divisor) +
     * zeroPoint) - zeroPoint)}. With the scale as divisor the values are those of {@link #fakeQuantize}. Source:
     * FlexRound (ICML 2023).
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
                    Groups lines = new Groups(this, weight.getShape(), Operand.WEIGHT);
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

    /**
     * {@inheritDoc}
     *
     * <p>Here the derivative passes through the scale too, to the extreme values, and is zero for clamped values; the
     * zero point has none, nor has a range that was searched for.
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
                        Grid grid = grid(values.stopGradient());
                        return divided(values, grid.scale(), grid.zeroPoint(), grid.scale());
                    },
                    values);
        }
        return withScratch(
                scratch -> {
                    Groups lines = new Groups(this, values.getShape(), operand);
                    NDArray one = scratch.ones(new Shape(), values.getDataType());
                    return lines.restored(Torch.integersInRange(lines.of(values), one, one, codes(scratch)));
                },
                values);
    }

    private NDArray codes(NDManager scratch) {
        Torch.Integers kind =
                symmetric ? Torch.Integers.SYMMETRIC : includeZero ? Torch.Integers.WITH_ZERO : Torch.Integers.PLAIN;
        return Torch.codes(scratch, lowestCode(), highestCode(), kind);
    }

    private static void requireShape(String what, NDArray array, Shape expected) {
        if (!array.getShape().equals(expected)) {
            throw new IllegalArgumentException(
                    "expected a " + what + " of shape " + expected + ", got " + array.getShape());
        }
    }

    /** Computes a result beside the first of its arguments; what else is made on the way is closed. */
    private static NDArray withScratch(Function<NDManager, NDArray> computation, NDArray... arguments) {
        NDManager manager = arguments[0].getManager();
        try (NDManager scratch = manager.newSubManager()) {
            for (NDArray argument : arguments) {
                if (argument.getManager() != scratch) {
                    argument.tempAttach(scratch);
                }
            }
            NDArray result = computation.apply(scratch);
            result.attach(manager);
            return result;
        }
    }
}
