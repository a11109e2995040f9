package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import dev.ptq.config.Choices;
import dev.ptq.format.ColumnRounding;
import dev.ptq.format.Grid;
import dev.ptq.format.NumberFormat;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Parallel;
import dev.ptq.tensor.Torch;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * Rounds a weight column by column; the columns to come make up for each error, as far as the Hessian {@code H} of the
 * input lets them. With {@code H⁻¹ = Uᵀ U}, the error {@code e = (w_i - q_i) / U_ii} of column {@code i} changes each
 * later column {@code j} by {@code -e U_ij}. Source: GPTQ (ICLR 2023).
 *
 * @param order of columns
 * @param groups how the values that columns share are fitted
 * @param damping added to the diagonal of {@code H}, as a share of its mean
 * @param blockColumns columns whose errors reach later ones together
 * @param zeroDead whether columns without input become zero; else they are rounded plainly
 */
record GptqSolver(Order order, Groups groups, double damping, int blockColumns, boolean zeroDead) {
    /** Rows of a weight that are worked on by one thread. */
    private static final int TILE = 256;
    /** No factor is found with less than this: rounding to nearest it is. */
    private static final double MOST_DAMPING = 1;

    /** The order in which columns are rounded. */
    enum Order {
        /** From the first to the last. */
        NONE,
        /** By the mean square of their input, the largest first. */
        ACTIVATION,
        /** The same within each group of columns that share values, and groups by their largest. */
        GROUP_AWARE;

        static final Choices<Order> CHOICES = Choices.of("none", NONE, "from the first to the last")
                .and("activation", ACTIVATION, "by the mean square of their input, the largest first")
                .and(
                        "group_aware",
                        GROUP_AWARE,
                        "likewise within each group of columns that share a scale, and groups by their largest, so that"
                                + " groups stay together");
    }

    /** What the values that columns share, such as scales, are fitted to. */
    enum Groups {
        /** The columns as they are when the first of them is rounded. */
        LIVE,
        /** The columns as they were at the last multiple of {@code block_columns}. */
        BOUNDARY,
        /** The weight itself. */
        STATIC;

        static final Choices<Groups> CHOICES = Choices.of(
                        "live", LIVE, "the columns of a group as they are when its first is rounded")
                .and(
                        "boundary",
                        BOUNDARY,
                        "the columns as they were at the last multiple of `block_columns`, as in GPTQ's own code")
                .and("static", STATIC, "the weight before anything is rounded");
    }

    /**
     * The input of weights, prepared.
     *
     * <p>Its tensor belongs to the manager it was made with.
     */
    static final class Input {
        private final int[] order;
        private final boolean[] dead;
        private final double share;
        private final double added;
        private final NDArray factor;

        private Input(int[] order, boolean[] dead, double share, double added, NDArray factor) {
            this.order = order;
            this.dead = dead;
            this.share = share;
            this.added = added;
            this.factor = factor;
        }

        /** Features that are always zero. */
        int dead() {
            return (int) IntStream.range(0, dead.length).filter(i -> dead[i]).count();
        }

        /** What was added to the diagonal, as a share of its mean. */
        double share() {
            return share;
        }

        /** What was added to the diagonal. */
        double added() {
            return added;
        }
    }

    /**
     * A rounded weight.
     *
     * @param loss mean square, over tokens, of the error of an output
     */
    record Rounded(Grid grid, double loss) {}

    /**
     * Prepares an input. If the damped matrix is not positive definite, damping grows by its own amount until it is 1.
     *
     * @param hessian {@code [features, features]}, float32
     * @param groupColumns of the weights' format, see {@link ColumnRounding#groupColumns}
     * @return empty if there is no damping with which it is
     */
    Optional<Input> prepare(NDManager manager, NDArray hessian, int groupColumns) {
        int features = (int) hessian.getShape().get(0);
        float[] diagonal = new float[features];
        FloatBuffer window = NativeFloats.window(hessian);
        for (int i = 0; i < features; i++) {
            diagonal[i] = window.get(i * features + i);
        }
        boolean[] dead = new boolean[features];
        double sum = 0;
        int alive = 0;
        for (int i = 0; i < features; i++) {
            dead[i] = !(diagonal[i] > 0);
            sum += dead[i] ? 0 : diagonal[i];
            alive += dead[i] ? 0 : 1;
        }
        double mean = alive == 0 ? 1 : sum / alive;
        int[] columns = columns(diagonal, groupColumns);
        for (double share = damping; share < MOST_DAMPING; share += Math.max(damping, 0.01)) {
            try (NDManager scratch = hessian.getManager().newSubManager()) {
                NDArray damped = ordered(scratch, hessian, columns);
                FloatBuffer values = NativeFloats.writableWindow(damped);
                for (int i = 0; i < features; i++) {
                    int at = i * features + i;
                    values.put(at, (float) (dead[columns[i]] ? mean : values.get(at) + share * mean));
                }
                Optional<NDArray> factor = Torch.inverseFactor(damped);
                if (factor.isPresent()) {
                    factor.get().attach(manager);
                    return Optional.of(new Input(columns, dead, share, share * mean, factor.get()));
                }
            }
        }
        return Optional.empty();
    }

