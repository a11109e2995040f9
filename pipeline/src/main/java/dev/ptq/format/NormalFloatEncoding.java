package dev.ptq.format;

import dev.ptq.format.NormalFloatFormat.Rule;
import dev.ptq.weights.RawTensor;
import java.nio.FloatBuffer;
import java.util.Map;

/** Normal floats: places in a table, and the largest magnitude of each block. */
final class NormalFloatEncoding implements Encoding {
    private static final float[] NF4 = {
        -1,
        -0.6961928f,
        -0.52507305f,
        -0.3949175f,
        -0.28444138f,
        -0.18477343f,
        -0.091050036f,
        0,
        0.0795803f,
        0.1609302f,
        0.2461123f,
        0.33791524f,
        0.44070983f,
        0.562617f,
        0.72295684f,
        1
    };
    /** As torchao has it, to four decimals. */
    private static final float[] SHORT_NF4 = {
        -1, -0.6962f, -0.5251f, -0.3949f, -0.2844f, -0.1848f, -0.0911f, 0, 0.0796f, 0.1609f, 0.2461f, 0.3379f, 0.4407f,
        0.5626f, 0.7230f, 1
    };

    private static final float[] NF3 = {-1, -0.4786292f, -0.21714179f, 0, NF4[9], NF4[11], NF4[13], 1};
    private static final float[] NF2 = {-1, 0, NF4[11], 1};

    /** Below it, a block's largest magnitude has no use as a divisor in bitsandbytes. */
    private static final float LEAST_DIVISOR = 1e-38f;

    private final NormalFloatFormat format;
    private final LineBlocks blocks;
    private final AbsMaxima stored;
    private final float[] absMax;
    private final float[] divisors;
    private final float[] entries;
    private final float[] midpoints;

    /** Returns the entries of NF4. */
    static float[] nf4() {
        return NF4.clone();
    }

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
        this.format = format;
        this.blocks = blocks;
        this.stored = stored;
        this.divisors = divisors;
        absMax = stored.values();
        entries = entries(format);
        midpoints = new float[entries.length - 1];
        for (int i = 0; i < midpoints.length; i++) {
            midpoints[i] = (entries[i] + entries[i + 1]) / 2;
        }
    }

    private static float[] entries(NormalFloatFormat format) {
        return switch (format.bits()) {
            case 2 -> NF2;
            case 3 -> NF3;
            default -> format.rule() == Rule.TORCHAO ? SHORT_NF4 : NF4;
        };
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
        blocks.rewrite(values, (block, tile, at, count) -> {
            RowKernels.spoil(tile, at, count);
            if (format.rule() == Rule.BITSANDBYTES) {
                roundBetweenMidpoints(block, tile, at, count, count < format.blockSize());
            } else {
                roundToNearest(block, tile, at, count);
            }
        });
    }

    private void roundBetweenMidpoints(int block, float[] values, int at, int count, boolean isShort) {
        float divisor = Math.max(divisors[block], LEAST_DIVISOR);
        float reciprocal = 1 / divisor;
        for (int i = at; i < at + count; i++) {
            int code = above(isShort ? values[i] / divisor : values[i] * reciprocal);
            values[i] = Float.isNaN(values[i]) ? Float.NaN : value(entries[code], block);
        }
    }

    private void roundToNearest(int block, float[] values, int at, int count) {
        // in torchao 0 / 0 has the code 0
        float divisor = format.rule() == Rule.PEFT ? Math.max(divisors[block], Float.MIN_VALUE) : divisors[block];
        for (int i = at; i < at + count; i++) {
            int code = nearest(values[i] / divisor);
            values[i] = Float.isNaN(values[i]) ? Float.NaN : value(entries[code], block);
        }
    }

    private float value(float entry, int block) {
        return entry * absMax[block];
    }

    /** Returns the number of midpoints below a number. */
    private int above(float number) {
        int code = 0;
        for (int step = entries.length / 2; step > 0; step /= 2) {
            code += midpoints[code + step - 1] < number ? step : 0;
        }
        return code;
    }

    /** Returns the first of the nearest entries; 0 if the number is NaN. */
    private int nearest(float number) {
        int best = 0;
        for (int i = 1; i < entries.length; i++) {
            best = Math.abs(number - entries[i]) < Math.abs(number - entries[best]) ? i : best;
        }
        return best;
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
        int likely = above(rounded / absMax[blocks.blockOf(index)]);
        if (isValue(likely, rounded, index)) {
            return likely;
        }
        int code = 0;
        while (code < entries.length - 1 && !isValue(code, rounded, index)) {
            code++;
        }
        return code;
    }

    private boolean isValue(int code, float rounded, int index) {
        return Float.floatToIntBits(value(code, index)) == Float.floatToIntBits(rounded);
    }

    @Override
    public float value(int code, int index) {
        return value(entries[code], blocks.blockOf(index));
    }

    @Override
    public Map<String, RawTensor> parts() {
        return stored.parts(blocks);
    }
}
