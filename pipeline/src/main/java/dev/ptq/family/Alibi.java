package dev.ptq.family;

/**
 * Attention with linear biases: to the score of a key, its position times the head's slope is added. The query's
 * position would add the same to all keys, so it has no part. Source: ALiBi (ICLR 2022).
 */
public enum Alibi {
    /** Slopes of the largest power of two of heads; further heads have those of twice as many, every other one. */
    BLOOM,
    /** Slopes of the smallest power of two that covers all heads, every other one first. */
    MPT,
    /** As {@link #BLOOM}, rounded to bfloat16, as are the products; and divided as the scores are. */
    FALCON;

    /** Returns what is added to the scores of keys, {@code [heads, positions]}. */
    public float[] biases(int heads, int headDim, int[] positions) {
        double[] slopes = slopes(heads);
        float[] biases = new float[heads * positions.length];
        for (int head = 0; head < heads; head++) {
            for (int i = 0; i < positions.length; i++) {
                biases[head * positions.length + i] = this == FALCON
                        ? (float) (bfloat16(bfloat16((float) slopes[head]) * positions[i]) / Math.sqrt(headDim))
                        : (float) slopes[head] * positions[i];
            }
        }
        return biases;
    }

    private double[] slopes(int heads) {
        double[] slopes = new double[heads];
        int below = Integer.highestOneBit(heads);
        int power = this == MPT && below < heads ? 2 * below : below;
        for (int head = 0; head < heads; head++) {
            double exponent;
            if (this == MPT && power > heads) {
                // the even ones first, counted from 1, then the odd ones
                exponent = head < power / 2 ? 2.0 * (head + 1) / power : (2.0 * (head - power / 2) + 1) / power;
            } else if (head < power) {
                exponent = (head + 1.0) / power;
            } else {
                exponent = (2.0 * (head - power) + 1) / (2.0 * power);
            }
            slopes[head] = Math.pow(2, -8 * exponent);
        }
        return slopes;
    }

    /** Rounds half to even. */
    private static float bfloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        return Float.intBitsToFloat((bits + 0x7fff + (bits >>> 16 & 1)) & 0xffff0000);
    }
}
