package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import dev.ptq.format.Grid;
import dev.ptq.format.IntegerFormat;
import dev.ptq.model.LinearSpec;
import dev.ptq.tensor.NativeFloats;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;

/**
 * Rounding with a learned divisor: the code of a weight is {@code round(weight / (scale · exp(d)))}, its value {@code
 * code · scale}. The scale is learned too, as {@code initial · exp(step)}; the zero point stays. All parameters start so
 * that this is rounding to nearest. The log divisor {@code d [outFeatures, inFeatures]} is
 *
 * <ul>
 *   <li>{@code full + row}, FlexRound (ICML 2023), or
 *   <li>{@code left · right + row + column} with {@code left [outFeatures, rank]}, LRQ (NAACL 2025).
 * </ul>
 */
final class LearnedDivision implements WeightRounding {
    /** The part of the log divisor that varies within a row. */
    private sealed interface Columns {
        /** Returns the log divisor, given each row's part. */
        NDArray logDivisor(NDArray row);

        List<Parameter> parameters();
    }

    private record Full(Parameter full) implements Columns {
        @Override
        public NDArray logDivisor(NDArray row) {
            return full.tensor().add(row);
        }

        @Override
        public List<Parameter> parameters() {
            return List.of(full);
        }
    }

    private record LowRank(Parameter column, Parameter left, Parameter right) implements Columns {
        @Override
        public NDArray logDivisor(NDArray row) {
            NDArray sum = column.tensor().add(row);
            return left.tensor().matMul(right.tensor()).add(sum);
        }

        @Override
        public List<Parameter> parameters() {
            return List.of(column, left, right);
        }
    }

    private final IntegerFormat format;
    private final IntegerFormat.Scales initial;
    private final Parameter step;
    private final Parameter row;
    private final Columns columns;

    /**
     * Starts at rounding to nearest.
     *
     * @param manager that owns the parameters
     * @param rank of the log divisor; 0 for a full one
     * @param seed of the factor that does not start at zero
     */
    LearnedDivision(
            NDManager manager,
            LinearSpec linear,
            NDArray weight,
            IntegerFormat format,
            int rank,
            double rate,
            long seed) {
        this.format = format;
        initial = format.scales(weight);
        initial.scale().attach(manager);
        initial.zeroPoint().attach(manager);
        int out = linear.outFeatures();
        int in = linear.inFeatures();
        String name = linear.path();
        step = new Parameter(name + ".step", manager.zeros(initial.scale().getShape()), rate);
        row = new Parameter(name + ".row", manager.zeros(new Shape(out, 1)), rate);
        columns = rank == 0
                ? new Full(new Parameter(name + ".full", manager.zeros(new Shape(out, in)), rate))
                : new LowRank(
                        new Parameter(name + ".column", manager.zeros(new Shape(1, in)), rate),
                        new Parameter(name + ".left", manager.zeros(new Shape(out, rank)), rate),
                        // one factor must not start at zero, or neither gets a gradient
                        new Parameter(name + ".right", uniform(manager, rank, in, seed), rate));
    }

    /** Uniform in {@code ±1/√columns}, the usual start of a linear layer's weight. */
    private static NDArray uniform(NDManager manager, int rows, int columns, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[rows * columns];
        double bound = 1 / Math.sqrt(columns);
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (bound * (2 * random.nextDouble() - 1));
        }
        return NativeFloats.of(manager, values, rows, columns);
    }

    @Override
    public NDArray round(NDArray weight) {
        NDArray scale = scale();
        return format.divided(
                weight,
                scale,
                initial.zeroPoint(),
                divisor(scale, weight.getShape().get(1)));
    }

    @Override
    public Optional<Grid> grid(NDArray weight) {
        try (NDScope scope = new NDScope()) {
            scope.suppressNotUsedWarning();
            NDArray scale = scale();
            NDArray divisor = divisor(scale, weight.getShape().get(1));
            return Optional.of(format.dividedGrid(weight, scale, initial.zeroPoint(), divisor));
        }
    }

    private NDArray scale() {
        return step.tensor().exp().mul(initial.scale());
    }

    private NDArray divisor(NDArray scale, long inFeatures) {
        return columns.logDivisor(row.tensor()).exp().mul(perColumn(scale, inFeatures));
    }

    /**
     * Repeats a scale per group, {@code [outFeatures, groups]}, over the columns of each group, if there are several.
     */
    private NDArray perColumn(NDArray scale, long columns) {
        long groups = scale.getShape().get(1);
        if (groups == 1) {
            return scale;
        }
        long rows = scale.getShape().get(0);
        return scale.reshape(rows, groups, 1)
                .broadcast(new Shape(rows, groups, format.groupSize()))
                .reshape(rows, groups * format.groupSize())
                .get(new NDIndex(":, :{}", columns));
    }

    @Override
    public List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>(List.of(step, row));
        all.addAll(columns.parameters());
        return all;
    }
}
