package dev.ptq.format;

import dev.ptq.format.IntegerFormat.Range;
import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * Shrinks both ends of each block's range by hundredths and keeps the ends with the least sum of {@code |w - ŵ|^2.4};
 * of equal ones the widest. Source: the released codes of GPTQ (ICLR 2023), up to 79 hundredths, and of llm-compressor,
 * up to 19 and no further once five in a row made no block of the whole tensor better: there, one block's range may
 * depend on the others.
 *
 * <p>Errors are float32 and are summed in double precision.
 */
final class RangeShrinking {
    private static final double EXPONENT = 2.4;
    private static final double PARTS = 100;

    private final IntegerGridFormat format;
    private final Blocks blocks;
    private final FloatBuffer values;
    private final int steps;
    private final int patience;

    RangeShrinking(IntegerGridFormat format, Blocks blocks, FloatBuffer values) {
        this.format = format;
        this.blocks = blocks;
        this.values = values;
        boolean isShort = format.range() == Range.COMPRESSED_TENSORS_MSE;
        steps = isShort ? 20 : 80;
        patience = isShort ? 5 : steps;
    }

    /** Returns the best ranges, starting from those of all values. */
    BlockRanges best(BlockRanges whole) {
        BlockRanges best = whole.copy();
        double[] least = new double[whole.count()];
        Arrays.fill(least, Double.POSITIVE_INFINITY);
        int inVain = 0;
        for (int step = 0; step < steps && inVain < patience; step++) {
            BlockRanges shrunk = whole.times((float) (1 - step / PARTS));
            double[] errors = errors(format.encoding(blocks, shrunk));
            inVain++;
            for (int block = 0; block < errors.length; block++) {
                if (errors[block] < least[block]) {
                    least[block] = errors[block];
                    best.take(block, shrunk);
                    inVain = 0;
                }
            }
        }
        return best;
    }

    private double[] errors(StepEncoding encoding) {
        double[] sums = new double[Math.toIntExact(blocks.count())];
        blocks.visit(values, layout -> {
            float[] rounded = new float[layout.columns()];
            return (strip, tile, at, rows) -> layout.forEachRun(strip, at, rows, (block, from, to) -> {
                System.arraycopy(tile, from, rounded, 0, to - from);
                encoding.roundRun(block, rounded, 0, to - from);
                for (int i = from; i < to; i++) {
                    sums[block] += Math.pow(Math.abs(rounded[i - from] - tile[i]), EXPONENT);
                }
            });
        });
        return sums;
    }
}
