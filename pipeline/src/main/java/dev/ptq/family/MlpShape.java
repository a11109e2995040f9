package dev.ptq.family;

import java.util.List;
import java.util.OptionalInt;
import java.util.function.UnaryOperator;

/**
 * The shape of an MLP: {@code output(activation(first(x)))}, or if gated {@code output(activation(gate(x)) · up(x))}.
 *
 * @param width of its middle
 * @param inputs the first linear; if gated gate and up, or one linear with the rows of both, gate first
 * @param rotation order of the Hadamard matrix that turns the input of {@code output}, part by part; absent where nothing
 *     turns it
 */
public record MlpShape(
        int width,
        Activation activation,
        boolean gated,
        List<Projection> inputs,
        Projection output,
        OptionalInt rotation)
        implements FeedForward {
    public MlpShape {
        inputs = List.copyOf(inputs);
    }

    static MlpShape gated(int width, Activation activation, Projection gate, Projection up, Projection down) {
        return new MlpShape(width, activation, true, List.of(gate, up), down, OptionalInt.empty());
    }

    static MlpShape fused(int width, Activation activation, Projection gateUp, Projection down) {
        return new MlpShape(width, activation, true, List.of(gateUp), down, OptionalInt.empty());
    }

    static MlpShape plain(int width, Activation activation, Projection first, Projection second) {
        return new MlpShape(width, activation, false, List.of(first), second, OptionalInt.empty());
    }

    /** Width of the output of each of {@link #inputs}. */
    public int inputWidth() {
        return isFused() ? 2 * width : width;
    }

    /** Returns whether gate and up are one linear. */
    public boolean isFused() {
        return gated && inputs.size() == 1;
    }

    @Override
    public int activeWidth() {
        return width;
    }

    @Override
    public List<MlpShape> mlps() {
        return List.of(this);
    }

    @Override
    public FeedForward map(UnaryOperator<MlpShape> change) {
        return change.apply(this);
    }

    /** The same with its middle turned by Hadamard matrices of an order. */
    public MlpShape rotated(int order) {
        return new MlpShape(width, activation, gated, inputs, output, OptionalInt.of(order));
    }

    /** The same with biases of its first linears. */
    MlpShape withBiases() {
        return new MlpShape(
                width,
                activation,
                gated,
                inputs.stream().map(Projection::withBias).toList(),
                output,
                rotation);
    }

    /** The same with a prefix before all paths. */
    MlpShape below(String prefix) {
        return new MlpShape(
                width,
                activation,
                gated,
                inputs.stream().map(input -> below(prefix, input)).toList(),
                below(prefix, output),
                rotation);
    }

    private static Projection below(String prefix, Projection linear) {
        return new Projection(prefix + linear.path(), linear.hasBias(), linear.turned());
    }
}
