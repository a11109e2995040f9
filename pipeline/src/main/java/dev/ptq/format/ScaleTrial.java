package dev.ptq.format;

/** Rounds copies of one row of blocks with scales that are tried, and measures errors block by block; for one thread. */
final class ScaleTrial {
    private final SmallFloatKernel kernel;
    private final Blocks layout;
    private final float[] rounded;

    ScaleTrial(SmallFloatKernel.Rounding rounding, Blocks layout) {
        this.layout = layout;
        kernel = new SmallFloatKernel(rounding, layout);
        rounded = new float[layout.blockRows() * layout.columns()];
    }

    /** The error of a value, not negative. */
    @FunctionalInterface
    interface Measure {
        double of(float rounded, float value);
    }

    /** Tries a scale and a factor for one block. */
    void set(int block, float scale, float factor) {
        kernel.set(block, scale, factor);
    }

    /** Rounds a copy of a row of blocks; the arguments as in {@link Blocks.StripKernel}. */
    void round(float[] values, int at, int rows) {
        System.arraycopy(values, at, rounded, 0, rows * layout.columns());
        kernel.round(rounded, 0, rows);
    }

    /**
     * Returns the sum of errors of one block after {@link #round}, with the same arguments, row by row; some number not
     * below the bound if it is not below.
     */
    double error(int block, float[] values, int at, int rows, Measure measure, double bound) {
        int left = block * layout.blockColumns();
        int right = Math.min(layout.columns(), left + layout.blockColumns());
        double sum = 0;
        for (int row = 0; row < rows; row++) {
            int start = row * layout.columns();
            for (int i = start + left; i < start + right && !(sum >= bound); i++) {
                sum += measure.of(rounded[i], values[at + i]);
            }
        }
        return sum;
    }

    /** Returns the sum of squared errors of one block, as {@link #error} would. */
    double squaredError(int block, float[] values, int at, int rows) {
        int left = block * layout.blockColumns();
        int right = Math.min(layout.columns(), left + layout.blockColumns());
        double sum = 0;
        for (int row = 0; row < rows; row++) {
            int start = row * layout.columns();
            for (int i = start + left; i < start + right; i++) {
                double error = (double) rounded[i] - values[at + i];
                sum += error * error;
            }
        }
        return sum;
    }
}
