package dev.ptq.format;

import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;

/** The smallest and the largest value of each block; both NaN if one of its values is. */
final class BlockRanges {
    private final float[] lows;
    private final float[] highs;

    private BlockRanges(float[] lows, float[] highs) {
        this.lows = lows;
        this.highs = highs;
    }

    static BlockRanges of(Blocks blocks, FloatBuffer values) {
        BlockRanges ranges =
                new BlockRanges(filled(blocks, Float.POSITIVE_INFINITY), filled(blocks, Float.NEGATIVE_INFINITY));
        blocks.visit(
                values,
                layout -> (strip, tile, at, rows) -> layout.forEachRun(strip, at, rows, (block, from, to) -> {
                    ranges.lows[block] = Math.min(ranges.lows[block], RowKernels.smallest(tile, from, to));
                    ranges.highs[block] = Math.max(ranges.highs[block], RowKernels.largest(tile, from, to));
                }));
        return ranges;
    }

    /** Takes the ranges of blocks that are known. */
    static BlockRanges known(List<Bounds> ranges) {
        float[] lows = new float[ranges.size()];
        float[] highs = new float[lows.length];
        for (int block = 0; block < lows.length; block++) {
            lows[block] = ranges.get(block).low();
            highs[block] = ranges.get(block).high();
        }
        return new BlockRanges(lows, highs);
    }

    private static float[] filled(Blocks blocks, float value) {
        float[] all = new float[Math.toIntExact(blocks.count())];
        Arrays.fill(all, value);
        return all;
    }

    int count() {
        return lows.length;
    }

    float low(int block) {
        return lows[block];
    }

    float high(int block) {
        return highs[block];
    }

    /** Returns the ranges with both ends times a factor. */
    BlockRanges times(float factor) {
        return new BlockRanges(times(lows, factor), times(highs, factor));
    }

    private static float[] times(float[] ends, float factor) {
        float[] products = ends.clone();
        for (int i = 0; i < products.length; i++) {
            products[i] *= factor;
        }
        return products;
    }
}
