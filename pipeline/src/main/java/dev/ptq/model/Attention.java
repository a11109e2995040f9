package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import dev.ptq.family.AttentionShape;
import dev.ptq.format.Operand;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.LongStream;

/** Causal attention over given queries, keys and values, with both products quantized. */
final class Attention {
    /**
     * Number of attention scores held at a time: they grow with the square of the length, and half a dozen passes over
     * them are faster in the processor's cache.
     */
    private static final long SCORES = 1L << 19;

    /** Queries at a time, where the format allows it: the keys after them need no scores. */
    private static final int QUERIES = 64;

    private Attention() {}

    /** Splits {@code [batch, tokens, heads · headDim]} into {@code [batch, heads, tokens, headDim]}. */
    static NDArray split(NDArray projected, int heads) {
        Shape shape = projected.getShape();
        return projected
                .reshape(shape.get(0), shape.get(1), heads, shape.get(2) / heads)
                .transpose(0, 2, 1, 3);
    }

    /**
     * Additive mask, {@code [tokens, tokens]}: minus infinity at later tokens, and at those too far before.
     *
     * @param window positions that a token sees, itself included
     */
    static NDArray causalMask(NDManager manager, int tokens, int window) {
        float[] mask = new float[tokens * tokens];
        for (int row = 0; row < tokens; row++) {
            for (int column = 0; column <= row - window; column++) {
                mask[row * tokens + column] = Float.NEGATIVE_INFINITY;
            }
            for (int column = row + 1; column < tokens; column++) {
                mask[row * tokens + column] = Float.NEGATIVE_INFINITY;
            }
        }
        return NativeFloats.of(manager, mask, tokens, tokens);
    }

    /** Attends with the mask that fits the format of the probabilities. */
    static NDArray attend(
            NDArray query,
            Cached key,
            Cached value,
            AttentionShape shape,
            SequenceConstants constants,
            AttentionFormats formats) {
        boolean squares =
                formats.probability().isNone() || formats.probability().roundsSquares(QUERIES);
        NDArray mask = squares ? constants.window(shape.window()) : constants.causal(shape.window());
        return attend(query, key, value, mask, constants.bias(shape), shape.scores(), formats);
    }

    /**
     * Attends like {@link #attend} by fused operators, which hold few scores; probabilities cannot be rounded.
     */
    static NDArray fused(
            NDArray query,
            NDArray key,
            NDArray value,
            AttentionShape shape,
            SequenceConstants constants,
            AttentionFormats formats) {
        NDArray q = formats.query().fakeQuantize(query, Operand.ACTIVATION);
        NDArray k = formats.key().fakeQuantize(key, Operand.KEY);
        NDArray v = formats.value().fakeQuantize(value, Operand.VALUE);
        NDArray bias =
                constants.bias(shape).orElseGet(() -> NativeFloats.of(query.getManager(), new float[0], 1, 1, 1, 0));
        float[] bound = shape.scores().softcap().isEmpty()
                ? new float[0]
                : new float[] {(float) shape.scores().softcap().getAsDouble()};
        NDArray softcap = NativeFloats.of(query.getManager(), bound, bound.length);
        return join(Torch.branchedAttention(
                toBeDivided(q, divisor(shape.scores())),
                k,
                v,
                constants.window(shape.window()),
                constants.mask(shape.window()),
                bias,
                softcap));
    }

