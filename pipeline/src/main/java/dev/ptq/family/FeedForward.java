package dev.ptq.family;

import java.util.List;
import java.util.function.UnaryOperator;

/** What a block does after attention: an MLP, or a mixture of several. */
public sealed interface FeedForward permits MlpShape, MixtureShape {
    /** Width of the middle of the MLPs that a token passes, all together. */
    int activeWidth();

    /** All its MLPs. */
    List<MlpShape> mlps();

    /** The same with each MLP changed. */
    FeedForward map(UnaryOperator<MlpShape> change);
}
