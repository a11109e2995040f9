package dev.ptq.family;

import dev.ptq.family.AttentionShape.HeadNorms;
import dev.ptq.family.AttentionShape.Order;
import dev.ptq.family.AttentionShape.Scores;
import dev.ptq.family.ModelConfig.Embedding;
import dev.ptq.family.ModelConfig.Names;
import dev.ptq.family.ModelConfig.Output;
import dev.ptq.family.ModelConfig.PositionTable;
import dev.ptq.family.ModelConfig.Positions;
import dev.ptq.family.ModelConfig.Vocabulary;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Parts of a model as a family puts them together. A family starts from the parts of one like it and replaces those
 * that differ.
 */
final class Parts {
    private final Sizes sizes;
    private final Heads heads;
    private int width;
    private boolean tied;
    private Names names = new Names("model.", "model.layers.");

    private String table = "model.embed_tokens.weight";
    private double embeddingMultiplier = 1;
    private Optional<Norm> embeddingNorm = Optional.empty();
    private Optional<PositionTable> learnedPositions = Optional.empty();
    private Optional<String> projectIn = Optional.empty();

    private List<Projection> inputs = List.of();
    private Order order = Order.SEPARATE;
    private @Nullable Projection attentionOutput;
    private Optional<HeadNorms> headNorms = Optional.empty();
    private OptionalDouble clip = OptionalDouble.empty();
    private IntFunction<Optional<Rope>> rope = block -> Optional.empty();
    private Optional<Alibi> alibi = Optional.empty();
    private IntFunction<OptionalInt> window = block -> OptionalInt.empty();
    private Scores scores;
    private @Nullable IntFunction<FeedForward> mlp;
    private @Nullable BranchNorms attentionNorms;
    private @Nullable BranchNorms mlpNorms;
    private boolean parallel;
    private double branchMultiplier = 1;

    private Optional<Norm> lastNorm = Optional.empty();
    private Optional<String> projectOut = Optional.empty();
    private String head = "lm_head";
    private boolean headBias;
    private double logitMultiplier = 1;
    private OptionalDouble logitSoftcap = OptionalDouble.empty();

    /** Numbers that every model has. */
    record Sizes(int hidden, int blocks, int vocabulary, int positions) {}

    /** The heads of attention. */
    record Heads(int count, int keys, int dim) {}

    Parts(Sizes sizes, Heads heads) {
        this.sizes = sizes;
        this.heads = heads;
        width = sizes.hidden();
        scores = new Scores(Math.sqrt(heads.dim()), false, OptionalDouble.empty());
    }

    Sizes sizes() {
        return sizes;
    }

    Heads heads() {
        return heads;
    }

    Parts tied(boolean isTied) {
        tied = isTied;
        return this;
    }

    Parts names(String base, String blocks) {
        names = new Names(base, blocks);
        return this;
    }

    Parts embedding(String tensor) {
        table = tensor;
        return this;
    }

    Parts embeddingMultiplier(double factor) {
        embeddingMultiplier = factor;
        return this;
    }

    Parts embeddingNorm(Norm norm) {
        embeddingNorm = Optional.of(norm);
        return this;
    }

    /** An embedding that is narrower than the residual stream. */
    Parts narrowEmbedding(int narrow, String in, String out) {
        width = narrow;
        projectIn = Optional.of(in);
        projectOut = Optional.of(out);
        return this;
    }

    Parts learnedPositions(String tensor, int offset) {
        learnedPositions = Optional.of(new PositionTable(tensor, offset));
        return this;
    }

    Parts attention(Projection query, Projection key, Projection value, Projection output) {
        inputs = List.of(query, key, value);
        order = Order.SEPARATE;
        attentionOutput = output;
        return this;
    }

    Parts fusedAttention(Order of, Projection all, Projection output) {
        inputs = List.of(all);
        order = of;
        attentionOutput = output;
        return this;
    }

    Parts headNorms(HeadNorms norms) {
        headNorms = Optional.of(norms);
        return this;
    }

    Parts clip(OptionalDouble bound) {
        clip = bound;
        return this;
    }

    Parts rope(Rope everywhere) {
        return rope(block -> Optional.of(everywhere));
    }

    Parts rope(IntFunction<Optional<Rope>> ofBlock) {
        rope = ofBlock;
        return this;
    }

    Parts alibi(Alibi kind) {
        alibi = Optional.of(kind);
        return this;
    }

    Parts window(OptionalInt everywhere) {
        return window(block -> everywhere);
    }

    Parts window(IntFunction<OptionalInt> ofBlock) {
        window = ofBlock;
        return this;
    }

    Parts scores(double divisor, OptionalDouble softcap) {
        scores = new Scores(divisor, false, softcap);
        return this;
    }

    Parts queriesDivided() {
        scores = new Scores(scores.divisor(), true, scores.softcap());
        return this;
    }

    Parts mlp(FeedForward everywhere) {
        return mlp(block -> everywhere);
    }

    Parts mlp(IntFunction<FeedForward> ofBlock) {
        mlp = ofBlock;
        return this;
    }

    /** The norms of the branches, which follow each other. */
    Parts serial(BranchNorms ofAttention, BranchNorms ofMlp) {
        attentionNorms = ofAttention;
        mlpNorms = ofMlp;
        parallel = false;
        return this;
    }

    /** The norms of the inputs of the branches, which lie side by side. */
    Parts parallel(Norm ofAttention, Norm ofMlp) {
        attentionNorms = BranchNorms.before(ofAttention);
        mlpNorms = BranchNorms.before(ofMlp);
        parallel = true;
        return this;
    }

    Parts branchMultiplier(double factor) {
        branchMultiplier = factor;
        return this;
    }

    Parts lastNorm(Norm norm) {
        lastNorm = Optional.of(norm);
        return this;
    }

    Parts head(String name, boolean hasBias) {
        head = name;
        headBias = hasBias;
        return this;
    }

    Parts logitMultiplier(double factor) {
        logitMultiplier = factor;
        return this;
    }

    Parts logitSoftcap(OptionalDouble bound) {
        logitSoftcap = bound;
        return this;
    }

    /**
     * The model of these parts.
     *
     * @param quantization of the checkpoint, if it was quantized
     */
    ModelConfig config(String family, Optional<String> quantization) {
        return new ModelConfig(
                family,
                sizes.hidden(),
                new Vocabulary(sizes.vocabulary(), width, tied),
                new Positions(sizes.positions(), learnedPositions),
                new Embedding(table, embeddingMultiplier, embeddingNorm, projectIn),
                IntStream.range(0, sizes.blocks()).mapToObj(this::block).toList(),
                new Output(lastNorm, projectOut, head, headBias, logitMultiplier, logitSoftcap),
                names,
                quantization);
    }

    private BlockShape block(int index) {
        AttentionShape attention = new AttentionShape(
                heads.count(),
                heads.keys(),
                heads.dim(),
                inputs,
                order,
                Objects.requireNonNull(attentionOutput),
                headNorms,
                clip,
                rope.apply(index),
                alibi,
                window.apply(index),
                scores,
                AttentionShape.Rotations.none());
        return new BlockShape(
                attention,
                Objects.requireNonNull(attentionNorms),
                Objects.requireNonNull(mlp).apply(index),
                Objects.requireNonNull(mlpNorms),
                parallel,
                branchMultiplier);
    }
}
