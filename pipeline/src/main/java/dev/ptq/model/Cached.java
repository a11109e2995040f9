package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.Torch;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Keys or values as the queries see them. Mostly all queries see the same; with a cache that rounds a token later than it
 * is made, a query sees a token rounded and an earlier query sees it in full precision.
 */
final class Cached {
    private final NDArray values;
    private final @Nullable Rounded rounded;

    /** The values once they are rounded, and how many of them, from the first, a query sees so, {@code [tokens, 1]}. */
    private static final class Rounded {
        private final NDArray values;
        private final NDArray seen;

        Rounded(NDArray values, NDArray seen) {
            this.values = values;
            this.seen = seen;
        }

        /** Returns 1 where a query sees a token rounded, otherwise 0, {@code [last - first, last]}. */
        NDArray mask(NDManager manager, long first, long last) {
            return manager.arange(0f, (float) last, 1f)
                    .lt(seen.get(manager, new NDIndex("{}:{}", first, last)))
                    .toType(DataType.FLOAT32, false);
        }
    }

    private Cached(NDArray values, @Nullable Rounded rounded) {
        this.values = values;
        this.rounded = rounded;
    }

    /** Makes keys or values that all queries see alike. */
    static Cached uniform(NDArray values) {
        return new Cached(values, null);
    }

    /**
     * Makes keys or values that some queries see rounded.
     *
     * @param values in full precision
     * @param rounded likewise, rounded
     * @param seen how many tokens, from the first, each query sees rounded, {@code [tokens, 1]}
     */
    static Cached mixed(NDArray values, NDArray rounded, NDArray seen) {
        return new Cached(values, new Rounded(rounded, seen));
    }

    /** Returns whether all queries see the same. */
    boolean isUniform() {
        return rounded == null;
    }

    /** Returns the values that all queries see. */
    NDArray uniform() {
        if (rounded != null) {
            throw new IllegalStateException("not all queries see the same");
        }
        return values;
    }

    /** Returns the shape of the values. */
    Shape shape() {
        return values.getShape();
    }

    /** Changes the layout or the precision of the values, whichever a query sees. */
    Cached map(UnaryOperator<NDArray> change) {
        return new Cached(
                change.apply(values), rounded == null ? null : new Rounded(change.apply(rounded.values), rounded.seen));
    }

    /**
     * Returns the products of some queries with the keys that each of them sees.
     *
     * @param queries {@code [n, group · (last - first), headDim]}, those from {@code first} to before {@code last}; these
     *     are keys, {@code [n, headDim, last]}
     * @return {@code [n, group · (last - first), last]}
     */
    NDArray products(NDArray queries, long first, long last) {
        NDArray products = queries.matMul(values);
        if (rounded == null) {
            return products;
        }
        Shape rows = new Shape(-1, last - first, last);
        NDArray ofRounded = queries.matMul(rounded.values);
        return Torch.where(
                        rounded.mask(products.getManager(), first, last),
                        ofRounded.reshape(rows),
                        products.reshape(rows))
                .reshape(products.getShape());
    }

    /**
     * Returns the mixtures of the values that some queries see.
     *
     * @param probabilities {@code [n, group · (last - first), last]}, of the queries from {@code first} to before {@code
     *     last}; these are values, {@code [n, last, headDim]}
     * @return {@code [n, group · (last - first), headDim]}
     */
    NDArray mixtures(NDArray probabilities, long first, long last) {
        if (rounded == null) {
            return probabilities.matMul(values);
        }
        Shape shape = probabilities.getShape();
        NDArray each = probabilities.reshape(-1, last - first, last);
        NDArray ofRounded = each.mul(rounded.mask(each.getManager(), first, last));
        // a probability or zero, without a rounding error
        NDArray ofOthers = each.sub(ofRounded);
        return ofRounded
                .reshape(shape)
                .matMul(rounded.values)
                .add(ofOthers.reshape(shape).matMul(values));
    }
}