    private static NDArray ordered(NDManager scratch, NDArray hessian, int[] columns) {
        NDArray copy = hessian.duplicate();
        copy.attach(scratch);
        if (Arrays.equals(columns, ColumnRounding.asTheyAre(columns.length))) {
            return copy;
        }
        NDArray indices = NativeFloats.indices(scratch, columns, columns.length);
        // symmetric, so that rows may be taken for columns
        NDArray rows = Torch.contiguous(Torch.embedding(copy, indices).transpose(1, 0));
        return Torch.embedding(rows, indices);
    }

    private int[] columns(float[] diagonal, int groupColumns) {
        int[] columns = ColumnRounding.asTheyAre(diagonal.length);
        return switch (order) {
            case NONE -> columns;
            case ACTIVATION -> byLargest(diagonal, columns);
            case GROUP_AWARE -> byGroup(diagonal, columns, groupColumns);
        };
    }

    /** Sorts some columns; where values are equal the first comes first. */
    private static int[] byLargest(float[] diagonal, int[] columns) {
        return Arrays.stream(columns)
                .boxed()
                .sorted(Comparator.comparingDouble(column -> -diagonal[column]))
                .mapToInt(Integer::intValue)
                .toArray();
    }

    /** A last group with fewer columns stays the last. */
    private static int[] byGroup(float[] diagonal, int[] columns, int size) {
        List<int[]> groups = new ArrayList<>();
        for (int from = 0; from + size <= columns.length; from += size) {
            groups.add(byLargest(diagonal, Arrays.copyOfRange(columns, from, from + size)));
        }
        groups.sort(Comparator.comparingDouble(group -> -diagonal[group[0]]));
        groups.add(Arrays.copyOfRange(columns, columns.length / size * size, columns.length));
        return groups.stream().flatMapToInt(Arrays::stream).toArray();
    }

    /**
     * Rounds a weight.
     *
     * @param weight {@code [outFeatures, inFeatures]}, float32
     * @param format with codes
     * @param input of {@link #prepare}, for this weight's format
     */
    Rounded round(NDArray weight, NumberFormat format, Input input) throws IOException {
        try (NDManager scratch = weight.getManager().newSubManager()) {
            NDArray start = weight;
            if (zeroDead && input.dead() > 0) {
                start = weight.duplicate();
                start.attach(scratch);
                clearDead(start, input);
            }
            int rows = (int) weight.getShape().get(0);
            ColumnRounding rounding = new ColumnRounding(format, start, input.order);
            boolean isFitted = groups == Groups.STATIC || rounding.groupColumns() >= input.order.length;
            if (isFitted) {
                rounding.fitAll(start);
            }
            NDArray rounded = NativeFloats.create(scratch, weight.getShape());
            int tile = (TILE + rounding.groupRows() - 1) / rounding.groupRows() * rounding.groupRows();
            double[] losses = new double[(rows + tile - 1) / tile];
            NDArray from = start;
            Parallel.forEachOfTensors(losses.length, losses.length, i -> {
                Rows some = new Rows(from, rounded, input, rounding, i * tile, Math.min(rows, (i + 1) * tile));
                losses[i] = some.round(isFitted);
            });
            double loss = Arrays.stream(losses).sum() - dampingOf(start, rounded, input);
            return new Rounded(rounding.grid(rounded), Math.max(0, loss) / rows);
        }
    }

    private static void clearDead(NDArray weight, Input input) {
        FloatBuffer values = NativeFloats.writableWindow(weight);
        for (int i = 0; i < values.capacity(); i++) {
            if (input.dead[i % input.dead.length]) {
                values.put(i, 0);
            }
        }
    }

    /** What damping, and the stand-ins for dead features, have added to the loss. */
    private static double dampingOf(NDArray weight, NDArray rounded, Input input) {
        try (NDArray error = weight.sub(rounded)) {
            if (input.dead() == 0) {
                return input.added * NativeFloats.sumOfSquares(error);
            }
            FloatBuffer values = NativeFloats.window(error);
            double sum = 0;
            for (int i = 0; i < values.capacity(); i++) {
                sum += input.dead[i % input.dead.length] ? 0 : (double) values.get(i) * values.get(i);
            }
            return input.added * sum;
        }
    }

    /**
     * The mean square, over tokens, of what an error of a weight adds to an output.
     *
     * @param error {@code [outFeatures, inFeatures]}
     */
    static double loss(NDArray error, NDArray hessian) throws IOException {
        int rows = (int) error.getShape().get(0);
        double[] sums = new double[(rows + TILE - 1) / TILE];
        Parallel.forEachOfTensors(sums.length, sums.length, i -> {
            try (NDManager scratch = error.getManager().newSubManager()) {
                NDArray some = error.get(new NDIndex("{}:{}", i * TILE, Math.min(rows, (i + 1) * TILE)));
                some.attach(scratch);
                NDArray seen = Torch.linear(some, hessian);
                seen.attach(scratch);
                FloatBuffer a = NativeFloats.window(some);
                FloatBuffer b = NativeFloats.window(seen);
                for (int k = 0; k < a.capacity(); k++) {
                    sums[i] += (double) a.get(k) * b.get(k);
                }
            }
        });
        return Math.max(0, Arrays.stream(sums).sum()) / rows;
    }

