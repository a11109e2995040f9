package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import dev.ptq.family.AttentionShape;
import dev.ptq.family.Rope;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * The division of attention's channels into heads.
 *
 * @param heads number of query heads
 * @param kvHeads number of key and value heads; each serves {@code heads / kvHeads} neighbouring query heads
 * @param rope how positions rotate pairs of a head's channels
 */
record HeadLayout(int heads, int kvHeads, int headDim, Optional<Rope> rope) {
    static HeadLayout of(AttentionShape attention) {
        return new HeadLayout(attention.heads(), attention.kvHeads(), attention.headDim(), attention.rope());
    }

    /** Number of query heads that share a key head. */
    int group() {
        return heads / kvHeads;
    }

    /** Number of rotated pairs in a head. */
    int pairs() {
        return rope.map(turned -> turned.width() / 2).orElse(0);
    }

    /** The channels of a head that come first in their pairs, then those that come second, then those of no pair. */
    int[] channelsByPair() {
        int pairs = pairs();
        boolean interleaved = rope.map(Rope::interleaved).orElse(false);
        int[] channels = IntStream.range(0, headDim).toArray();
        for (int i = 0; i < pairs; i++) {
            channels[i] = interleaved ? 2 * i : i;
            channels[pairs + i] = interleaved ? 2 * i + 1 : pairs + i;
        }
        return channels;
    }

    /** Gives both channels of a pair its factor: {@code [kvHeads, headDim - pairs]} to {@code [kvHeads, headDim]}. */
    NDArray perChannel(NDArray factors) {
        if (2 * pairs() == headDim && !rope.orElseThrow().interleaved()) {
            return factors.concat(factors, 1);
        }
        int[] factorOf = new int[headDim];
        int[] channels = channelsByPair();
        for (int i = 0; i < headDim; i++) {
            factorOf[channels[i]] = i < pairs() ? i : i - pairs();
        }
        NDArray indices = NativeFloats.indices(factors.getManager(), factorOf, headDim);
        return Torch.embedding(factors.transpose(1, 0), indices).transpose(1, 0);
    }

    /** Repeats values of key heads, {@code [kvHeads, headDim]}, for the queries: {@code [heads · headDim]}. */
    NDArray perQueryChannel(NDArray perKey) {
        return perKey.reshape(kvHeads, 1, headDim)
                .broadcast(new Shape(kvHeads, group(), headDim))
                .reshape((long) heads * headDim);
    }

    /** The mean over the query heads of each key head, channel by channel. */
    float[] meanOfGroup(float[] perQuery) {
        double[] sums = new double[kvHeads * headDim];
        for (int i = 0; i < perQuery.length; i++) {
            sums[i / headDim / group() * headDim + i % headDim] += perQuery[i];
        }
        float[] means = new float[sums.length];
        for (int i = 0; i < means.length; i++) {
            means[i] = (float) (sums[i] / group());
        }
        return means;
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
