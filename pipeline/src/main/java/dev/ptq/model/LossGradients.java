package dev.ptq.model;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.GradientCollector;
import java.io.IOException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How the loss of a model in full precision depends on what its linears compute: one sequence and one block at a time, from
 * the last to the first, so that memory holds one block.
 */
public final class LossGradients implements AutoCloseable {
    private final LanguageModel model;
    private final LossHead head;
    private final Map<Integer, SequenceConstants> constants = new HashMap<>();

    /**
     * The inputs and the outputs' gradients of a linear, token by token.
     *
     * @param input {@code [tokens, inFeatures]}, float32
     * @param gradient of the loss by the output, {@code [tokens, outFeatures]}, float32
     */
    public record OfLinear(NDArray input, NDArray gradient) {}

    /** What is done with the linears of a block; their tensors live until it returns. */
    public interface Visitor {
        /**
         * Takes a linear that computed anything for the sequence.
         *
         * @param linear of the block
         */
        void visit(LinearSpec linear, OfLinear found) throws IOException;
    }

    /** Differentiates a model, which stays open. */
    public LossGradients(LanguageModel model) {
        this.model = model;
        this.head = new LossHead(model);
    }

    /** Memory that logits take, with their probabilities and gradients. */
    public static long logitBytes() {
        return LossHead.logitBytes();
    }

    /**
     * Returns the gradient of a sequence's loss, the sum over all tokens but the first, by what the last block left.
     *
     * @param owner of the gradient
     * @param stream {@code [1, tokens, hiddenSize]}, of the sequence without its last token
     * @param sequence of token ids
     */
    public NDArray ofStream(NDManager owner, NDArray stream, int[] sequence) throws IOException {
        int[] targets = Arrays.copyOfRange(sequence, 1, sequence.length);
        NDArray mean = head.of(owner, stream, targets, LossHead.Start.PLAIN).gradient();
        return mean.muli(targets.length);
    }

    /**
     * Returns the gradient by what enters a block.
     *
     * @param owner of that
     * @param input of the block, {@code [1, tokens, hiddenSize]}; stays as it is
     * @param gradient by its output, of the same shape
     */
    public NDArray ofBlock(NDManager owner, Block block, NDArray input, NDArray gradient, Visitor visitor)
            throws IOException {
        ProbedOperators operators = new ProbedOperators();
        try (NDManager scratch = owner.newSubManager()) {
            NDArray own = input.duplicate();
            own.attach(scratch);
            block.tensors().values().forEach(tensor -> tensor.tempAttach(scratch));
            gradient.tempAttach(scratch);
            try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
                own.setRequiresGradient(true);
                SequenceConstants shared = constants.computeIfAbsent(
                        (int) input.getShape().get(1), length -> new SequenceConstants(model.manager(), length));
                NDArray output = model.decoder()
                        .forward(new ForwardPass(block, shared, ActivationObserver.NONE, operators), own);
                collector.backward(output.mul(gradient).sum());
            }
            visit(scratch, block, operators.probes(), visitor);
            NDArray found = own.getGradient().duplicate();
            found.attach(owner);
            return found;
        }
    }

    private static void visit(NDManager scratch, Block block, List<ProbedOperators.Probe> probes, Visitor visitor)
            throws IOException {
        IdentityHashMap<NDArray, LinearSpec> known = new IdentityHashMap<>();
        block.linears().forEach(linear -> known.put(linear.weight(), linear.spec()));
        for (ProbedOperators.Probe probe : probes) {
            Optional<LinearSpec> linear = Optional.ofNullable(known.get(probe.weight()));
            if (linear.isPresent() && probe.input().size() > 0) {
                try (NDManager rows = scratch.newSubManager()) {
                    NDArray input = probe.input().stopGradient();
                    NDArray gradient = probe.zeros().getGradient();
                    input.attach(rows);
                    gradient.attach(rows);
                    visitor.visit(
                            linear.get(),
                            new OfLinear(
                                    input.reshape(-1, linear.get().inFeatures()),
                                    gradient.reshape(-1, linear.get().outFeatures())));
                }
            }
        }
    }

    @Override
    public void close() {
        constants.values().forEach(SequenceConstants::close);
    }
}
