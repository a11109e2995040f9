package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.Parallel;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.function.Supplier;

/**
 * The division of a tensor into blocks that share something: {@code batch} matrices of {@code rows} by {@code columns},
 * each cut into blocks of {@code blockRows} by {@code blockColumns} from its upper left corner; those at the right and
 * lower edges may be smaller.
 */
record Blocks(int batch, int rows, int columns, int blockRows, int blockColumns) {
    /** Values that a thread processes at a time, so that they stay in its cache. */
    private static final int TILE = 1 << 12;

    /**
     * Lays blocks over a tensor.
     *
     * @param shape of the tensor; all but the last two dimensions are a batch
     * @param blockSize rows and columns of a block, or columns alone; a missing entry, one of -1, and one larger than
     *     the dimension mean the whole dimension. Entries before the last two are ignored
     */
    static Blocks over(long[] shape, List<Integer> blockSize) {
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
        return new Blocks(Math.toIntExact(batch), rows, columns, blockRows, blockColumns);
    }

    /** Returns one block per row of the last dimension, for element-wise work. */
    static Blocks rows(Shape shape) {
        return over(shape.getShape(), List.of(1, -1));
    }

    /** Returns one block for the whole tensor, its batch included. */
    static Blocks one(Shape shape) {
        Blocks rows = rows(shape);
        int all = Math.multiplyExact(rows.batch, rows.rows);
        return new Blocks(1, all, rows.columns, Math.max(1, all), rows.blockColumns);
    }

    /** Returns one block for each feature, its values in the whole batch. */
    static Blocks columns(Shape shape) {
        Blocks one = one(shape);
        return new Blocks(1, one.rows, one.columns, one.blockRows, 1);
    }

    /** Returns a layout for row-by-row work: the rows of a single block, and otherwise these blocks. */
    Blocks asRowsIfOne() {
        return count() == 1 ? new Blocks(batch, rows, columns, 1, columns) : this;
    }

    /**
     * Returns the same blocks, with the same numbers, in rows joined up to the size of a tile where possible: kernels
     * are fastest on long rows.
     */
    private Blocks inLongRows() {
        if (blockRows != 1 || columns == 0 || columns % blockColumns != 0) {
            return this;
        }
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

    /** Returns the number of blocks side by side in a row of blocks. */
    int across() {
        return (columns + blockColumns - 1) / blockColumns;
    }

    /** Returns the number of rows of blocks, of all matrices. */
    long strips() {
        return (long) batch * stripsInMatrix();
    }

    private int stripsInMatrix() {
        return (rows + blockRows - 1) / blockRows;
    }

    /** Returns the number of blocks. They are numbered from left to right, then downwards, then by matrix. */
    long count() {
        return strips() * across();
    }

    /** Returns the number of the block that holds the value at an index of the tensor. */
    int blockOf(int index) {
        int line = index / columns;
        int strip = line / rows * stripsInMatrix() + line % rows / blockRows;
        return strip * across() + index % columns / blockColumns;
    }

    /** Calls {@code copy} with the number of each block of a part of the tensor, and its number in these blocks. */
    void matching(Blocks part, int index, BlockCopy copy) {
        int first = blockOf(index);
        for (int strip = 0; strip < part.strips(); strip++) {
            for (int block = 0; block < part.across(); block++) {
                copy.from(strip * part.across() + block, first + strip * across() + block);
            }
        }
    }

    /** Copies what a block of a part shares. */
    @FunctionalInterface
    interface BlockCopy {
        void from(int part, int whole);
    }

    /**
     * Processes {@code rows} whole rows of {@link #columns}, one row of blocks, held row by row from {@code at}. The
     * first block of row {@code strip} has the number {@code strip * across}.
     */
    @FunctionalInterface
    interface StripKernel {
        void apply(int strip, float[] values, int at, int rows);
    }

    /** Processes values of one block, side by side from {@code from} (inclusive) to {@code to} (exclusive). */
    @FunctionalInterface
    interface Run {
        void apply(int block, int from, int to);
    }

    /** Shows the values of row {@code strip} of blocks, held as for a {@link StripKernel}, row by row, block by block. */
    void forEachRun(int strip, int at, int rows, Run run) {
        int firstBlock = strip * across();
        for (int row = 0; row < rows; row++) {
            int start = at + row * columns;
            for (int from = 0, block = firstBlock; from < columns; from += blockColumns, block++) {
                run.apply(block, start + from, start + Math.min(columns, from + blockColumns));
            }
        }
    }

    /** Makes a kernel with scratch memory for one thread, for blocks in the layout best for the kernel. */
    @FunctionalInterface
    interface KernelMaker {
        StripKernel make(Blocks layout);
    }

    /** Takes the values of one block, row by row from the start of the array; the next call overwrites them. */
    @FunctionalInterface
    interface BlockReader {
        void read(int block, float[] values, int count);
    }

    /** Reads every block, on all processors; each thread has a reader of its own. */
    void read(FloatBuffer values, Supplier<BlockReader> readers) {
        rewrite(values, layout -> {
            BlockReader reader = readers.get();
            float[] block = new float[layout.blockRows * layout.blockColumns];
            return (strip, tile, at, stripRows) -> {
                for (int number = 0; number < layout.across(); number++) {
                    int left = number * layout.blockColumns;
                    int width = Math.min(layout.blockColumns, layout.columns - left);
                    for (int row = 0; row < stripRows; row++) {
                        System.arraycopy(tile, at + row * layout.columns + left, block, row * width, width);
                    }
                    reader.read(strip * layout.across() + number, block, stripRows * width);
                }
            };
        });
    }

    /** The working memory of one thread. */
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
        if (values.capacity() > 0) {
            inLongRows().forEachTile(values, kernels, (start, tile, length) -> values.put(start, tile, 0, length));
        }
    }

    /** Shows every row of blocks of {@code values} to the kernels, on all processors; changes are not kept. */
    void visit(FloatBuffer values, KernelMaker kernels) {
        if (values.capacity() > 0) {
            inLongRows().forEachTile(values, kernels, (start, tile, length) -> {});
        }
    }

    /** Takes the {@code length} values of a tile that a kernel has processed. */
    @FunctionalInterface
    private interface TileSink {
        void take(int start, float[] tile, int length);
    }

    private void forEachTile(FloatBuffer values, KernelMaker kernels, TileSink sink) {
        int strips = Math.toIntExact(strips());
        int stripValues = Math.multiplyExact(blockRows, columns);
        int stripsInTile = Math.max(1, TILE / stripValues);
        int tiles = (strips + stripsInTile - 1) / stripsInTile;
        Parallel.forEach(tiles, () -> new Worker(stripsInTile * stripValues, kernels.make(this)), (worker, tile) -> {
            int firstStrip = tile * stripsInTile;
            int lastStrip = Math.min(strips, firstStrip + stripsInTile);
            int start = valuesBefore(firstStrip);
            int length = valuesBefore(lastStrip) - start;
            values.get(start, worker.tile, 0, length);
            int at = 0;
            for (int strip = firstStrip; strip < lastStrip; strip++) {
                int stripRows = Math.min(blockRows, rows - strip % stripsInMatrix() * blockRows);
                worker.kernel.apply(strip, worker.tile, at, stripRows);
                at += stripRows * columns;
            }
            sink.take(start, worker.tile, length);
        });
    }

    private int valuesBefore(int strip) {
        int matrix = strip / stripsInMatrix();
        int row = Math.min(rows, strip % stripsInMatrix() * blockRows);
        return (matrix * rows + row) * columns;
    }
}
