package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.Parallel;
import java.nio.FloatBuffer;
import java.util.Arrays;

/** Rounds one row of blocks to integers, in loops over whole rows that become vector instructions; see {@link RowKernels}. */
final class IntegerKernel implements Blocks.StripKernel {
    private final IntegerFormat format;
    private final int columns;
    private final int blockColumns;
    private final float[] line;
    /** How far each column reaches above and below zero. */
    private final float[] above;

    private final float[] below;
    /** Of each column's block. */
    private final float[] scales;

    private final float[] zeroPoints;
    private final RangeSearch search;
    private float[] block = new float[0];

    IntegerKernel(IntegerFormat format, Blocks blocks) {
        this.format = format;
        columns = blocks.columns();
        blockColumns = blocks.blockColumns();
        line = new float[columns];
        above = new float[columns];
        below = new float[columns];
        scales = new float[columns];
        zeroPoints = new float[columns];
        search = new RangeSearch(format);
    }

    /** Finds the scale and zero point of each group of a weight, without rounding it. */
    static void ranges(
            IntegerFormat format, FloatBuffer weight, Shape shape, FloatBuffer scales, FloatBuffer zeroPoints) {
        int across = Math.toIntExact(format.groups(shape).get(1));
        int strips = scales.capacity() / across;
        int columns = Math.toIntExact(shape.get(1));
        int rows = Math.toIntExact(shape.get(0)) / strips;
        int width = format.granularity() == IntegerFormat.Granularity.GROUP
                ? Math.min(format.groupSize(), columns)
                : columns;
        Blocks blocks = new Blocks(1, rows * strips, columns, rows, width);
        Parallel.forEach(strips, () -> new Measuring(format, blocks), (worker, strip) -> {
            int size = rows * columns;
            weight.get(strip * size, worker.values, 0, size);
            worker.kernel.measure(worker.values, 0, rows);
            for (int group = 0; group < across; group++) {
                scales.put(strip * across + group, worker.kernel.scales[group * width]);
                zeroPoints.put(strip * across + group, worker.kernel.zeroPoints[group * width]);
            }
        });
    }

    /** What one thread works with. */
    private static final class Measuring {
        final float[] values;
        final IntegerKernel kernel;

        Measuring(IntegerFormat format, Blocks blocks) {
            values = new float[blocks.blockRows() * blocks.columns()];
            kernel = new IntegerKernel(format, blocks);
        }
    }

    @Override
    public void apply(float[] values, int at, int rows) {
        measure(values, at, rows);
        for (int row = 0; row < rows; row++) {
            int start = at + row * columns;
            // a single row is in the line already
            boolean copied = rows == 1 && start > 0 && format.range() == IntegerFormat.Range.MINMAX;
            float[] own = copied ? line : RowKernels.row(values, start, line, columns);
            roundLine(own, scales, zeroPoints, columns, format.lowestCode(), format.highestCode());
            RowKernels.store(own, values, start, columns);
        }
    }

    private void measure(float[] values, int at, int rows) {
        if (format.range() == IntegerFormat.Range.MSE) {
            searchScales(values, at, rows);
        } else {
            float start = format.includeZero() ? 0 : Float.NEGATIVE_INFINITY;
            Arrays.fill(above, start);
            Arrays.fill(below, start);
            for (int row = 0; row < rows; row++) {
                reach(RowKernels.row(values, at + row * columns, line, columns), above, below, columns);
            }
            if (format.includeZero()) {
                // never negative, but a NaN may have a sign
                dropSigns(above);
                dropSigns(below);
            }
            chooseScales();
        }
    }

    private static void reach(float[] values, float[] above, float[] below, int count) {
        for (int i = 0; i < count; i++) {
            above[i] = Math.max(above[i], values[i]);
        }
        for (int i = 0; i < count; i++) {
            below[i] = Math.max(below[i], -values[i]);
        }
    }

    private static void dropSigns(float[] values) {
        for (int i = 0; i < values.length; i++) {
            values[i] = Math.abs(values[i]);
        }
    }

    private float largest(float[] reaches, int from, int to) {
        return format.includeZero()
                ? Float.intBitsToFloat(RowKernels.largestBits(reaches, from, to))
                : RowKernels.largest(reaches, from, to);
    }

    private void chooseScales() {
        for (int from = 0; from < columns; from += blockColumns) {
            int to = Math.min(columns, from + blockColumns);
            float high = largest(above, from, to);
            float low = largest(below, from, to);
            float scale = format.step(high, low);
            fill(from, to, scale, format.zeroPoint(low, scale));
        }
    }

    private void searchScales(float[] values, int at, int rows) {
        for (int from = 0; from < columns; from += blockColumns) {
            int to = Math.min(columns, from + blockColumns);
            int width = to - from;
            if (block.length < rows * width) {
                block = new float[rows * width];
            }
            for (int row = 0; row < rows; row++) {
                System.arraycopy(values, at + row * columns + from, block, row * width, width);
            }
            search.run(block, rows * width);
            fill(from, to, search.scale(), search.zeroPoint());
        }
    }

    private void fill(int from, int to, float scale, float zeroPoint) {
        for (int i = from; i < to; i++) {
            scales[i] = scale;
            zeroPoints[i] = zeroPoint;
        }
    }

    private static void roundLine(
            float[] values, float[] scales, float[] zeroPoints, int count, float least, float most) {
        for (int i = 0; i < count; i++) {
            float scale = scales[i];
            float zeroPoint = zeroPoints[i];
            float code = ((values[i] / scale + RowKernels.WHOLE) - RowKernels.WHOLE) + zeroPoint;
            values[i] = (Math.min(Math.max(code, least), most) - zeroPoint) * scale;
        }
    }
}
