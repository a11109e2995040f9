package dev.ptq.layout;

/**
 * The scales of a matrix, and perhaps zero points: one for each rectangle, for some rows and the columns of a group, or for
 * blocks of the flattened matrix.
 */
final class Scales {
    private final float[] scales;
    private final byte[] zeroPoints;
    private final int zeroPoint;
    private final boolean isSigned;
    private final int across;
    private final int blockRows;
    private final int blockColumns;
    private final int[] groups;

    /**
     * Takes scales.
     *
     * @param scales {@code [blocks down, blocks across]}
     * @param zeroPoints likewise, whole numbers; empty if all are {@code zeroPoint}
     * @param zeroPoint of all, where they have none of their own
     * @param isSigned whether zero points are signed bytes
     * @param across blocks beside each other
     * @param blockRows rows of a block; 0 if blocks are those of the flattened matrix
     * @param blockColumns columns of a block
     * @param groups the block of each column; empty if blocks are of neighbours
     */
    private Scales(
            float[] scales,
            byte[] zeroPoints,
            int zeroPoint,
            boolean isSigned,
            int across,
            int blockRows,
            int blockColumns,
            int[] groups) {
        this.scales = scales;
        this.zeroPoints = zeroPoints;
        this.zeroPoint = zeroPoint;
        this.isSigned = isSigned;
        this.across = across;
        this.blockRows = blockRows;
        this.blockColumns = blockColumns;
        this.groups = groups;
    }

    /** Scales of rectangles of neighbours. */
    static Scales of(float[] scales, int across, int blockRows, int blockColumns) {
        return new Scales(scales, new byte[0], 0, false, across, blockRows, blockColumns, new int[0]);
    }

    /** Scales of blocks that run on over the ends of rows. */
    static Scales flat(float[] scales, int blockSize) {
        return of(scales, scales.length, 0, blockSize);
    }

    /** The same with a zero point for all. */
    Scales withZero(int zero) {
        return new Scales(scales, zeroPoints, zero, false, across, blockRows, blockColumns, groups);
    }

    /** The same with a zero point for each block, from 0 to 255. */
    Scales withZeros(byte[] zeros) {
        return new Scales(scales, zeros, 0, false, across, blockRows, blockColumns, groups);
    }

    /** The same with a signed zero point for each block. */
    Scales withSignedZeros(byte[] zeros) {
        return new Scales(scales, zeros, 0, true, across, blockRows, blockColumns, groups);
    }

    /** The same with other columns in each block. */
    Scales withGroups(int[] groupOfColumn) {
        return new Scales(scales, zeroPoints, zeroPoint, isSigned, across, blockRows, blockColumns, groupOfColumn);
    }

    /** Returns the block of a value in a matrix with this many columns. */
    int block(int row, int column, int columns) {
        if (blockRows == 0) {
            return (int) (((long) row * columns + column) / blockColumns);
        }
        return row / blockRows * across + (groups.length > 0 ? groups[column] : column / blockColumns);
    }

    /** Returns the scale of a block. */
    float scale(int block) {
        return scales[block];
    }

    /** Returns the zero point of a block. */
    int zero(int block) {
        if (zeroPoints.length == 0) {
            return zeroPoint;
        }
        return isSigned ? zeroPoints[block] : zeroPoints[block] & 0xff;
    }
}
