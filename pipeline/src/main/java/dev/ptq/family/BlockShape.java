package dev.ptq.family;

import java.util.stream.Stream;

/**
 * A decoder block: attention and MLP on the residual stream.
 *
 * @param parallel whether both read the block's input; else the MLP reads what attention has added to
 * @param branchMultiplier of the outputs of both, before they are added
 */
public record BlockShape(
        AttentionShape attention,
        BranchNorms attentionNorms,
        FeedForward mlp,
        BranchNorms mlpNorms,
        boolean parallel,
        double branchMultiplier) {
    /** Returns whether its norms have biases besides their weights. */
    public boolean hasNormBias() {
        return Stream.concat(attentionNorms.all(), mlpNorms.all()).anyMatch(Norm::hasBias);
    }

    /** Returns whether a norm before or after a branch has a weight. */
    public boolean hasNormWeight() {
        return Stream.concat(attentionNorms.all(), mlpNorms.all()).anyMatch(Norm::hasWeight);
    }

    /** Returns whether attention and MLP read the output of one norm. */
    public boolean sharesNorm() {
        return parallel && attentionNorms.before().equals(mlpNorms.before());
    }

    /** The same with other parts of the same widths. */
    public BlockShape with(AttentionShape newAttention, FeedForward newMlp) {
        return new BlockShape(newAttention, attentionNorms, newMlp, mlpNorms, parallel, branchMultiplier);
    }

    /** The same with plain RMSNorms in front, and biases behind those that had one. */
    BlockShape withPlainNorms() {
        return new BlockShape(
                hasBias(attentionNorms) ? attention.withBiases() : attention,
                attentionNorms.plainBefore(),
                hasBias(mlpNorms) ? mlp.map(MlpShape::withBiases) : mlp,
                mlpNorms.plainBefore(),
                parallel,
                branchMultiplier);
    }

    private static boolean hasBias(BranchNorms norms) {
        return norms.before().filter(Norm::hasBias).isPresent();
    }
}
