package dev.ptq.format;

import dev.ptq.tensor.Parallel;
import java.nio.FloatBuffer;
import java.util.List;

/**
 * How a tensor falls into blocks that share something: {@code batch} matrices of {@code rows} by {@code columns}, each
 * cut into blocks of {@code blockRows} by {@code blockColumns} from its upper left corner; those at the right and lower
 * edges may be smaller.
 */
record Blocks(int batch, int rows, int columns, int blockRows, int blockColumns) {
    /** Values that one thread works on at a time, so that they stay in its cache. */
    private static final int TILE = 1 << 12;

    /**
     * Lays blocks over a tensor.
     *
     * @param shape of the tensor; all but the last two dimensions are a batch
     * @param blockSize rows and columns of a block, or columns alone; a missing entry, one of -1, and one larger than
     *     the dimension mean the whole dimension. Entries before the last two are not looked at
     * @param skipFirst whether the first of two dimensions is a batch too
     */
    static Blocks over(long[] shape, List<Integer> blockSize, boolean skipFirst) {
        int dimensions = shape.length;
        int columns = dimensions == 0 ? 1 : Math.toIntExact(shape[dimensions - 1]);
        int rows = dimensions < 2 ? 1 : Math.toIntExact(shape[dimensions - 2]);
        long batch = 1;
        for (int i = 0; i < dimensions - 2; i++) {
            batch *= shape[i];
        }
        int entries = blockSize.size();
        int blockColumns = bounded(entries < 1 ? -1 : blockSize.get(entries - 1), columns);
        int blockRows = bounded(entries < 2 ? -1 : blockSize.get(entries - 2), rows);
        if (skipFirst && dimensions == 2) {
            blockRows = 1;
        }
        Blocks blocks = new Blocks(Math.toIntExact(batch), rows, columns, blockRows, blockColumns);
        return blockRows == 1 && columns > 0 && columns % blockColumns == 0 ? blocks.inLongRows() : blocks;
    }

    /** The same blocks with as many short rows made one as fill a tile; kernels are at their best on long rows. */
    private Blocks inLongRows() {
        int all = Math.multiplyExact(batch, rows);
        int joined = Math.max(1, Math.min(all, TILE / columns));
        while (joined > 1 && all % joined != 0) {
            joined--;
        }
        return new Blocks(1, all / joined, joined * columns, 1, blockColumns);
    }

    private static int bounded(int entry, int dimension) {
        return Math.max(1, entry == -1 ? dimension : Math.min(entry, dimension));
    }

    /** Blocks side by side in a row of blocks. */
    int across() {
        return (columns + blockColumns - 1) / blockColumns;
    }

    /** Number of blocks. */
    long count() {
        return (long) batch * ((rows + blockRows - 1) / blockRows) * across();
    }

    /** What is done to {@code rows} whole rows of {@link #columns}, one row of blocks, held row by row from {@code at}. */
    @FunctionalInterface
    interface StripKernel {
        void apply(float[] values, int at, int rows);
    }

    /** Makes a kernel with scratch memory for one thread. */
    @FunctionalInterface
    interface KernelMaker {
        StripKernel make();
    }

    /** What one thread works with. */
    private static final class Worker {
        final float[] tile;
        final StripKernel kernel;

        Worker(int tileValues, StripKernel kernel) {
            this.tile = new float[tileValues];
            this.kernel = kernel;
        }
    }

    /** Rewrites every row of blocks of {@code values} in place, on all processors. */
    void rewrite(FloatBuffer values, KernelMaker kernels) {
        if (values.capacity() == 0) {
            return;
        }
        int stripsInMatrix = (rows + blockRows - 1) / blockRows;
        int strips = Math.multiplyExact(batch, stripsInMatrix);
        int stripValues = Math.multiplyExact(blockRows, columns);
        int stripsInTile = Math.max(1, TILE / stripValues);
        int tiles = (strips + stripsInTile - 1) / stripsInTile;
        Parallel.forEach(tiles, () -> new Worker(stripsInTile * stripValues, kernels.make()), (worker, tile) -> {
            int firstStrip = tile * stripsInTile;
            int lastStrip = Math.min(strips, firstStrip + stripsInTile);
            int start = valuesBefore(firstStrip, stripsInMatrix);
            int length = valuesBefore(lastStrip, stripsInMatrix) - start;
            values.get(start, worker.tile, 0, length);
            int at = 0;
            for (int strip = firstStrip; strip < lastStrip; strip++) {
                int stripRows = Math.min(blockRows, rows - strip % stripsInMatrix * blockRows);
                worker.kernel.apply(worker.tile, at, stripRows);
                at += stripRows * columns;
            }
            values.put(start, worker.tile, 0, length);
        });
    }

    private int valuesBefore(int strip, int stripsInMatrix) {
        int matrix = strip / stripsInMatrix;
        int row = Math.min(rows, strip % stripsInMatrix * blockRows);
        return (matrix * rows + row) * columns;
    }
}
