package dev.ptq.format;

import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** Integers: a scale for each block, and a zero point unless symmetric. */
final class IntegerEncoding implements Encoding {
    private static final String SCALE = "scale";
    private static final String ZERO_POINT = "zero_point";
    /** The farthest zero point beyond the codes: steps are at least 2^-20 of the range, or half that. */
    private static final int FARTHEST = 1 << 21;

    private final IntegerFormat format;
    private final Blocks blocks;
    private final float[] scales;
    private final float[] zeroPoints;

    /**
     * Makes an encoding.
     *
     * @param scales of blocks; not a finite number if the values are none
     * @param zeroPoints whole numbers, 0 if symmetric; they have no meaning if the scale is not finite
     */
    IntegerEncoding(IntegerFormat format, Blocks blocks, float[] scales, float[] zeroPoints) {
        this.format = format;
        this.blocks = blocks;
        this.scales = scales;
        this.zeroPoints = zeroPoints;
        for (int i = 0; i < zeroPoints.length; i++) {
            if (!Float.isFinite(zeroPoints[i])) {
                zeroPoints[i] = 0;
            }
        }
    }

    static IntegerEncoding read(IntegerFormat format, Blocks blocks, Parts parts) throws IOException {
        ByteBuffer stored = parts.require(SCALE, StoredType.F32, blocks.strips(), blocks.across());
        float[] scales = new float[Math.toIntExact(blocks.count())];
        stored.asFloatBuffer().get(scales);
        for (int i = 0; i < scales.length; i++) {
            if (scales[i] < 0) {
                throw parts.wrong(SCALE, "no negative number", scales[i] + " at " + i);
            }
        }
        float[] zeroPoints = new float[scales.length];
        if (!format.symmetric()) {
            StoredType type = zeroPointType(format);
            ByteBuffer bytes = parts.require(ZERO_POINT, type, blocks.strips(), blocks.across());
            int lowest = format.includeZero() ? 0 : -FARTHEST;
            int highest = format.includeZero() ? (int) format.highestCode() : FARTHEST;
            for (int i = 0; i < zeroPoints.length; i++) {
                int found = type == StoredType.U8 ? bytes.get(i) & 0xff : bytes.getInt(4 * i);
                if (found < lowest || found > highest) {
                    throw parts.wrong(ZERO_POINT, "from " + lowest + " to " + highest, found + " at " + i);
                }
                zeroPoints[i] = found;
            }
        }
        return new IntegerEncoding(format, blocks, scales, zeroPoints);
    }

    private static StoredType zeroPointType(IntegerFormat format) {
        return format.includeZero() && format.bits() <= 8 ? StoredType.U8 : StoredType.I32;
    }

    @Override
    public int bits() {
        return format.bits();
    }

    @Override
    public boolean signed() {
        return format.symmetric();
    }

    @Override
    public float[] scales() {
        return scales.clone();
    }

    @Override
    public int[] zeroPoints() {
        int[] whole = new int[format.symmetric() ? 0 : zeroPoints.length];
        Arrays.setAll(whole, i -> (int) zeroPoints[i]);
        return whole;
    }

    /** Returns a zero point for each block, 0 if symmetric. */
    float[] allZeroPoints() {
        return zeroPoints.clone();
    }

    @Override
    public void round(FloatBuffer values) {
        boolean isOne = scales.length == 1;
        blocks.asRowsIfOne().rewrite(values, layout -> {
            IntegerKernel kernel = new IntegerKernel(format, layout);
            if (isOne) {
                kernel.set(scales[0], zeroPoints[0]);
            }
            return (strip, tile, at, rows) -> {
                if (!isOne) {
                    kernel.load(strip, scales, zeroPoints);
                }
                RowKernels.spoil(tile, at, rows * layout.columns());
                kernel.round(tile, at, rows);
            };
        });
    }

    @Override
    public float rounded(float value, int index) {
        int block = blocks.blockOf(index);
        float code = (float) Math.rint(value / scales[block]) + zeroPoints[block];
        float within = Math.min(Math.max(code, format.lowestCode()), format.highestCode());
        return IntegerKernel.value(within, zeroPoints[block], scales[block]);
    }

    @Override
    public void take(Encoding other, int from, int to) {
        scales[to] = ((IntegerEncoding) other).scales[from];
        zeroPoints[to] = ((IntegerEncoding) other).zeroPoints[from];
    }

    @Override
    public void storeScales() {
        HalfScaleFormat.store(scales);
    }

    @Override
    public int code(float rounded, int index) {
        int block = blocks.blockOf(index);
        float code = (float) Math.rint(rounded / scales[block]) + zeroPoints[block];
        return (int) Math.min(Math.max(code, format.lowestCode()), format.highestCode());
    }

    @Override
    public float value(int code, int index) {
        int block = blocks.blockOf(index);
        return IntegerKernel.value(code, zeroPoints[block], scales[block]);
    }

    @Override
    public Map<String, RawTensor> parts() {
        Map<String, RawTensor> parts = new LinkedHashMap<>();
        parts.put(SCALE, RawTensor.of(scales, blocks.strips(), blocks.across()));
        if (!format.symmetric()) {
            parts.put(ZERO_POINT, storedZeroPoints());
        }
        return parts;
    }

    private RawTensor storedZeroPoints() {
        return zeroPointType(format) == StoredType.U8
                ? RawTensor.ofBytes(zeroPoints(), blocks.strips(), blocks.across())
                : RawTensor.of(zeroPoints(), blocks.strips(), blocks.across());
    }
}
