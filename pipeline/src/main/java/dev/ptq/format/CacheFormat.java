package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.Torch;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * The format of the keys or the values in a cache, head by head.
 *
 * <p>Per token, the features of a token in one head are rounded together. Per channel, the values of a feature in one head
 * are rounded in groups of neighbouring tokens, from the start of the sequence, as soon as a group is full. Source: KIVI
 * (ICML 2024).
 *
 * <p>With static ranges every value is rounded by itself, as soon as it is there: with one range for all values, or with
 * one for each feature in each head. Source of the latter: KVQuant (NeurIPS 2024), keys per channel.
 *
 * @param format rounds each row of a matrix by itself: a token, or a group of a channel; with ranges of channels the
 *     heads of a token, side by side
 * @param groupSize tokens that are rounded together, per channel; 0 per token, and with static ranges
 */
public record CacheFormat(NumberFormat format, int groupSize) {
    /** Full precision is counted as half precision, in which caches hold it. */
    private static final int UNROUNDED_BITS = 16;

    public CacheFormat {
        if (groupSize < 0) {
            throw new IllegalArgumentException("group size " + groupSize);
        }
        if (format instanceof GridFormat grid && grid.settingForRows().isPresent()) {
            throw new IllegalArgumentException("a cache grows row by row, so rows are rounded apart: expected "
                    + grid.settingForRows().get() + ", got " + format);
        }
        if (format instanceof StaticFormat && groupSize != 0) {
            throw new IllegalArgumentException("groups of " + groupSize + " tokens with a static range");
        }
    }

    /** Full precision. */
    public static CacheFormat none() {
        return new CacheFormat(new NoFormat(), 0);
    }

    /** Returns whether values stay as they are. */
    public boolean isNone() {
        return format.isNone();
    }

    /** Returns the format with static ranges, if it is one. */
    public Optional<StaticFormat> ofStatic() {
        return format instanceof StaticFormat known ? Optional.of(known) : Optional.empty();
    }

    private boolean hasRangePerChannel() {
        return ofStatic().map(known -> known.format().hasRangePerFeature()).orElse(false);
    }

    /** Returns how many tokens are rounded together. */
    public int tokensTogether() {
        return Math.max(1, groupSize);
    }

    /**
     * Returns values rounded. Tokens of a group that is not full stay as they are.
     *
     * @param values {@code [batch, heads, tokens, headDim]}
     * @param rounding rounds each row of its argument to {@link #format}
     */
    public NDArray rounded(NDArray values, UnaryOperator<NDArray> rounding) {
        Shape shape = values.getShape();
        long batch = shape.get(0);
        long heads = shape.get(1);
        long tokens = shape.get(2);
        long headDim = shape.get(3);
        if (hasRangePerChannel()) {
            NDArray rows = Torch.contiguous(values.transpose(0, 2, 1, 3)).reshape(batch, tokens, heads * headDim);
            return rounding.apply(rows).reshape(batch, tokens, heads, headDim).transpose(0, 2, 1, 3);
        }
        if (groupSize == 0) {
            return rounding.apply(values);
        }
        long groups = tokens / groupSize;
        if (groups == 0) {
            return values;
        }
        NDArray full = values.get(new NDIndex(":,:,:{}", groups * groupSize));
        NDArray rows = full.reshape(batch, heads, groups, groupSize, headDim).transpose(0, 1, 2, 4, 3);
        NDArray rounded = rounding.apply(Torch.contiguous(rows)).transpose(0, 1, 2, 4, 3);
        NDArray joined = rounded.reshape(batch, heads, groups * groupSize, headDim);
        return groups * groupSize == tokens
                ? joined
                : joined.concat(values.get(new NDIndex(":,:,{}:", groups * groupSize)), 2);
    }

    /**
     * Returns the storage in bits of a cache of some tokens, including all shared values. What is not rounded takes 16 bits.
     *
     * @param window latest tokens that are not rounded
     */
    public double storageBits(int heads, int headDim, int tokens, int window) {
        long width = (long) heads * headDim;
        long rounded = roundedTokens(tokens, window);
        long groups = rounded / tokensTogether();
        double bits = (double) UNROUNDED_BITS * width * (tokens - rounded);
        if (groups == 0) {
            return bits;
        }
        Shape rows;
        if (hasRangePerChannel()) {
            rows = new Shape(rounded, width);
        } else {
            rows = groupSize == 0 ? new Shape(heads, rounded, headDim) : new Shape(width * groups, groupSize);
        }
        return bits + format.storageBits(rows, Operand.ACTIVATION);
    }

    private long roundedTokens(int tokens, int window) {
        return isNone() ? 0 : Math.max(0, tokens - window) / tokensTogether() * tokensTogether();
    }

    /**
     * Returns the mean bits of a value as it enters a product, see {@link NumberFormat#bits}.
     *
     * @param tokens in the cache
     * @param window latest tokens that are not rounded
     */
    public double bits(int tokens, int window) {
        long rounded = roundedTokens(tokens, window);
        return ((double) format.bits() * rounded + (double) UNROUNDED_BITS * (tokens - rounded)) / tokens;
    }
}
