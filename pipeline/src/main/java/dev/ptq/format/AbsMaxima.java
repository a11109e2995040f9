package dev.ptq.format;

import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Map;

/**
 * The largest magnitudes of all blocks of a tensor in a {@link NormalFloatFormat}, as they are stored. Doubly quantized
 * ones are codes of their distance from their mean; they may come back as zero or negative.
 */
sealed interface AbsMaxima {
    /** Returns the largest magnitude of each block, as decoded. */
    float[] values();

    /** Returns what is stored. */
    Map<String, RawTensor> parts(LineBlocks blocks);

    /** Returns the mean in float32, summed in double precision. */
    static float mean(float[] absMax) {
        double sum = 0;
        for (float one : absMax) {
            sum += one;
        }
        return absMax.length == 0 ? 0 : (float) (sum / absMax.length);
    }

    /** Reads what {@link #parts} gave. */
    static AbsMaxima read(NormalFloatFormat format, LineBlocks blocks, Parts parts) throws IOException {
        int count = blocks.count();
        if (!format.isDouble()) {
            return new Plain(floats(parts, Plain.ABS_MAX, count, blocks.lines(), blocks.blocksInLine()));
        }
        byte[] codes = new byte[count];
        ByteBuffer stored = parts.require(Dynamic.CODES, StoredType.U8, blocks.lines(), blocks.blocksInLine());
        stored.get(0, codes);
        int across = LineBlocks.across(count, format.doubleBlockSize());
        boolean isStepped = format.rule() == NormalFloatFormat.Rule.TORCHAO;
        float[] scales = floats(parts, isStepped ? Stepped.FACTOR : Dynamic.SCALE, across, across);
        float mean = floats(parts, Dynamic.MEAN, 1, 1)[0];
        return isStepped
                ? new Stepped(codes, format.doubleBlockSize(), scales, mean)
                : new Dynamic(codes, format.doubleBlockSize(), scales, mean);
    }

    private static float[] floats(Parts parts, String name, int count, long... shape) throws IOException {
        float[] values = new float[count];
        parts.require(name, StoredType.F32, shape).asFloatBuffer().get(values);
        return values;
    }

    /** In float32. */
    final class Plain implements AbsMaxima {
        static final String ABS_MAX = "absmax";

        private final float[] values;

        Plain(float[] values) {
            this.values = values;
        }

        @Override
        public float[] values() {
            return values.clone();
        }

        @Override
        public Map<String, RawTensor> parts(LineBlocks blocks) {
            return Map.of(ABS_MAX, RawTensor.of(values, blocks.lines(), blocks.blocksInLine()));
        }
    }

    /**
     * The double quantization of bitsandbytes: the distance from the mean, relative to the largest of {@code size}
     * blocks, as an entry of {@link DynamicTable}.
     */
    final class Dynamic implements AbsMaxima {
        static final String CODES = "absmax_code";
        static final String SCALE = "absmax_scale";
        static final String MEAN = "absmax_mean";

        private final byte[] codes;
        private final int size;
        private final float[] scales;
        private final float mean;

        Dynamic(byte[] codes, int size, float[] scales, float mean) {
            this.codes = codes;
            this.size = size;
            this.scales = scales;
            this.mean = mean;
        }

        static Dynamic of(float[] absMax, int size, float mean) {
            float[] distances = distances(absMax, mean);
            float[] scales = LineBlocks.absMax(distances, size);
            byte[] codes = new byte[absMax.length];
            for (int i = 0; i < codes.length; i++) {
                float scale = scales[i / size];
                codes[i] = scale == 0 ? 0 : (byte) DynamicTable.code(distances[i] * (1 / scale));
            }
            return new Dynamic(codes, size, scales, mean);
        }

        @Override
        public float[] values() {
            float[] values = new float[codes.length];
            for (int i = 0; i < values.length; i++) {
                values[i] = DynamicTable.value(codes[i] & 0xff) * scales[i / size] + mean;
            }
            return values;
        }

        @Override
        public Map<String, RawTensor> parts(LineBlocks blocks) {
            return doubleParts(codes, SCALE, scales, mean, blocks);
        }
    }

    /** The double quantization of torchao: the distance from the mean as a number of steps, an 8-bit integer. */
    final class Stepped implements AbsMaxima {
        static final String FACTOR = "absmax_factor";

        private final byte[] codes;
        private final int size;
        /** Steps to a unit. */
        private final float[] factors;

        private final float mean;

        Stepped(byte[] codes, int size, float[] factors, float mean) {
            this.codes = codes;
            this.size = size;
            this.factors = factors;
            this.mean = mean;
        }

        static Stepped of(float[] absMax, int size, float mean) {
            float[] distances = distances(absMax, mean);
            float[] factors = LineBlocks.absMax(distances, size);
            for (int i = 0; i < factors.length; i++) {
                factors[i] = 256 / (2 * factors[i]);
            }
            byte[] codes = new byte[absMax.length];
            for (int i = 0; i < codes.length; i++) {
                float code = (float) Math.rint(distances[i] * factors[i / size]);
                // the largest distance is 128 steps; NaN becomes 0
                codes[i] = (byte) Math.min(Math.max(code, Byte.MIN_VALUE), Byte.MAX_VALUE);
            }
            return new Stepped(codes, size, factors, mean);
        }

        @Override
        public float[] values() {
            float[] values = new float[codes.length];
            for (int i = 0; i < values.length; i++) {
                values[i] = codes[i] / factors[i / size] + mean;
            }
            return values;
        }

        @Override
        public Map<String, RawTensor> parts(LineBlocks blocks) {
            return doubleParts(codes, FACTOR, factors, mean, blocks);
        }
    }

    private static float[] distances(float[] absMax, float mean) {
        float[] distances = absMax.clone();
        for (int i = 0; i < distances.length; i++) {
            distances[i] -= mean;
        }
        return distances;
    }

    private static Map<String, RawTensor> doubleParts(
            byte[] codes, String name, float[] scales, float mean, LineBlocks blocks) {
        return Map.of(
                Dynamic.CODES,
                RawTensor.of(codes, blocks.lines(), blocks.blocksInLine()),
                name,
                RawTensor.of(scales, scales.length),
                Dynamic.MEAN,
                RawTensor.of(new float[] {mean}, 1));
    }
}
