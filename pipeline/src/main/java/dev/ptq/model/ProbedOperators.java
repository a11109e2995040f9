package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** Differentiable operators that add zeros to the output of every linear: their gradient is that of the output. */
final class ProbedOperators extends DifferentiableOperators {
    private final List<Probe> probes = new ArrayList<>();

    /**
     * A product that was computed.
     *
     * @param weight of the linear
     * @param input {@code [..., inFeatures]}
     * @param zeros what was added to its output, {@code [..., outFeatures]}
     */
    record Probe(NDArray weight, NDArray input, NDArray zeros) {}

    ProbedOperators() {
        super(UnaryOperator.identity());
    }

    /** The products, in the order of computation. */
    List<Probe> probes() {
        return probes;
    }

    @Override
    NDArray linear(NDArray x, NDArray weight, @Nullable NDArray bias) {
        NDArray output = super.linear(x, weight, bias);
        NDArray zeros = x.getManager().zeros(output.getShape());
        zeros.setRequiresGradient(true);
        probes.add(new Probe(weight, x, zeros));
        return output.add(zeros);
    }
}
