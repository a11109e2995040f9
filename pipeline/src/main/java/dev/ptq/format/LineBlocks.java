package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.Parallel;
import java.nio.FloatBuffer;

/**
 * The division of a tensor into blocks of neighbouring values: {@code lines} of {@code length} values, each cut into
 * blocks of {@code size} from its start; the last of a line may be shorter. A weight, a low-rank factor and a bias are
 * one line, their array read row by row, so a block may reach over the end of a row. Every token of an activation is a
 * line of its own.
 */
record LineBlocks(int lines, int length, int size) {
    /** Values that a thread processes at a time. */
    private static final int TILE = 1 << 12;

    static LineBlocks of(Shape shape, Operand operand, int size) {
        int all = Math.toIntExact(shape.size());
        boolean isFlat = operand == Operand.WEIGHT || operand == Operand.FACTOR || operand == Operand.BIAS;
        int length = isFlat || shape.dimension() == 0 ? all : Math.toIntExact(shape.get(shape.dimension() - 1));
        return new LineBlocks(length == 0 ? 0 : all / length, length, size);
    }

    int blocksInLine() {
        return (int) ((length + (long) size - 1) / size);
    }

    /** Returns the number of blocks. They are numbered line by line. */
    int count() {
        return Math.multiplyExact(lines, blocksInLine());
    }

    /** Returns the number of the block that holds the value at an index of the tensor. */
    int blockOf(int index) {
        return index / length * blocksInLine() + index % length / size;
    }

    private int start(int block) {
        return block / blocksInLine() * length + block % blocksInLine() * size;
    }

    /** Returns the number of values in a block. */
    int values(int block) {
        return Math.min(size, length - block % blocksInLine() * size);
    }

    /** Processes the {@code count} values of a block, held from {@code at}; may change them. */
    @FunctionalInterface
    interface Kernel {
        void apply(int block, float[] values, int at, int count);
    }

    /** Shows every block to the kernel, on all processors; changes are not kept. */
    void visit(FloatBuffer values, Kernel kernel) {
        forEachTile((first, last) -> loaded(values, first, last, kernel));
    }

    /** Rewrites every block in place, on all processors. */
    void rewrite(FloatBuffer values, Kernel kernel) {
        forEachTile((first, last) -> {
            float[] tile = loaded(values, first, last, kernel);
            values.put(start(first), tile, 0, tile.length);
        });
    }

    @FunctionalInterface
    private interface Tile {
        void run(int firstBlock, int lastBlock);
    }

    private void forEachTile(Tile tile) {
        int blocks = count();
        int inTile = Math.max(1, TILE / size);
        int tiles = (int) ((blocks + (long) inTile - 1) / inTile);
        Parallel.forEach(
                tiles, () -> tile, (same, i) -> same.run(i * inTile, (int) Math.min(blocks, (i + 1L) * inTile) - 1));
    }

    private float[] loaded(FloatBuffer values, int first, int last, Kernel kernel) {
        int from = start(first);
        float[] tile = new float[start(last) + values(last) - from];
        values.get(from, tile, 0, tile.length);
        for (int block = first; block <= last; block++) {
            kernel.apply(block, tile, start(block) - from, values(block));
        }
        return tile;
    }

    /** Returns the largest magnitude of each block; NaN if a value is not finite. */
    float[] absMax(FloatBuffer values) {
        float[] largest = new float[count()];
        visit(values, (block, tile, at, count) -> largest[block] = absMax(tile, at, count));
        return largest;
    }

    /** Returns the largest magnitude of a block's values; NaN if one is not finite. */
    static float absMax(float[] values, int at, int count) {
        float found = Float.intBitsToFloat(RowKernels.largestMagnitudeBits(values, at, at + count));
        return Float.isFinite(found) ? found : Float.NaN;
    }

    /** Returns the number of blocks of {@code size} values in a list of {@code count}. */
    static int across(int count, int size) {
        return (int) ((count + (long) size - 1) / size);
    }

    /** Returns the largest magnitude in each block of {@code size} values of a list. */
    static float[] absMax(float[] values, int size) {
        float[] largest = new float[across(values.length, size)];
        for (int i = 0; i < values.length; i++) {
            largest[i / size] = Math.max(largest[i / size], Math.abs(values[i]));
        }
        return largest;
    }
}
