package dev.ptq.artifact;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/**
 * A metric of a model's quality or cost: its name, the better direction, and its unit.
 *
 * <p>A new metric of a text takes one constant here and the code in {@code evaluate} that computes it: files, tables
 * and the report iterate over these constants.
 */
public enum Metric {
    /** The exponential of the loss. */
    PERPLEXITY(Direction.LOWER, Unit.CHOICES, Basis.TOKENS),
    /** The mean negative log-likelihood of a token. */
    LOSS(Direction.LOWER, Unit.NATS, Basis.TOKENS),
    /** How far the loss moves if the weight of the first norm is changed by a millionth: see {@code perturbations}. */
    NUMERICAL_SPREAD(Direction.NEITHER, Unit.NATS, Basis.TOKENS),
    /** The perplexity of a word. */
    WORD_PERPLEXITY(Direction.LOWER, Unit.CHOICES, Basis.WORDS_AND_BYTES),
    /** The perplexity of a byte. */
    BYTE_PERPLEXITY(Direction.LOWER, Unit.CHOICES, Basis.WORDS_AND_BYTES),
    /** The binary logarithm of the perplexity of a byte. */
    BITS_PER_BYTE(Direction.LOWER, Unit.BITS, Basis.WORDS_AND_BYTES),
    /** The mean Kullback-Leibler divergence of a token's prediction from the one in full precision. */
    KL_DIVERGENCE("KL divergence", Direction.LOWER, Unit.NATS, Basis.REFERENCE),
    /** The share of tokens for which the model and full precision have the same likeliest prediction. */
    TOP1_AGREEMENT("top-1 agreement", Direction.HIGHER, Unit.SHARE, Basis.REFERENCE),

    /** The mean storage of a key or value in a cache of the tokens of a chunk. */
    KV_BITS_PER_VALUE("KV bits per value", Direction.LOWER, Unit.BITS, Basis.CACHE),

    /** The loss of one variant minus that of another. */
    LOSS_OVER(Direction.LOWER, Unit.NATS, Basis.VARIANTS),
    /** The share of RTN's added loss that a method recovers. */
    LOSS_RECOVERED(Direction.HIGHER, Unit.SHARE, Basis.VARIANTS),
    /** The share of documents that one variant has right and the other wrong. */
    FLIPS(Direction.NEITHER, Unit.SHARE, Basis.VARIANTS),

    /** The share of documents whose right choice is the likeliest. */
    ACC(Direction.HIGHER, Unit.SHARE, Basis.DOCUMENTS),
    /** The same, likelihoods divided by the characters of the choices. */
    ACC_NORM(Direction.HIGHER, Unit.SHARE, Basis.DOCUMENTS),
    /** The same, divided by their bytes. */
    ACC_BYTES(Direction.HIGHER, Unit.SHARE, Basis.DOCUMENTS),
    /** {@link #PERPLEXITY} of a task, under the name in LQER's version of the harness. */
    PPL(Direction.LOWER, Unit.CHOICES, Basis.DOCUMENTS),
    /** From the harness, only read from its files, as are the metrics below. */
    EXACT_MATCH(Direction.HIGHER, Unit.SHARE, Basis.DOCUMENTS),
    F1(Direction.HIGHER, Unit.SHARE, Basis.DOCUMENTS),
    MC1(Direction.HIGHER, Unit.SHARE, Basis.DOCUMENTS),
    MC2(Direction.HIGHER, Unit.SHARE, Basis.DOCUMENTS),

    /** The storage per weight of the linears, low-rank factors included. */
    BITS_PER_WEIGHT(Direction.NEITHER, Unit.BITS, Basis.WEIGHTS),
    /** Operations for a token times the bits of both operands, low-rank paths, attention and rotations included. */
    BOPS_PER_TOKEN("bit operations per token", Direction.NEITHER, Unit.OPERATIONS, Basis.WEIGHTS),
    /** Weights and cached keys and values that are read for a token. */
    BYTES_PER_TOKEN("bytes per token", Direction.NEITHER, Unit.BYTES, Basis.WEIGHTS),
    /** The files of weights of a packed checkpoint. */
    CHECKPOINT_BYTES("size on disk", Direction.NEITHER, Unit.BYTES, Basis.WEIGHTS),
    /** The tokens that a token sees, itself included, in the two above. */
    COST_CONTEXT("context of the costs", Direction.NEITHER, Unit.TOKENS, Basis.WEIGHTS),
    /** The mean over the linears of {@code ||W - Wq|| / ||W||}. */
    MEAN_RELATIVE_WEIGHT_ERROR(Direction.NEITHER, Unit.SHARE, Basis.WEIGHTS),
    /**
     * The distance between what a block computes in full precision before and after its channels were rescaled, the
     * largest over all blocks: the largest difference of a value as a share of the largest magnitude.
     */
    TRANSFORM_DISTANCE(Direction.NEITHER, Unit.SHARE, Basis.WEIGHTS),
    /**
     * The distance between the logits of a model in full precision before and after it was rotated, on some made-up tokens:
     * the largest difference as a share of the largest magnitude.
     */
    ROTATION_DISTANCE(Direction.NEITHER, Unit.SHARE, Basis.WEIGHTS),
    /** The largest magnitude in {@code R Rᵀ - I} of the matrices that were learned to rotate the model. */
    ROTATION_ERROR(Direction.NEITHER, Unit.SHARE, Basis.WEIGHTS);

    /** The basis that a metric is taken over. */
    public enum Basis {
        /** The tokens of a text. */
        TOKENS,
        /** The words or bytes of a text, so that tokenizers can be compared. */
        WORDS_AND_BYTES,
        /** The predictions of the model in full precision, token by token. */
        REFERENCE,
        /** The keys and values that are cached. */
        CACHE,
        /** Two or three variants of the model. */
        VARIANTS,
        /** The documents of a task. */
        DOCUMENTS,
        /** The weights of the linears. */
        WEIGHTS
    }

    private final String title;
    private final Direction direction;
    private final Unit unit;
    private final Basis basis;

    Metric(Direction direction, Unit unit, Basis basis) {
        this.title = label().replace('_', ' ');
        this.direction = direction;
        this.unit = unit;
        this.basis = basis;
    }

    Metric(String title, Direction direction, Unit unit, Basis basis) {
        this.title = title;
        this.direction = direction;
        this.unit = unit;
        this.basis = basis;
    }

    /** The name in files. */
    public final String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** The name in tables. */
    public String title() {
        return title;
    }

    /** The better direction. */
    public Direction direction() {
        return direction;
    }

    /** The unit. */
    public Unit unit() {
        return unit;
    }

    /** The basis. */
    public Basis basis() {
        return basis;
    }

    /** Returns whether evaluating a text yields this metric. */
    public boolean isOfText() {
        return switch (basis) {
            case TOKENS, WORDS_AND_BYTES, REFERENCE, CACHE -> true;
            case VARIANTS, DOCUMENTS, WEIGHTS -> false;
        };
    }

    /** Returns the metric with that name in files. */
    static Optional<Metric> labelled(String label) {
        return Arrays.stream(values())
                .filter(metric -> metric.label().equals(label))
                .findFirst();
    }
}