    /** Attends like {@link #attend} by differentiable operators; fused where nothing stands against it. */
    static NDArray differentiable(
            NDArray query,
            Cached key,
            Cached value,
            AttentionShape shape,
            SequenceConstants constants,
            AttentionFormats formats) {
        NDArray q = Operators.differentiable().rounded(formats.query(), query, Operand.ACTIVATION);
        Cached k = key.map(keys -> Operators.differentiable().rounded(formats.key(), keys, Operand.KEY));
        Cached v = value.map(values -> Operators.differentiable().rounded(formats.value(), values, Operand.VALUE));
        float scoreDivisor = divisor(shape.scores());
        boolean isUniform = key.isUniform() && value.isUniform();
        if (isUniform && formats.probability().isNone() && shape.isPlain()) {
            return join(Torch.causalAttention(toBeDivided(q, scoreDivisor), k.uniform(), v.uniform()));
        }
        long batch = query.getShape().get(0);
        long heads = query.getShape().get(1);
        long tokens = query.getShape().get(2);
        long headDim = query.getShape().get(3);
        long kvHeads = key.shape().get(1);
        long group = heads / kvHeads;
        NDArray grouped = q.reshape(batch, kvHeads, group, tokens, headDim);
        NDArray divisor = NativeFloats.scalar(query.getManager(), scoreDivisor);
        NDArray causal = constants.causal(shape.window());
        Optional<NDArray> bias = constants.bias(shape);
        NDArray mask = bias.isEmpty()
                ? causal
                : bias.get().reshape(1, kvHeads, group, 1, tokens).add(causal);
        OptionalDouble softcap = shape.scores().softcap();
        NDArray unrounded = k.isUniform() && softcap.isEmpty()
                ? Torch.attentionProbabilities(
                        grouped, k.uniform().reshape(batch, kvHeads, 1, tokens, headDim), mask, divisor)
                : capped(products(grouped, k).div(divisor), softcap).add(mask).softmax(-1);
        NDArray probabilities =
                Operators.differentiable().rounded(formats.probability(), unrounded, Operand.ACTIVATION);
        return join(mixtures(probabilities, v).reshape(batch, heads, tokens, headDim));
    }

    /** The products of queries, {@code [batch, kvHeads, group, tokens, headDim]}, with the keys that they see. */
    private static NDArray products(NDArray grouped, Cached keys) {
        Shape shape = grouped.getShape();
        long tokens = shape.get(3);
        long headDim = shape.get(4);
        if (keys.isUniform()) {
            NDArray seen = keys.uniform().reshape(shape.get(0), shape.get(1), 1, tokens, headDim);
            return grouped.matMul(seen.transpose(0, 1, 2, 4, 3));
        }
        return keys.map(each -> each.reshape(-1, tokens, headDim).transpose(0, 2, 1))
                .products(grouped.reshape(-1, shape.get(2) * tokens, headDim), 0, tokens)
                .reshape(shape.slice(0, 4).add(tokens));
    }

    /** The mixtures by probabilities, {@code [batch, kvHeads, group, tokens, tokens]}, of the values that queries see. */
    private static NDArray mixtures(NDArray probabilities, Cached values) {
        Shape shape = probabilities.getShape();
        long tokens = shape.get(3);
        long headDim = values.shape().get(3);
        return values.isUniform()
                ? probabilities.matMul(values.uniform().reshape(shape.get(0), shape.get(1), 1, tokens, headDim))
                : values.map(each -> each.reshape(-1, tokens, headDim))
                        .mixtures(probabilities.reshape(-1, shape.get(2) * tokens, tokens), 0, tokens);
    }

    private static NDArray capped(NDArray scores, OptionalDouble softcap) {
        return softcap.isPresent() ? Torch.softcap(scores, softcap.getAsDouble()) : scores;
    }

    /** Divisor of the products of queries and keys. */
    private static float divisor(AttentionShape.Scores scores) {
        return scores.onQueries() ? 1 : (float) scores.divisor();
    }

    /** Scales queries for the fused operators, which divide by {@code √headDim} whatever the score divisor. */
    private static NDArray toBeDivided(NDArray query, float scoreDivisor) {
        float divided = (float) Math.sqrt((double) query.getShape().get(3));
        return divided == scoreDivisor
                ? query
                : query.mul(NativeFloats.scalar(query.getManager(), divided / scoreDivisor));
    }

    /** Joins {@code [batch, heads, tokens, headDim]} to {@code [batch, tokens, heads · headDim]}. */
    static NDArray join(NDArray mixed) {
        Shape shape = mixed.getShape();
        return mixed.transpose(0, 2, 1, 3).reshape(shape.get(0), shape.get(2), shape.get(1) * shape.get(3));
    }