    /** Some rows of a weight: no row depends on another, but for shared values. */
    private final class Rows {
        private final NDArray weight;
        private final FloatBuffer target;
        private final Input input;
        private final ColumnRounding rounding;
        private final int from;
        private final int count;
        private final int columns;

        Rows(NDArray weight, NDArray rounded, Input input, ColumnRounding rounding, int from, int to) {
            this.weight = weight;
            this.target = NativeFloats.window(rounded);
            this.input = input;
            this.rounding = rounding;
            this.from = from;
            this.count = to - from;
            this.columns = input.order.length;
        }

        /** Returns the sum of squares of {@code e}. */
        double round(boolean isFitted) {
            try (NDManager scratch = weight.getManager().newSubManager()) {
                NDArray own = weight.get(new NDIndex("{}:{}", from, from + count));
                own.attach(scratch);
                NDArray indices = NativeFloats.indices(scratch, input.order, columns);
                // column by column in their order
                NDArray work = Torch.embedding(Torch.contiguous(own.transpose(1, 0)), indices);
                work.attach(scratch);
                double loss = 0;
                for (int at = 0; at < columns; ) {
                    int end = blockEnd(at, isFitted);
                    loss += block(scratch, work, at, end, isFitted);
                    at = end;
                }
                return loss;
            }
        }

        /** Groups that are fitted to live columns begin with a block, unless blocks consist of whole groups. */
        private int blockEnd(int at, boolean isFitted) {
            int end = Math.min(columns, (at / blockColumns + 1) * blockColumns);
            int group = rounding.groupColumns();
            if (!isFitted && groups == Groups.LIVE && blockColumns % group != 0) {
                end = Math.min(end, (at / group + 1) * group);
            }
            return end;
        }

        private double block(NDManager scratch, NDArray work, int at, int end, boolean isFitted) {
            int width = end - at;
            float[][] values = new float[width][count];
            FloatBuffer window = NativeFloats.window(work);
            for (int i = 0; i < width; i++) {
                window.get((at + i) * count, values[i], 0, count);
            }
            float[][] factor = factor(at, width);
            float[][] errors = new float[width][count];
            double loss = 0;
            for (int i = 0; i < width; i++) {
                if (!isFitted && (at + i) % rounding.groupColumns() == 0) {
                    fit(window, values, at, i);
                }
                loss += column(values, errors[i], factor[i], at, i);
                for (int later = i + 1; later < width; later++) {
                    subtract(values[later], errors[i], factor[i][later]);
                }
            }
            if (end < columns) {
                spread(scratch, work, errors, at, end);
            }
            return loss;
        }

        private float[][] factor(int at, int width) {
            FloatBuffer window = NativeFloats.window(input.factor);
            float[][] factor = new float[width][width];
            for (int i = 0; i < width; i++) {
                window.get((at + i) * columns + at, factor[i], 0, width);
            }
            return factor;
        }

        private void fit(FloatBuffer window, float[][] block, int at, int i) {
            int place = at + i;
            int width = Math.min(rounding.groupColumns(), columns - place);
            boolean isLive = groups == Groups.LIVE && i + width <= block.length;
            float[] group = new float[count * width];
            float[] column = new float[count];
            for (int k = 0; k < width; k++) {
                if (isLive) {
                    column = block[i + k];
                } else {
                    window.get((place + k) * count, column, 0, count);
                }
                for (int row = 0; row < count; row++) {
                    group[row * width + k] = column[row];
                }
            }
            rounding.fit(place, from, group);
        }

        private double column(float[][] values, float[] errors, float[] factor, int at, int i) {
            int place = at + i;
            double loss = 0;
            for (int row = 0; row < count; row++) {
                float value = values[i][row];
                float rounded = rounding.rounded(value, from + row, place);
                target.put((from + row) * columns + input.order[place], rounded);
                errors[row] = (value - rounded) / factor[i];
                loss += (double) errors[row] * errors[row];
            }
            return loss;
        }

        private void spread(NDManager scratch, NDArray work, float[][] errors, int at, int end) {
            try (NDManager own = scratch.newSubManager()) {
                float[] flat = new float[errors.length * count];
                for (int i = 0; i < errors.length; i++) {
                    System.arraycopy(errors[i], 0, flat, i * count, count);
                }
                NDArray error = NativeFloats.of(own, flat, errors.length, count);
                NDArray factor = input.factor.get(new NDIndex("{}:{},{}:", at, end, end));
                factor.attach(own);
                NDArray change = factor.transpose(1, 0).matMul(error);
                change.attach(own);
                NDArray rest = work.get(new NDIndex("{}:", end));
                rest.attach(own);
                rest.subi(change);
            }
        }
    }

    private static void subtract(float[] values, float[] errors, float factor) {
        for (int row = 0; row < values.length; row++) {
            values[row] -= errors[row] * factor;
        }
    }
}
