package dev.ptq.stage;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.Statistic;
import dev.ptq.model.Block;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.LossGradients;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Parallel;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Gathers the scores of the linears of a block, for every candidate, from what the loss depends on. */
final class BlockScores implements LossGradients.Visitor {
    private final NDManager owner;
    private final List<RoundedBlock> candidates;
    private final Map<String, OfLinear> linears = new LinkedHashMap<>();

    /** What is known of a linear so far. */
    private static final class OfLinear {
        private final LinearSpec spec;
        /** {@code W - Wq} by each candidate. */
        private final List<NDArray> errors = new ArrayList<>();
        /** The gradient of the sum of the losses of all tokens. */
        private final NDArray gradient;
        /** Over tokens, by each candidate. */
        private final double[] squares;

        OfLinear(NDManager owner, Linear linear, List<RoundedBlock> candidates) {
            spec = linear.spec();
            gradient = owner.zeros(linear.weight().getShape());
            squares = new double[candidates.size()];
            for (RoundedBlock candidate : candidates) {
                try (NDArray rounded = candidate.weight(spec)) {
                    NDArray error = linear.weight().sub(rounded);
                    error.attach(owner);
                    errors.add(error);
                }
            }
        }
    }

    /**
     * Starts with nothing seen.
     *
     * @param owner of all tensors
     * @param block in full precision
     * @param candidates the same block as each makes it; their weights are taken over
     */
    BlockScores(NDManager owner, Block block, List<RoundedBlock> candidates) {
        this.owner = owner;
        this.candidates = candidates;
        for (Linear linear : block.linears()) {
            linears.put(linear.spec().path(), new OfLinear(owner, linear, candidates));
        }
    }

    @Override
    public void visit(LinearSpec spec, LossGradients.OfLinear found) throws IOException {
        OfLinear linear = Objects.requireNonNull(linears.get(spec.path()), spec.path());
        NDArray input = found.input();
        NDArray gradient = found.gradient();
        try (NDArray turned = gradient.transpose(1, 0);
                NDArray product = turned.matMul(input)) {
            linear.gradient.addi(product);
        }
        Parallel.forEachOfTensors(linear.errors.size(), Parallel.THREADS, candidate -> {
            try (NDManager scratch = owner.newSubManager()) {
                NDArray moved = input.matMul(linear.errors.get(candidate).transpose(1, 0));
                moved.attach(scratch);
                NDArray changes = moved.muli(gradient).sum(new int[] {1});
                changes.attach(scratch);
                linear.squares[candidate] += NativeFloats.sumOfSquares(changes);
            }
        });
    }

    /**
     * Returns the scores of all linears by all candidates.
     *
     * @param tokens whose losses there are, of all sequences
     * @throws IOException naming a linear with a score that is NaN or infinite
     */
    List<WeightScores> scores(ActivationStatistics statistics, long tokens) throws IOException {
        List<WeightScores> all = new ArrayList<>();
        for (OfLinear linear : linears.values()) {
            for (int i = 0; i < candidates.size(); i++) {
                WeightScores scores = scores(linear, i, statistics, tokens);
                if (!scores.isFinite()) {
                    throw new IOException(linear.spec.module()
                            + ": a score is NaN or infinite; look at the weight, and at its format in choice " + i
                            + " (counted from 0)");
                }
                all.add(scores);
            }
        }
        return all;
    }

    private WeightScores scores(OfLinear linear, int candidate, ActivationStatistics statistics, long tokens) {
        LinearSpec spec = linear.spec;
        NDArray error = linear.errors.get(candidate);
        RoundedBlock rounded = candidates.get(candidate);
        try (NDManager scratch = owner.newSubManager()) {
            NDArray moments =
                    NativeFloats.of(scratch, statistics.of(spec, Statistic.SECOND_MOMENT), 1, spec.inFeatures());
            NDArray weighted = error.mul(moments.sqrt());
            weighted.attach(scratch);
            NDArray changes = error.mul(linear.gradient);
            changes.attach(scratch);
            return new WeightScores(
                    spec.module(),
                    candidate,
                    rounded.bits(spec) / spec.size(),
                    rounded.cost(spec).bitOperations(),
                    rounded.cost(spec).bytes(),
                    NativeFloats.sumOfSquares(error),
                    NativeFloats.sumOfSquares(weighted),
                    NativeFloats.sumOfMagnitudes(changes) / tokens,
                    linear.squares[candidate] / tokens / 2);
        }
    }
}