    /**
     * Attends.
     *
     * @param query {@code [batch, heads, tokens, headDim]}
     * @param key {@code [batch, kvHeads, tokens, headDim]}; each serves {@code heads / kvHeads} neighbouring queries
     * @param value likewise
     * @param mask added to the scores: where a few queries can be taken at a time, because probabilities are not rounded
     *     or in squares, as {@link Torch#window} gives it; else {@code [tokens, tokens]}
     * @param bias likewise, {@code [1, heads, 1, tokens]}
     * @param of the scores, whose divisor is divided by after the product; its inverse would do for all but the last
     *     bit, and that decides ties when probabilities are rounded
     * @return {@code [batch, tokens, heads · headDim]}
     */
    static NDArray attend(
            NDArray query,
            Cached key,
            Cached value,
            NDArray mask,
            Optional<NDArray> bias,
            AttentionShape.Scores of,
            AttentionFormats formats) {
        float scoreDivisor = divisor(of);
        long batch = query.getShape().get(0);
        long heads = query.getShape().get(1);
        long tokens = query.getShape().get(2);
        long headDim = query.getShape().get(3);
        long kvHeads = key.shape().get(1);
        long group = heads / kvHeads;
        long all = batch * kvHeads;
        NDArray q = formats.query().fakeQuantize(query, Operand.ACTIVATION).reshape(all, group, tokens, headDim);
        Cached k = key.map(keys -> formats.key()
                .fakeQuantize(keys, Operand.KEY)
                .reshape(all, tokens, headDim)
                .transpose(0, 2, 1));
        Cached v = value.map(
                values -> formats.value().fakeQuantize(values, Operand.VALUE).reshape(all, tokens, headDim));

        // columns of the mask before those of the first query
        long before = mask.getShape().get(1) - mask.getShape().get(0);
        // products of a few queries with the keys before them
        long rows = before > 0 ? Math.min(QUERIES, tokens) : tokens;
        long step = Math.max(1, Math.min(all, SCORES / (group * rows * tokens)));
        NDArray mixed = NativeFloats.create(q.getManager(), new Shape(all, group, tokens, headDim));
        for (long from = 0; from < all; from += step) {
            long to = Math.min(all, from + step);
            for (long first = 0; first < tokens; first += rows) {
                long last = Math.min(tokens, first + rows);
                try (NDManager scratch = q.getManager().newSubManager()) {
                    NDArray some = q.get(scratch, new NDIndex("{}:{},:,{}:{}", from, to, first, last))
                            .reshape(to - from, group * (last - first), headDim);
                    NDIndex seenKeys = new NDIndex("{}:{},:,:{}", from, to, last);
                    NDArray scores = k.map(keys -> keys.get(scratch, seenKeys)).products(some, first, last);
                    if (scoreDivisor != 1) {
                        scores.divi(scoreDivisor);
                    }
                    if (of.softcap().isPresent()) {
                        scores = Torch.softcap(scores, of.softcap().getAsDouble());
                    }
                    Shape perHead = new Shape((to - from) * group, last - first, last);
                    NDArray each = scores.reshape(perHead);
                    if (bias.isPresent()) {
                        NDArray own = Torch.embedding(
                                bias.get().reshape(heads, tokens), headsOf(scratch, from, to, group, kvHeads));
                        each.addi(own.get(new NDIndex(":,:{}", last)).expandDims(1));
                    }
                    each.addi(mask.get(
                            scratch, new NDIndex(":{},{}:{}", last - first, before - first, before - first + last)));
                    NDArray probabilities = scores.softmax(-1);
                    formats.probability().fakeQuantizeInPlace(probabilities.reshape(perHead), Operand.ACTIVATION);
                    NDIndex seenValues = new NDIndex("{}:{},:{}", from, to, last);
                    NDArray part =
                            v.map(values -> values.get(scratch, seenValues)).mixtures(probabilities, first, last);
                    mixed.set(
                            new NDIndex("{}:{},:,{}:{}", from, to, first, last),
                            part.reshape(to - from, group, last - first, headDim));
                }
            }
        }
        return join(mixed.reshape(batch, heads, tokens, headDim));
    }

    /** The heads of queries whose keys are from {@code from} to before {@code to}, counted over the batch. */
    private static NDArray headsOf(NDManager manager, long from, long to, long group, long kvHeads) {
        int[] heads = LongStream.range(from * group, to * group)
                .mapToInt(head -> (int) (head % (group * kvHeads)))
                .toArray();
        return NativeFloats.indices(manager, heads, heads.length);
    }
}
