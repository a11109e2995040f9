package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;

/**
 * Affine integers whose scale is taken from the data, {@code value = scale (code - zeroPoint)}.
 *
 * <p>Not symmetric: the range always contains 0, {@code scale = (max - min) / (2^bits - 1)}, the zero point is rounded
 * and lies among the codes. Symmetric: {@code scale = absMax / (2^(bits-1) - 1)}, codes from {@code -2^(bits-1)}. Where
 * all values are zero they stay zero.
 *
 * @param bits of a code
 * @param granularity which values share a scale
 * @param groupSize how many do, for {@link Granularity#GROUP}; 0 otherwise
 * @param symmetric without a zero point
 */
public record IntegerFormat(int bits, Granularity granularity, int groupSize, boolean symmetric)
        implements NumberFormat {
    /** A scale is stored in half precision. */
    private static final int SCALE_BITS = 16;

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

    public IntegerFormat {
        if (bits < 2 || bits > 16) {
            throw new IllegalArgumentException("no such format: " + bits + " bits");
        }
        if (granularity == Granularity.GROUP ? groupSize < 1 : groupSize != 0) {
            throw new IllegalArgumentException("group size " + groupSize + " with granularity " + granularity);
        }
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand, boolean skipFirst) {
        Blocks blocks = blocks(shape, operand, skipFirst);
        blocks.rewrite(values, () -> new Kernel(blocks));
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        int shared = SCALE_BITS + (symmetric ? 0 : bits);
        return (double) bits * shape.size()
                + (double) shared * blocks(shape, operand, false).count();
    }

    private Blocks blocks(Shape shape, Operand operand, boolean skipFirst) {
        List<Integer> size = switch (granularity) {
            case TENSOR -> List.of(-1, -1);
            case CHANNEL, TOKEN -> operand.channelsAreColumns() ? List.of(-1, 1) : List.of(1, -1);
            case GROUP -> operand.channelsAreColumns() ? List.of(groupSize, 1) : List.of(1, groupSize);
        };
        return Blocks.over(shape.getShape(), size, skipFirst);
    }

    private float lowestCode() {
        return symmetric ? -(1 << (bits - 1)) : 0;
    }

    private float highestCode() {
        return symmetric ? (1 << (bits - 1)) - 1 : (1 << bits) - 1;
    }

    /**
     * {@inheritDoc}
     *
     * <p>Here the derivative passes through the scale and the zero point's range too, and is zero for clamped values.
     */
    @Override
    public NDArray differentiable(NDArray values, Operand operand) {
        NDManager manager = values.getManager();
        Shape shape = values.getShape();
        Blocks blocks = blocks(shape, operand, false);
        try (NDManager scratch = manager.newSubManager()) {
            values.tempAttach(scratch);
            NDArray blocked = toBlocks(values, blocks);
            NDArray zero = constant(scratch, 0);
            NDArray scale;
            NDArray zeroPoint;
            if (symmetric) {
                scale = overBlock(blocked.abs(), true).div(constant(scratch, highestCode()));
                zeroPoint = zero;
            } else {
                NDArray highest = overBlock(blocked, true).maximum(zero);
                NDArray lowest = overBlock(blocked, false).minimum(zero);
                scale = highest.sub(lowest).div(constant(scratch, highestCode()));
                scale = scale.add(isZero(scale));
                zeroPoint = clamp(roundThrough(lowest.neg().div(scale)), scratch);
            }
            scale = scale.add(isZero(scale));
            NDArray code = clamp(roundThrough(blocked.div(scale)).add(zeroPoint), scratch);
            NDArray result = fromBlocks(code.sub(zeroPoint).mul(scale), blocks, shape);
            result.attach(manager);
            return result;
        }
    }

    /** A constant whose memory the engine owns: see the note on scalars in automatic differentiation. */
    private static NDArray constant(NDManager manager, float value) {
        return manager.full(new Shape(), value, DataType.FLOAT32);
    }

    private static NDArray isZero(NDArray scale) {
        return scale.stopGradient().eq(0).toType(DataType.FLOAT32, false);
    }

    private static NDArray roundThrough(NDArray values) {
        return values.add(values.round().sub(values).stopGradient());
    }

    private NDArray clamp(NDArray codes, NDManager scratch) {
        return NDArrays.minimum(
                NDArrays.maximum(codes, constant(scratch, lowestCode())), constant(scratch, highestCode()));
    }

    /** Maximum or minimum over both axes of a block, kept as axes of size 1. */
    private static NDArray overBlock(NDArray blocked, boolean maximum) {
        return maximum
                ? blocked.max(new int[] {2}, true).max(new int[] {4}, true)
                : blocked.min(new int[] {2}, true).min(new int[] {4}, true);
    }

    /** {@code [batch, block rows, rows in a block, block columns, columns in a block]}, edges filled with zeros. */
    private static NDArray toBlocks(NDArray values, Blocks blocks) {
        int down = (blocks.rows() + blocks.blockRows() - 1) / blocks.blockRows();
        NDArray matrices = values.reshape(blocks.batch(), blocks.rows(), blocks.columns());
        int missingRows = down * blocks.blockRows() - blocks.rows();
        int missingColumns = blocks.across() * blocks.blockColumns() - blocks.columns();
        if (missingColumns > 0) {
            NDArray fill = matrices.getManager().zeros(new Shape(blocks.batch(), blocks.rows(), missingColumns));
            matrices = matrices.concat(fill, 2);
        }
        if (missingRows > 0) {
            long columns = (long) blocks.across() * blocks.blockColumns();
            NDArray fill = matrices.getManager().zeros(new Shape(blocks.batch(), missingRows, columns));
            matrices = matrices.concat(fill, 1);
        }
        return matrices.reshape(blocks.batch(), down, blocks.blockRows(), blocks.across(), blocks.blockColumns());
    }

    private static NDArray fromBlocks(NDArray blocked, Blocks blocks, Shape shape) {
        Shape padded = blocked.getShape();
        NDArray matrices = blocked.reshape(padded.get(0), padded.get(1) * padded.get(2), padded.get(3) * padded.get(4));
        return matrices.get(new NDIndex(":, :{}, :{}", blocks.rows(), blocks.columns()))
                .reshape(shape);
    }

    /** Rounds one row of blocks, in loops over whole rows that become vector instructions; see {@link Lines}. */
    private final class Kernel implements Blocks.StripKernel {
        private final int columns;
        private final int blockColumns;
        private final float[] line;
        /** How far each column reaches above and below zero. */
        private final float[] above;

        private final float[] below;
        /** Of each column's block. */
        private final float[] scales;

        private final float[] zeroPoints;

        Kernel(Blocks blocks) {
            columns = blocks.columns();
            blockColumns = blocks.blockColumns();
            line = new float[columns];
            above = new float[columns];
            below = new float[columns];
            scales = new float[columns];
            zeroPoints = new float[columns];
        }

        @Override
        public void apply(float[] values, int at, int rows) {
            Arrays.fill(above, 0);
            Arrays.fill(below, 0);
            for (int row = 0; row < rows; row++) {
                reach(Lines.row(values, at + row * columns, line, columns), above, below, columns);
            }
            chooseScales();
            for (int row = 0; row < rows; row++) {
                int start = at + row * columns;
                float[] own = rows == 1 && start > 0 ? line : Lines.row(values, start, line, columns);
                roundLine(own, scales, zeroPoints, columns, lowestCode(), highestCode());
                Lines.store(own, values, start, columns);
            }
        }

        private static void reach(float[] values, float[] above, float[] below, int count) {
            // never negative, but a NaN may have a sign
            for (int i = 0; i < count; i++) {
                above[i] = Math.abs(Math.max(above[i], values[i]));
            }
            for (int i = 0; i < count; i++) {
                below[i] = Math.abs(Math.max(below[i], -values[i]));
            }
        }

        private void chooseScales() {
            for (int from = 0; from < columns; from += blockColumns) {
                int to = Math.min(columns, from + blockColumns);
                float high = Float.intBitsToFloat(Lines.largestBits(above, from, to));
                float low = Float.intBitsToFloat(Lines.largestBits(below, from, to));
                float range = symmetric ? Math.max(low, high) : high + low;
                float step = range / highestCode();
                float scale = step == 0 ? 1 : step;
                float zeroPoint = symmetric ? 0 : Math.min(Math.max((float) Math.rint(low / scale), 0), highestCode());
                for (int i = from; i < to; i++) {
                    scales[i] = scale;
                    zeroPoints[i] = zeroPoint;
                }
            }
        }

        private static void roundLine(
                float[] values, float[] scales, float[] zeroPoints, int count, float least, float most) {
            for (int i = 0; i < count; i++) {
                float scale = scales[i];
                float zeroPoint = zeroPoints[i];
                float code = ((values[i] / scale + Lines.WHOLE) - Lines.WHOLE) + zeroPoint;
                values[i] = (Math.min(Math.max(code, least), most) - zeroPoint) * scale;
            }
        }
    }
}
