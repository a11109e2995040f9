package dev.ptq.format;

import java.util.Arrays;

/**
 * Rounds one row of blocks to integers, in loops over whole rows that the compiler vectorizes; see {@link RowKernels}.
 */
final class IntegerKernel implements Blocks.StripKernel {
    private final IntegerFormat format;
    private final Blocks layout;
    private final int columns;
    private final int blockColumns;
    private final float[] line;
    /** The reach of each column above and below zero. */
    private final float[] above;

    private final float[] below;
    /** Scale of each column's block. */
    private final float[] scales;

    private final float[] zeroPoints;
    private final RangeSearch search;
    private float[] block = new float[0];
    /** Whether measuring has left its single row in the line. */
    private boolean isInLine;

    IntegerKernel(IntegerFormat format, Blocks layout) {
        this.format = format;
        this.layout = layout;
        columns = layout.columns();
        blockColumns = layout.blockColumns();
        line = new float[columns];
        above = new float[columns];
        below = new float[columns];
        scales = new float[columns];
        zeroPoints = new float[columns];
        search = new RangeSearch(format);
    }

    @Override
    public void apply(int strip, float[] values, int at, int rows) {
        measure(values, at, rows);
        round(values, at, rows);
    }

    /** Computes the scale and zero point of each block of a row of blocks. */
    void measure(float[] values, int at, int rows) {
        isInLine = rows == 1 && at > 0 && format.range() == IntegerFormat.Range.MINMAX;
        if (format.range() == IntegerFormat.Range.MSE) {
            searchScales(values, at, rows);
        } else {
            float start = format.includeZero() ? 0 : Float.NEGATIVE_INFINITY;
            Arrays.fill(above, start);
            Arrays.fill(below, start);
            for (int row = 0; row < rows; row++) {
                reach(RowKernels.row(values, at + row * columns, line, columns), above, below, columns);
            }
            chooseScales();
        }
    }

    /** Uses one scale and zero point for all blocks. */
    void set(float scale, float zeroPoint) {
        fill(0, columns, scale, zeroPoint);
    }

    /** Loads the scales and zero points of the blocks of row {@code strip} from those of all blocks. */
    void load(int strip, float[] fromScales, float[] fromZeroPoints) {
        int block = strip * layout.across();
        for (int from = 0; from < columns; from += blockColumns, block++) {
            fill(from, Math.min(columns, from + blockColumns), fromScales[block], fromZeroPoints[block]);
        }
    }

    /** Stores the scales and zero points of the blocks of row {@code strip} among those of all blocks. */
    void store(int strip, float[] intoScales, float[] intoZeroPoints) {
        int block = strip * layout.across();
        for (int from = 0; from < columns; from += blockColumns, block++) {
            intoScales[block] = scales[from];
            intoZeroPoints[block] = zeroPoints[from];
        }
    }

    /** Rounds a row of blocks with the current scales and zero points. */
    void round(float[] values, int at, int rows) {
        for (int row = 0; row < rows; row++) {
            int start = at + row * columns;
            float[] own = isInLine ? line : RowKernels.row(values, start, line, columns);
            roundLine(own, scales, zeroPoints, columns, format.lowestCode(), format.highestCode());
            RowKernels.store(own, values, start, columns);
        }
        isInLine = false;
    }

    private static void reach(float[] values, float[] above, float[] below, int count) {
        for (int i = 0; i < count; i++) {
            above[i] = Math.max(above[i], values[i]);
        }
        for (int i = 0; i < count; i++) {
            below[i] = Math.max(below[i], -values[i]);
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
            values[i] = value(Math.min(Math.max(code, least), most), zeroPoint, scale);
        }
    }

    /** Returns the value of a code, a whole number. */
    static float value(float code, float zeroPoint, float scale) {
        return (code - zeroPoint) * scale;
    }
}
