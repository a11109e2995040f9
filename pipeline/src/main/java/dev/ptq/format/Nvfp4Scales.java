package dev.ptq.format;

import dev.ptq.format.SmallFloat.Ties;

/**
 * The arithmetic of NVFP4's scales, in float32. A block has a scale s of type E4M3, a tensor one of type float32; see
 * {@link Nvfp4Format.Rule}.
 *
 * @param largestScale the block scale of the tensor's largest magnitude
 */
record Nvfp4Scales(Nvfp4Format.Rule rule, boolean hasTensorScale, float largestScale) {
    /** The largest element. */
    static final float LARGEST = SmallFloat.E2M1.largest();

    /** E4M3's smallest number that is not subnormal. */
    private static final float LEAST_NORMAL = 0x1p-6f;

    private static final float SCALE_OF_ZEROS = 0.125f;

    boolean divides() {
        return rule == Nvfp4Format.Rule.COMPRESSED_TENSORS;
    }

    /** Returns the scale of a tensor, g or p, for its largest magnitude. */
    float ofTensor(float amax) {
        float product = LARGEST * largestScale;
        if (rule == Nvfp4Format.Rule.TORCHAO) {
            return hasTensorScale ? amax / product : 1;
        }
        float reciprocal = 1 / Math.max(amax, Float.MIN_NORMAL) * product;
        return Float.isFinite(reciprocal) ? reciprocal : 1;
    }

    /**
     * Returns the scale s of a block; NaN if its values are not numbers.
     *
     * @param tensor from {@link #ofTensor}
     * @param amax the block's largest magnitude
     * @param element that this becomes
     */
    float ofBlock(float tensor, float amax, float element) {
        if (!Float.isFinite(amax)) {
            return Float.NaN;
        }
        if (rule == Nvfp4Format.Rule.TORCHAO) {
            return e4m3(Math.max(amax / element / tensor, LEAST_NORMAL));
        }
        float scale = e4m3(tensor * (amax / element));
        return scale == 0 ? SCALE_OF_ZEROS : scale;
    }

    private static float e4m3(float value) {
        return SmallFloat.E4M3.round(value, Ties.EVEN);
    }

    /** Returns the number that elements are multiplied by. */
    float scale(float tensor, float block) {
        return divides() ? block / tensor : tensor * block;
    }

    /** Returns the number that values are multiplied by before rounding; without meaning if they are divided. */
    float factor(float tensor, float block) {
        return 1 / tensor / block;
    }

    /** Returns a value after rounding. */
    float rounded(float value, float scale, float factor) {
        return SmallFloat.E2M1.round(divides() ? value / scale : value * factor, Ties.EVEN) * scale;
    }
}
