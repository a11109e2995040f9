package dev.ptq.model;

import dev.ptq.family.AttentionShape;
import dev.ptq.family.BlockShape;
import dev.ptq.family.MixtureShape;
import dev.ptq.family.MlpShape;
import dev.ptq.family.ModelConfig;
import dev.ptq.format.CacheFormat;
import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.tensor.Hadamard;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * What a part of a model costs for each token that it generates, one sequence at a time.
 *
 * <p>Bit operations are multiplications and additions, each counted as the bits of one operand times those of the other; an
 * operand that is not rounded counts 16 bits. Bytes are what is read: weights as they are stored, with scales and factors,
 * and the cache of keys and values. Of the experts of a mixture a token passes some: each counts as often as all others.
 * What no setting rounds, such as embeddings, norms, routers and the head, counts in neither.
 *
 * @param bitOperations multiplications and additions times bits times bits
 * @param bytes that are read
 */
public record TokenCost(double bitOperations, double bytes) {
    private static final int FLOAT_BITS = new NoFormat().bits();

    /** No cost. */
    public static TokenCost none() {
        return new TokenCost(0, 0);
    }

    /** The cost of both. */
    public TokenCost plus(TokenCost other) {
        return new TokenCost(bitOperations + other.bitOperations, bytes + other.bytes);
    }

    private TokenCost times(double share) {
        return new TokenCost(bitOperations * share, bytes * share);
    }

    /**
     * The cost of a linear and the path beside it.
     *
     * @param block the shape of its block
     * @param input the format of its input
     */
    public static TokenCost of(
            LinearSpec linear, BlockShape block, WeightStorage weight, NumberFormat input, Optional<LowRank> path) {
        double operations = (double) linear.size() * weight.valueBits() * input.bits()
                + path.map(beside -> beside.bitOperations(input)).orElse(0.0);
        double bits = weight.bits() + path.map(LowRank::bits).orElse(0.0);
        double share = linear.hookPoint().isRouted() ? activeShare(block) : 1;
        return new TokenCost(operations, bits / Byte.SIZE).times(share);
    }

    /** The share of tokens that an expert sees, if all see equally many. */
    private static double activeShare(BlockShape block) {
        return block.mlp() instanceof MixtureShape mixture
                ? (double) mixture.perToken() / mixture.experts().size()
                : 1;
    }

    /**
     * The cost of a block besides its linears: both products of attention and its cache, and rotations of activations.
     *
     * @param context tokens that a token sees, itself included; where a block looks back less far, as far as it does
     */
    public static TokenCost besideLinears(ModelConfig model, int block, ModelFormats formats, int context) {
        BlockShape shape = model.block(block);
        AttentionShape attention = shape.attention();
        int tokens = Math.min(context, attention.window().orElse(context));
        return ofAttention(attention, formats.attention(block), tokens)
                .plus(new TokenCost(ofRotations(attention) + ofRotations(shape), 0));
    }

    private static TokenCost ofAttention(AttentionShape attention, AttentionFormats formats, int tokens) {
        CacheFormat keys = formats.kv().map(KvFormats::key).orElseGet(CacheFormat::none);
        CacheFormat values = formats.kv().map(KvFormats::value).orElseGet(CacheFormat::none);
        int window = formats.kv().map(KvFormats::window).orElse(0);
        double keyBits = formats.kv().isPresent()
                ? keys.bits(tokens, window)
                : formats.key().bits();
        double valueBits = formats.kv().isPresent()
                ? values.bits(tokens, window)
                : formats.value().bits();
        double operations = (double) attention.queryWidth()
                * tokens
                * (formats.query().bits() * keyBits + formats.probability().bits() * valueBits);
        double bits = keys.storageBits(attention.kvHeads(), attention.headDim(), tokens, window)
                + values.storageBits(attention.kvHeads(), attention.headDim(), tokens, window);
        return new TokenCost(operations, bits / Byte.SIZE);
    }

    /** Of queries and keys, and across the heads of what attention has mixed. */
    private static double ofRotations(AttentionShape attention) {
        AttentionShape.Rotations rotations = attention.rotations();
        return rotation(attention.queryWidth() + attention.keyWidth(), rotations.queryKey())
                + rotation(attention.queryWidth(), rotations.heads());
    }

    private static double ofRotations(BlockShape block) {
        double operations = 0;
        if (block.mlp() instanceof MixtureShape mixture) {
            for (MlpShape expert : mixture.experts()) {
                operations += rotation(expert.width(), expert.rotation()) * activeShare(block);
            }
            operations += mixture.shared()
                    .map(shared ->
                            rotation(shared.expert().width(), shared.expert().rotation()))
                    .orElse(0.0);
        } else {
            for (MlpShape mlp : block.mlp().mlps()) {
                operations += rotation(mlp.width(), mlp.rotation());
            }
        }
        return operations;
    }

    /** Values before they are rounded are added, with a sign of one bit. */
    private static double rotation(int width, OptionalInt order) {
        return order.isEmpty()
                ? 0
                : (double) width
                        * FLOAT_BITS
                        * Hadamard.of(order.getAsInt()).orElseThrow().additionsPerValue();
    }

    /**
     * The cost of matrices that run in a block in full precision.
     *
     * @param values number of their entries
     */
    public static TokenCost ofMatrices(long values) {
        return new TokenCost((double) values * FLOAT_BITS * FLOAT_BITS, (double) values * Float.BYTES);
    }
}
