package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import dev.ptq.model.ModelConfig;

/**
 * The division of attention's channels into heads.
 *
 * @param heads number of query heads
 * @param kvHeads number of key and value heads; each serves {@code heads / kvHeads} neighbouring query heads
 * @param rotary whether positions rotate the pairs {@code (i, i + headDim / 2)} of a head's channels
 */
record HeadLayout(int heads, int kvHeads, int headDim, boolean rotary) {
    static HeadLayout of(ModelConfig config) {
        ModelConfig.AttentionShape attention = config.attention();
        return new HeadLayout(
                attention.heads(),
                attention.kvHeads(),
                attention.headDim(),
                config.positions().rope().isPresent());
    }

    /** Number of query heads that share a key head. */
    int group() {
        return heads / kvHeads;
    }

    /** Repeats values of key heads, {@code [kvHeads, headDim]}, for the queries: {@code [heads · headDim]}. */
    NDArray perQueryChannel(NDArray perKey) {
        return perKey.reshape(kvHeads, 1, headDim)
                .broadcast(new Shape(kvHeads, group(), headDim))
                .reshape((long) heads * headDim);
    }

    /** The maximum over the query heads of each key head, channel by channel. */
    float[] largestOfGroup(float[] perQuery) {
        float[] largest = new float[kvHeads * headDim];
        for (int i = 0; i < perQuery.length; i++) {
            int head = i / headDim / group();
            int at = head * headDim + i % headDim;
            largest[at] = Math.max(largest[at], perQuery[i]);
        }
        return largest;
    }
}
