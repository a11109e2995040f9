package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.NativeFloats;
import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * Rounds a weight column by column, as methods need it that change later columns after each. Columns come in an order of
 * the caller's; neighbours in it share values, such as a scale, in groups of {@link #groupColumns}. These values are
 * fitted on the way. Rows of different parts, see {@link #groupRows}, may be worked on at the same time.
 */
public final class ColumnRounding {
    private final GridFormat format;
    private final Shape shape;
    private final int columns;
    private final Blocks blocks;
    private final int[] order;
    /** Whether blocks lie over the columns of the weight as they are; else in the order of the caller. */
    private boolean isInPlace;

    private Encoding encoding;

    /**
     * Starts with nothing fitted.
     *
     * @param weight {@code [outFeatures, inFeatures]}, float32; what all its values share is fitted to it here
     * @param order in which columns are rounded: the column of each place
     * @throws IllegalArgumentException if the format has no codes
     */
    public ColumnRounding(NumberFormat format, NDArray weight, int[] order) {
        shape = weight.getShape();
        this.format = coded(format).ofTensor(NativeFloats.window(weight), shape, Operand.WEIGHT);
        this.order = order.clone();
        columns = order.length;
        blocks = this.format.blocks(shape, Operand.WEIGHT);
        isInPlace = keepsGroups();
        // all of it is to be replaced
        FloatBuffer zeros = FloatBuffer.allocate(Math.toIntExact(shape.size()));
        encoding = this.format.fit(zeros, shape, Operand.WEIGHT);
    }

    private static GridFormat coded(NumberFormat format) {
        if (format instanceof GridFormat coded) {
            return coded;
        }
        throw new IllegalArgumentException("expected a format with codes, got " + Formats.written(format));
    }

    /** Whether each group in the order consists of the columns of a group of the weight. */
    private boolean keepsGroups() {
        for (int from = 0; from < columns; from += groupColumns()) {
            int group = order[from] / groupColumns();
            for (int i = from; i < Math.min(columns, from + groupColumns()); i++) {
                if (order[i] / groupColumns() != group) {
                    return false;
                }
            }
        }
        return true;
    }

    /**
     * Returns {@link #groupColumns} of a format.
     *
     * @param shape of the weight, {@code [outFeatures, inFeatures]}
     */
    public static int groupColumns(NumberFormat format, Shape shape) {
        return coded(format).blocks(shape, Operand.WEIGHT).blockColumns();
    }

    /** Returns {@link #groupRows} of a format, likewise. */
    public static int groupRows(NumberFormat format, Shape shape) {
        return coded(format).blocks(shape, Operand.WEIGHT).blockRows();
    }

    /** Columns that share values; all of them if they are shared by whole rows. */
    public int groupColumns() {
        return blocks.blockColumns();
    }

    /** Rows that share values. */
    public int groupRows() {
        return blocks.blockRows();
    }

    /** Fits all shared values to a weight, with its columns where they are, whatever the order. */
    public void fitAll(NDArray weight) {
        FloatBuffer source = NativeFloats.window(weight);
        FloatBuffer copy = FloatBuffer.allocate(source.capacity());
        copy.put(0, source, 0, source.capacity());
        encoding = format.fit(copy, shape, Operand.WEIGHT);
        isInPlace = true;
    }

    /**
     * Fits the shared values of a group in some rows.
     *
     * @param place of the group's first column in the order
     * @param row of the first of them, a multiple of {@link #groupRows}
     * @param values {@code [rows, columns of the group]}, in the order; not kept
     */
    public void fit(int place, int row, float[] values) {
        int width = Math.min(groupColumns(), columns - place);
        int first = isInPlace ? order[place] / groupColumns() * groupColumns() : place;
        Shape part = new Shape(values.length / width, width);
        GridFormat own = format.ofColumns(Arrays.copyOfRange(order, place, place + width));
        Encoding fitted = own.fit(FloatBuffer.wrap(values), part, Operand.WEIGHT);
        blocks.matching(
                own.blocks(part, Operand.WEIGHT), row * columns + first, (from, to) -> encoding.take(fitted, from, to));
    }

    /** Returns a value rounded in a row, and in the column at a place in the order. */
    public float rounded(float value, int row, int place) {
        return encoding.rounded(value, row * columns + (isInPlace ? order[place] : place));
    }

    /**
     * Returns the grid of a weight whose values were rounded here, in the order of its own columns.
     *
     * @param rounded float32
     */
    public Grid grid(NDArray rounded) {
        Encoding whole = isInPlace ? encoding : new OrderedEncoding(encoding, order);
        return Grid.ofRounded(format, shape, Operand.WEIGHT, whole, NativeFloats.window(rounded));
    }

    /** The columns in their own order. */
    public static int[] asTheyAre(int columns) {
        int[] order = new int[columns];
        Arrays.setAll(order, i -> i);
        return order;
    }
}
