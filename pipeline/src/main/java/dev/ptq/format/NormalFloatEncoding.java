package dev.ptq.format;

import dev.ptq.format.NormalFloatFormat.Rule;
import dev.ptq.weights.RawTensor;
import java.nio.FloatBuffer;
import java.util.Map;

/** Normal floats: places in a table, and the largest magnitude of each block. */
final class NormalFloatEncoding implements Encoding {
    /** Below it, a block's largest magnitude has no use as a divisor in bitsandbytes. */
    private static final float LEAST_DIVISOR = 1e-38f;

    private final NormalFloatFormat format;
    private final LineBlocks blocks;
    private final AbsMaxima stored;
    private final float[] absMax;
    private final float[] divisors;
    private final NormalFloatTable table;

    /** Makes an encoding that was read: values are divided by the stored largest magnitudes. */
    NormalFloatEncoding(NormalFloatFormat format, LineBlocks blocks, AbsMaxima stored) {
        this(format, blocks, stored, stored.values());
    }

    /**
     * Makes an encoding.
     *
     * @param divisors the largest magnitudes before double quantization, by which values are divided; NaN if a value
     *     is not finite
     */
    NormalFloatEncoding(NormalFloatFormat format, LineBlocks blocks, AbsMaxima stored, float[] divisors) {
        this(format, blocks, stored, stored.values(), divisors);
    }

    private NormalFloatEncoding(
            NormalFloatFormat format, LineBlocks blocks, AbsMaxima stored, float[] absMax, float[] divisors) {
        this.format = format;
        this.blocks = blocks;
        this.stored = stored;
        this.absMax = absMax;
        this.divisors = divisors;
        table = NormalFloatTable.of(format);
    }

    /** Makes an encoding without double quantization, and rounds the values by it in the same pass over them. */
    static NormalFloatEncoding rounding(NormalFloatFormat format, LineBlocks blocks, FloatBuffer values) {
        float[] absMax = new float[blocks.count()];
        NormalFloatEncoding encoding =
                new NormalFloatEncoding(format, blocks, new AbsMaxima.Plain(absMax), absMax.clone(), absMax);
        blocks.rewrite(values, (block, tile, at, count) -> {
            absMax[block] = LineBlocks.absMax(tile, at, count);
            encoding.absMax[block] = absMax[block];
            encoding.round(block, tile, at, count);
        });
        return encoding;
    }

    @Override
    public int bits() {
        return format.bits();
    }

    @Override
    public boolean signed() {
        return false;
    }

    /** Returns the largest magnitude of each block, as it is decoded. */
    @Override
    public float[] scales() {
        return absMax.clone();
    }

    @Override
    public void round(FloatBuffer values) {
        blocks.rewrite(values, this::round);
    }

    private void round(int block, float[] values, int at, int count) {
        if (format.rule() == Rule.BITSANDBYTES) {
            roundBetweenMidpoints(block, values, at, count, count < format.blockSize());
        } else {
            roundToNearest(block, values, at, count);
        }
    }

    private void roundBetweenMidpoints(int block, float[] values, int at, int count, boolean isShort) {
        float divisor = Math.max(divisors[block], LEAST_DIVISOR);
        if (isShort) {
            round(block, values, at, count, divisor);
            return;
        }
        float reciprocal = 1 / divisor;
        float scale = absMax[block];
        for (int i = at; i < at + count; i++) {
            values[i] = spoiled(table.rounded(values[i] * reciprocal) * scale, values[i]);
        }
    }

    private void roundToNearest(int block, float[] values, int at, int count) {
        // in torchao 0 / 0 has the code 0
        round(
                block,
                values,
                at,
                count,
                format.rule() == Rule.PEFT ? Math.max(divisors[block], Float.MIN_VALUE) : divisors[block]);
    }

    private void round(int block, float[] values, int at, int count, float divisor) {
        float scale = absMax[block];
        float largest = Float.intBitsToFloat(RowKernels.largestMagnitudeBits(values, at, at + count));
        if (table.isFar(largest / divisor)) {
            for (int i = at; i < at + count; i++) {
                values[i] = spoiled(table.rounded(values[i] / divisor) * scale, values[i]);
            }
        } else {
            for (int i = at; i < at + count; i++) {
                values[i] = spoiled(table.near(values[i] / divisor) * scale, values[i]);
            }
        }
    }

    /** Returns the rounded value, or NaN if the value is not finite. */
    @SuppressWarnings("IdentityBinaryExpression") // 0 for what is finite, NaN for what is not
    private static float spoiled(float rounded, float value) {
        // a branch would take as long as the table
        return rounded - (value - value);
    }

    private float value(float entry, int block) {
        return entry * absMax[block];
    }

    @Override
    public float rounded(float value, int index) {
        int block = blocks.blockOf(index);
        float[] one = {value};
        if (format.rule() == Rule.BITSANDBYTES) {
            roundBetweenMidpoints(block, one, 0, 1, blocks.values(block) < format.blockSize());
        } else {
            roundToNearest(block, one, 0, 1);
        }
        return one[0];
    }

    @Override
    public void take(Encoding other, int from, int to) {
        absMax[to] = ((NormalFloatEncoding) other).absMax[from];
        divisors[to] = ((NormalFloatEncoding) other).divisors[from];
    }

    @Override
    public int code(float rounded, int index) {
        int likely = table.code(rounded / absMax[blocks.blockOf(index)]);
        if (isValue(likely, rounded, index)) {
            return likely;
        }
        int code = 0;
        while (code < table.size() - 1 && !isValue(code, rounded, index)) {
            code++;
        }
        return code;
    }

    private boolean isValue(int code, float rounded, int index) {
        return Float.floatToIntBits(value(code, index)) == Float.floatToIntBits(rounded);
    }

    @Override
    public float value(int code, int index) {
        return value(table.entry(code), blocks.blockOf(index));
    }

    @Override
    public Map<String, RawTensor> parts() {
        return stored.parts(blocks);
    }
}
