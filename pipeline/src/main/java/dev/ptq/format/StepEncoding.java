package dev.ptq.format;

import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** Integers by the rules of a tool: a scale for each block, and perhaps a zero point. */
final class StepEncoding implements Encoding {
    private static final String SCALE = "scale";
    /** The name of the zero points among the parts. */
    static final String ZERO_POINT = "zero_point";

    /** The zero points of blocks. */
    enum Zeros {
        /** None: they are all 0. */
        NONE,
        /** Whole numbers. */
        WHOLE,
        /** Any numbers; of {@link IntegerCodes.Order#FROM_MIDDLE} values of the middle code. */
        FLOATING
    }

    private final IntegerCodes codes;
    private final Blocks blocks;
    private final Zeros zeros;
    private final boolean isUnrounded;
    private final float[] scales;
    private final float[] zeroPoints;

    /**
     * Makes an encoding.
     *
     * @param isUnrounded whether the tensor stays as it is
     * @param scales of blocks, as {@code codes} take them; NaN if the values of the block have none
     * @param zeroPoints of blocks, finite; all 0 if there are none
     */
    StepEncoding(
            IntegerCodes codes, Blocks blocks, Zeros zeros, boolean isUnrounded, float[] scales, float[] zeroPoints) {
        this.codes = codes;
        this.blocks = blocks;
        this.zeros = zeros;
        this.isUnrounded = isUnrounded;
        this.scales = scales;
        this.zeroPoints = zeroPoints;
    }

    /** Reads the scales of blocks; only some formats have negative ones. */
    static float[] readScales(Blocks blocks, Parts parts, boolean mayBeNegative) throws IOException {
        float[] scales = floats(blocks, parts, SCALE);
        for (int i = 0; i < scales.length; i++) {
            if (scales[i] < 0 && !mayBeNegative) {
                throw parts.wrong(SCALE, "no negative number", scales[i] + " at " + i);
            }
        }
        return scales;
    }

    /** Reads the zero points of blocks; whole ones reach from {@code lowest} to {@code highest}. */
    static float[] readZeroPoints(Blocks blocks, Parts parts, Zeros zeros, int lowest, int highest) throws IOException {
        if (zeros == Zeros.FLOATING) {
            return floats(blocks, parts, ZERO_POINT);
        }
        float[] whole = new float[Math.toIntExact(blocks.count())];
        if (zeros == Zeros.WHOLE) {
            ByteBuffer stored = parts.require(ZERO_POINT, StoredType.I32, blocks.strips(), blocks.across());
            for (int i = 0; i < whole.length; i++) {
                int found = stored.getInt(4 * i);
                if (found < lowest || found > highest) {
                    throw parts.wrong(ZERO_POINT, "from " + lowest + " to " + highest, found + " at " + i);
                }
                whole[i] = found;
            }
        }
        return whole;
    }

    private static float[] floats(Blocks blocks, Parts parts, String name) throws IOException {
        float[] values = new float[Math.toIntExact(blocks.count())];
        parts.require(name, StoredType.F32, blocks.strips(), blocks.across())
                .asFloatBuffer()
                .get(values);
        return values;
    }

    @Override
    public int bits() {
        return codes.bits();
    }

    @Override
    public boolean signed() {
        return codes.lowest() < 0;
    }

    @Override
    public float[] scales() {
        float[] factors = new float[scales.length];
        for (int i = 0; i < factors.length; i++) {
            factors[i] = codes.factor(scales[i]);
        }
        return factors;
    }

    @Override
    public int[] zeroPoints() {
        int[] whole = new int[zeros == Zeros.WHOLE ? zeroPoints.length : 0];
        Arrays.setAll(whole, i -> (int) zeroPoints[i]);
        return whole;
    }

    /** Returns a zero point for each block; 0 where there is none. */
    float[] allZeroPoints() {
        return zeroPoints.clone();
    }

    @Override
    public void round(FloatBuffer values) {
        if (isUnrounded) {
            return;
        }
        blocks.asRowsIfOne().rewrite(values, layout -> {
            Lines lines = new Lines(layout);
            float[] line = new float[layout.columns()];
            return (strip, tile, at, rows) -> {
                RowKernels.spoil(tile, at, rows * layout.columns());
                lines.load(strip);
                for (int row = 0; row < rows; row++) {
                    int start = at + row * layout.columns();
                    float[] own = RowKernels.row(tile, start, line, layout.columns());
                    lines.round(own);
                    RowKernels.store(own, tile, start, layout.columns());
                }
            };
        });
    }

    /** Rounds whole rows, even if the tensor stays as it is; for one thread. */
    final class Lines {
        private final Blocks layout;
        private final float[] lineScales;
        private final float[] lineZeroPoints;

        /**
         * Makes a kernel.
         *
         * @param layout these blocks in another order, or the rows of a single one
         */
        Lines(Blocks layout) {
            this.layout = layout;
            lineScales = new float[layout.columns()];
            lineZeroPoints = new float[layout.columns()];
            if (scales.length == 1) {
                Arrays.fill(lineScales, scales[0]);
                Arrays.fill(lineZeroPoints, zeroPoints[0]);
            }
        }

        /** Takes the scales and zero points of row {@code strip} of blocks. */
        void load(int strip) {
            if (scales.length == 1) {
                return;
            }
            int block = strip * layout.across();
            for (int from = 0; from < layout.columns(); from += layout.blockColumns(), block++) {
                int to = Math.min(layout.columns(), from + layout.blockColumns());
                Arrays.fill(lineScales, from, to, scales[block]);
                Arrays.fill(lineZeroPoints, from, to, zeroPoints[block]);
            }
        }

        /** Rounds a row of the blocks that were loaded, from index 0. */
        void round(float[] row) {
            codes.round(row, lineScales, lineZeroPoints, layout.columns());
        }
    }

    @Override
    public float rounded(float value, int index) {
        if (isUnrounded) {
            return value;
        }
        int block = blocks.blockOf(index);
        return codes.rounded(value, scales[block], zeroPoints[block]);
    }

    @Override
    public void take(Encoding other, int from, int to) {
        scales[to] = ((StepEncoding) other).scales[from];
        zeroPoints[to] = ((StepEncoding) other).zeroPoints[from];
    }

    @Override
    public void storeScales() {
        HalfScaleFormat.store(scales);
    }

    @Override
    public int code(float rounded, int index) {
        int block = blocks.blockOf(index);
        return codes.code(rounded, scales[block], zeroPoints[block]);
    }

    @Override
    public float value(int code, int index) {
        int block = blocks.blockOf(index);
        return codes.value(code, scales[block], zeroPoints[block]);
    }

    @Override
    public Map<String, RawTensor> parts() {
        Map<String, RawTensor> parts = new LinkedHashMap<>();
        parts.put(SCALE, RawTensor.of(scales, blocks.strips(), blocks.across()));
        if (zeros == Zeros.FLOATING) {
            parts.put(ZERO_POINT, RawTensor.of(zeroPoints, blocks.strips(), blocks.across()));
        } else if (zeros == Zeros.WHOLE) {
            parts.put(ZERO_POINT, RawTensor.of(zeroPoints(), blocks.strips(), blocks.across()));
        }
        return parts;
    }
}
