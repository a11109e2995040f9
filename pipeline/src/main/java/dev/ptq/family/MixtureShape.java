package dev.ptq.family;

import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/**
 * A mixture of experts: every token passes the MLPs of the experts that its router finds likeliest.
 *
 * @param router path of the matrix {@code [experts, hiddenSize]} whose softmax is an expert's probability
 * @param experts the MLPs
 * @param perToken experts of each token
 * @param normalized whether the weights of a token's experts are divided by their sum
 * @param shared an MLP that all tokens pass
 */
public record MixtureShape(
        String router, List<MlpShape> experts, int perToken, boolean normalized, Optional<Shared> shared)
        implements FeedForward {
    /**
     * An expert that all tokens pass, weighted by a sigmoid.
     *
     * @param gate path of the matrix {@code [1, hiddenSize]} that the sigmoid is taken of
     */
    public record Shared(MlpShape expert, String gate) {}

    public MixtureShape {
        experts = List.copyOf(experts);
    }

    @Override
    public int activeWidth() {
        return perToken * experts.get(0).width()
                + shared.map(part -> part.expert().width()).orElse(0);
    }

    @Override
    public List<MlpShape> mlps() {
        return Stream.concat(experts.stream(), shared.map(Shared::expert).stream())
                .toList();
    }

    @Override
    public FeedForward map(UnaryOperator<MlpShape> change) {
        return new MixtureShape(
                router,
                experts.stream().map(change).toList(),
                perToken,
                normalized,
                shared.map(part -> new Shared(change.apply(part.expert()), part.gate())));
    }
}
