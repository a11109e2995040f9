package dev.ptq.family;

import java.util.Optional;
import java.util.stream.Stream;

/**
 * The norms of attention or MLP.
 *
 * @param before of its input
 * @param after of its output, before that is added to the residual stream
 * @param afterSum of the residual stream, after the output was added
 */
public record BranchNorms(Optional<Norm> before, Optional<Norm> after, Optional<Norm> afterSum) {
    static BranchNorms before(Norm norm) {
        return new BranchNorms(Optional.of(norm), Optional.empty(), Optional.empty());
    }

    static BranchNorms after(Norm norm) {
        return new BranchNorms(Optional.empty(), Optional.of(norm), Optional.empty());
    }

    static BranchNorms around(Norm before, Norm after) {
        return new BranchNorms(Optional.of(before), Optional.of(after), Optional.empty());
    }

    static BranchNorms afterSum(Norm norm) {
        return new BranchNorms(Optional.empty(), Optional.empty(), Optional.of(norm));
    }

    /** The same with a plain RMSNorm in front. */
    BranchNorms plainBefore() {
        return new BranchNorms(before.map(Norm::plain), after, afterSum);
    }

    /** Those that are there. */
    public Stream<Norm> all() {
        return Stream.of(before, after, afterSum).flatMap(Optional::stream);
    }
}
