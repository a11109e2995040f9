package dev.ptq.format;

import dev.ptq.format.IntegerFormat.Range;
import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * Shrinks both ends of each block's range and keeps the ends with the least error; of equal ones the widest.
 *
 * <p>By hundredths, for the least sum of {@code |w - ŵ|^2.4}. Source: the released codes of GPTQ (ICLR 2023), up to 79 hundredths; of GPTQModel, which with
 * two bits and a zero point also tries the whole number on the other side of the unrounded one; and of llm-compressor, up
 * to 19 hundredths and no further once five in a row made no block of the whole tensor better, so that one block's range
 * may depend on the others.
 *
 * <p>With {@link Range#IMATRIX_MSE} by twentieths, up to 18, for the least sum of {@code m |w - ŵ|^3} with the mean square
 * {@code m} of the input that a weight takes. Source: the observer {@code imatrix_mse} of llm-compressor.
 *
 * <p>Errors are float32 and are summed in double precision.
 */
final class RangeShrinking {
    private final IntegerGridFormat format;
    private final Blocks blocks;
    private final FloatBuffer values;
    /** Of each column; empty if all weigh the same. */
    private final float[] meanSquares;

    private final int steps;
    private final double parts;
    private final FloatPower power;
    private final int patience;
    /** Whether each zero point's neighbour is tried too. */
    private final boolean takesOthers;

    RangeShrinking(IntegerGridFormat format, Blocks blocks, FloatBuffer values, float... meanSquares) {
        this.format = format;
        this.blocks = blocks;
        this.values = values;
        this.meanSquares = meanSquares;
        boolean isWeighted = format.range() == Range.IMATRIX_MSE;
        boolean isShort = format.range() == Range.COMPRESSED_TENSORS_MSE;
        steps = isWeighted ? 19 : isShort ? 20 : 80;
        parts = isWeighted ? 20 : 100;
        power = new FloatPower(isWeighted ? 3 : 2.4);
        patience = isShort ? 5 : steps;
        takesOthers = format.range() == Range.GPTQMODEL_MSE
                && format.grid() == IntegerGrid.GPTQ
                && format.bits() == 2
                && !format.mapping().symmetric();
    }

    /**
     * Returns the encoding with the best scales and zero points.
     *
     * @param whole the ranges of all values
     */
    StepEncoding best(BlockRanges whole) {
        StepEncoding widest = format.encoding(blocks, whole);
        Best best = new Best(widest.scales(), widest.allZeroPoints());
        int inVain = 0;
        for (int step = 0; step < steps && inVain < patience; step++) {
            BlockRanges shrunk = whole.times((float) (1 - step / parts));
            StepEncoding candidate = format.encoding(blocks, shrunk);
            boolean isBetter = best.consider(candidate, errors(candidate, best));
            if (takesOthers) {
                float[] others = format.otherZeroPoints(shrunk, candidate);
                StepEncoding other = format.encoding(blocks, candidate.scales(), others);
                isBetter |= best.consider(other, errors(other, best));
            }
            inVain = isBetter ? 0 : inVain + 1;
        }
        return format.encoding(blocks, best.scales, best.zeroPoints);
    }

    /** The best scale and zero point of each block so far. */
    private static final class Best {
        final float[] scales;
        final float[] zeroPoints;
        private final double[] errors;

        Best(float[] scales, float[] zeroPoints) {
            this.scales = scales;
            this.zeroPoints = zeroPoints;
            errors = new double[scales.length];
            Arrays.fill(errors, Double.POSITIVE_INFINITY);
        }

        /** Takes over the blocks whose errors are smaller, and returns whether there were any. */
        boolean consider(StepEncoding candidate, double[] found) {
            float[] otherScales = candidate.scales();
            float[] otherZeroPoints = candidate.allZeroPoints();
            boolean isBetter = false;
            for (int block = 0; block < found.length; block++) {
                if (found[block] < errors[block]) {
                    errors[block] = found[block];
                    scales[block] = otherScales[block];
                    zeroPoints[block] = otherZeroPoints[block];
                    isBetter = true;
                }
            }
            return isBetter;
        }
    }

    /** Returns the error of each block; some number not below the best one if it is not below that. */
    private double[] errors(StepEncoding encoding, Best best) {
        double[] sums = new double[best.errors.length];
        blocks.visit(values, layout -> {
            StepEncoding.Lines lines = encoding.new Lines(layout);
            float[] rounded = new float[layout.columns()];
            return (strip, tile, at, rows) -> {
                lines.load(strip);
                for (int row = 0; row < rows; row++) {
                    int start = at + row * layout.columns();
                    System.arraycopy(tile, start, rounded, 0, layout.columns());
                    lines.round(rounded);
                    int block = strip * layout.across();
                    for (int from = 0; from < layout.columns(); from += layout.blockColumns(), block++) {
                        int to = Math.min(layout.columns(), from + layout.blockColumns());
                        sums[block] = raised(sums[block], best.errors[block], rounded, tile, start, from, to);
                    }
                }
            };
        });
        return sums;
    }

    private double raised(double sum, double bound, float[] rounded, float[] tile, int start, int from, int to) {
        double raised = sum;
        for (int i = from; i < to && !(raised >= bound); i++) {
            double error = power.of(Math.abs(rounded[i] - tile[start + i]));
            // a layout may join rows, each of as many columns
            raised += meanSquares.length == 0 ? error : meanSquares[i % meanSquares.length] * error;
        }
        return raised;
    }
}
