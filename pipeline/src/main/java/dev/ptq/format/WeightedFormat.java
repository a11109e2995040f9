package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.Map;
import java.util.Set;

/**
 * Integers for the weight of a linear whose input is known: ranges are searched for with the error of each weight times
 * the mean square of the feature that it takes, see {@link RangeShrinking}.
 *
 * @param format with {@link IntegerFormat.Range#IMATRIX_MSE}
 * @param meanSquares of the columns of the weight
 */
record WeightedFormat(IntegerGridFormat format, MeanSquares meanSquares) implements GridFormat {
    WeightedFormat {
        if (format.range() != IntegerFormat.Range.IMATRIX_MSE) {
            throw new IllegalArgumentException("nothing is weighted in " + format);
        }
    }

    @Override
    public Set<InputFact> needs() {
        return format.needs();
    }

    @Override
    public NumberFormat dynamic() {
        return format;
    }

    @Override
    public GridFormat ofColumns(int... columns) {
        return new WeightedFormat(format, meanSquares.ofColumns(columns));
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand) {
        encoding(values, shape, operand).round(values);
    }

    @Override
    public Encoding fit(FloatBuffer values, Shape shape, Operand operand) {
        StepEncoding encoding = encoding(values, shape, operand);
        encoding.round(values);
        return encoding;
    }

    private StepEncoding encoding(FloatBuffer values, Shape shape, Operand operand) {
        Blocks blocks = blocks(shape, operand);
        if (operand != Operand.WEIGHT || blocks.columns() != meanSquares.features()) {
            throw new IllegalArgumentException("expected a weight of " + meanSquares.features()
                    + " input features, got shape " + shape + " as " + operand);
        }
        return new RangeShrinking(format, blocks, values, meanSquares.values()).best(BlockRanges.of(blocks, values));
    }

    @Override
    public Blocks blocks(Shape shape, Operand operand) {
        return format.blocks(shape, operand);
    }

    @Override
    public Encoding read(Shape shape, Operand operand, Parts parts) throws IOException {
        return format.read(shape, operand, parts);
    }

    @Override
    public int bits() {
        return format.bits();
    }

    @Override
    public double storageBits(Shape shape, Operand operand) {
        return format.storageBits(shape, operand);
    }

    @Override
    public Map<String, Object> table() {
        return format.table();
    }
}
