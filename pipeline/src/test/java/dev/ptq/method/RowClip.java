package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.calibrate.Statistic;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.family.ModelConfig;
import dev.ptq.format.Grid;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.QuantizationSettings;
import java.io.IOException;
import java.util.Set;

/**
 * Clips the rows of each weight to a share of their largest magnitude before they are rounded. The share is the one, of
 * {@code 1, 1 - 1/steps, …}, with the least squared error of the output on the calibration text.
 *
 * @param steps how finely shares are tried
 * @param smallest share that is tried
 */
record RowClip(int steps, double smallest) implements Method {
    private static final Key<Integer> STEPS =
            Key.integer("steps").from(1).to(1000).preset(20).says("how finely shares are tried");
    private static final Key<Double> SMALLEST =
            Key.decimal("smallest").from(0.1).to(1.0).preset(0.5).says("the smallest share that is tried");

    /** The keys of a step. */
    static final Keys KEYS = Keys.of(STEPS, SMALLEST);

    static RowClip read(ConfigTable table) {
        return new RowClip(table.read(STEPS), table.read(SMALLEST));
    }

    @Override
    public String name() {
        return "row_clip";
    }

    @Override
    public Phase phase() {
        return Phase.ROUND;
    }

    @Override
    public Needs needs() {
        return Needs.of(Set.of(Statistic.HESSIAN));
    }

    @Override
    public void check(ModelConfig shape, QuantizationSettings quantization, ConfigTable table) {
        if (quantization.weightsOnly().isNone()) {
            table.problem("method", "row_clip rounds weights, and none has a format: add one to [quantization.weight]");
        }
    }

    @Override
    public void apply(BlockContext context) throws IOException {
        for (Linear linear : context.block().linears()) {
            NumberFormat format = context.formats().of(linear.spec()).weight();
            if (!format.isNone() && context.isWorkedOn(linear.spec())) {
                round(context, linear, format);
            }
        }
    }

    private void round(BlockContext context, Linear linear, NumberFormat format) throws IOException {
        long start = System.nanoTime();
        LinearSpec spec = linear.spec();
        // arrays are attached to the manager of what they are computed from, and freed with it
        try (NDManager scratch = context.block().manager().newSubManager()) {
            NDArray weight = linear.weight().duplicate();
            weight.attach(scratch);
            NDArray hessian = context.statistics(this, spec).matrix(scratch, spec, Statistic.HESSIAN);
            NDArray largest = weight.abs().max(new int[] {1}, true); // [outFeatures, 1]
            double nearestLoss = Double.NaN;
            double least = Double.POSITIVE_INFINITY;
            Grid best = null;
            for (int step = 0; 1 - (double) step / steps >= smallest; step++) {
                NDArray limit = largest.mul(1 - (double) step / steps);
                Grid grid = format.fit(weight.minimum(limit).maximum(limit.neg()), Operand.WEIGHT)
                        .orElseThrow(() -> new IOException(spec.weightName() + ": its format has no codes"));
                double loss = GptqSolver.loss(weight.sub(grid.values(scratch)), hessian);
                if (step == 0) {
                    nearestLoss = loss;
                }
                if (loss < least) {
                    least = loss;
                    best = grid;
                }
            }
            if (best == null) {
                throw new IOException(spec.weightName() + ": the error of its output is not a number");
            }
            context.round(linear, best);
            context.report(new BlockContext.RoundingReport(
                    name(), spec, nearestLoss, least, 0, 0, (System.nanoTime() - start) / 1e9));
        }
    }
}
