package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.Statistic;
import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.family.ModelConfig;
import dev.ptq.format.Formats;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.model.HookPoint;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.LowRank;
import dev.ptq.model.LowRankFormats;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Parallel;
import java.io.IOException;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.jspecify.annotations.Nullable;

/**
 * LQER, L2QER and QERA: a low-rank path beside each linear that takes back most of its weight's quantization error. They
 * differ in the metric only. Sources: LQER (ICML 2024), QERA (ICLR 2025).
 *
 * @param of what the path is made for
 * @param inputs that statistics are taken from
 * @param metric in which the error is made small
 * @param rank of the path
 * @param factor format that both factors are rounded to
 * @param productA format of {@code x A}; absent: that of activations
 * @param productB format of {@code (x A) B}; absent: that of activations
 * @param pattern full-match regular expression of the weight names that get a path
 * @param singularValues whether all singular values of the error, and of the error in the metric, are kept
 */
public record LowRankCorrection(
        Of of,
        Inputs inputs,
        Metric metric,
        int rank,
        NumberFormat factor,
        Optional<NumberFormat> productA,
        Optional<NumberFormat> productB,
        String pattern,
        LowRankSolver solver,
        boolean singularValues)
        implements Method {
    private static final float SMALLEST_SCALE = 1e-4f;

    /** Weights whose errors are decomposed at once: a bound on memory. */
    private static final long WEIGHTS_AT_ONCE = 1L << 27;

    private static final String AS_ACTIVATIONS = "as activations";

    private static final Key<Integer> RANK = Key.integer("rank")
            .from(1)
            .to(1 << 16)
            .preset(32)
            .says("rank of the correction, at most the smaller side of every weight that it is for");

    /** Its default is LQER's. */
    private static final Key<ConfigTable> FACTOR = Key.table(
                    "factor", Formats.SECTION, "{ format = \"mxint\", bits = 8, block_size = [16, 1] }")
            .says("format of both factors, `A [in, rank]` and `B [rank, out]`, as they enter the products");

    private static final Key<Optional<ConfigTable>> PRODUCT_A =
            Key.table("product_a", Formats.SECTION).optional(AS_ACTIVATIONS).says("format of `x A`");

    private static final Key<Optional<ConfigTable>> PRODUCT_B =
            Key.table("product_b", Formats.SECTION).optional(AS_ACTIVATIONS).says("format of `(x A) B`");

    private static final Key<String> PATTERN = Key.text("pattern")
            .preset(".*")
            .says("regular expression that matches the whole names of the weights to correct");

    private static final Key<Of> OF = Key.choice(
                    "of",
                    Choices.of("error", Of.ERROR, "the error that rounding leaves in a weight")
                            .and(
                                    "weight",
                                    Of.WEIGHT,
                                    "the weight itself. Its low-rank part is taken out first, and only the rest of the"
                                            + " weight is rounded. Such a step comes before those that round"))
            .preset(Of.ERROR)
            .says("what the factors approximate");

    private static final Key<Boolean> SINGULAR_VALUES = Key.flag("singular_values")
            .presetIs("`true`, with `solver = \"randomized\"` `false`")
            .says(
                    "whether all singular values of every weight's error are kept, of the error itself and in the method's"
                            + " metric. Of weights above 512 on both sides, values below a thousandth of the largest are noise. With `of = \"weight\"` they are those of the weight itself");

    /** What a path is made for. */
    public enum Of {
        /** The error that rounding leaves in a weight. */
        ERROR,
        /** The weight itself, before it is rounded; rounding then has the rest. */
        WEIGHT
    }

    /** In which the error is made small. */
    public enum Metric {
        /** Every input channel counts the same. */
        IDENTITY("lqer", Optional.empty()),
        /** Input channels count by their mean magnitude. */
        MEAN_ABS("l2qer", Optional.of(Statistic.MAX_BATCH_MEAN_ABS)),
        /** Input channels count by their mean square: the error of the output, were the channels independent. */
        SECOND_MOMENT("qera_approx", Optional.of(Statistic.SECOND_MOMENT)),
        /** The expected error of the output. */
        HESSIAN("qera_exact", Optional.of(Statistic.HESSIAN));

        private final String method;
        private final Optional<Statistic> statistic;

        Metric(String method, Optional<Statistic> statistic) {
            this.method = method;
            this.statistic = statistic;
        }
    }

    /** The keys of a step. */
    static Keys keys(Metric metric) {
        return Keys.of(RANK, FACTOR, PRODUCT_A, PRODUCT_B, PATTERN, OF)
                .and(metric.statistic.isPresent() ? Keys.of(Inputs.KEY) : Keys.of())
                .and(LowRankSolver.KEYS)
                .and(SINGULAR_VALUES);
    }

    static LowRankCorrection read(ConfigTable table, Metric metric) {
        int rank = table.read(RANK);
        NumberFormat factor = Formats.read(table.read(FACTOR), Formats.Use.FACTOR);
        Optional<NumberFormat> productA =
                table.read(PRODUCT_A).map(format -> Formats.read(format, Formats.Use.ACTIVATION));
        Optional<NumberFormat> productB =
                table.read(PRODUCT_B).map(format -> Formats.read(format, Formats.Use.ACTIVATION));
        String pattern = table.read(PATTERN);
        try {
            Pattern.compile(pattern);
        } catch (PatternSyntaxException e) {
            table.problem(PATTERN, "expected a regular expression, got '" + pattern + "': " + e.getDescription());
            pattern = ".*";
        }
        Of of = table.read(OF);
        Inputs inputs = metric.statistic.isPresent() ? table.read(Inputs.KEY) : Inputs.FULL_PRECISION;
        LowRankSolver solver = LowRankSolver.read(table);
        // to a solver that looks for the leading ones alone, all of them would be most of the work
        boolean singularValues = table.read(SINGULAR_VALUES, solver.kind() == LowRankSolver.Kind.EXACT);
        return new LowRankCorrection(
                of, inputs, metric, rank, factor, productA, productB, pattern, solver, singularValues);
    }

    @Override
    public String name() {
        return metric.method;
    }

    @Override
    public Phase phase() {
        return of == Of.WEIGHT ? Phase.SPLIT : Phase.CORRECT;
    }

    @Override
    public Needs needs() {
        return new Needs(metric.statistic.map(Set::of).orElse(Set.of()), inputs, Optional.empty());
    }

    @Override
    public void check(ModelConfig shape, QuantizationSettings quantization, ConfigTable table) {
        List<LinearSpec> linears = LanguageModel.linears(shape);
        List<LinearSpec> matched = linears.stream().filter(this::matches).toList();
        if (matched.isEmpty()) {
            table.problem(
                    "pattern",
                    "'" + pattern + "' matches no weight; there are such as "
                            + linears.get(0).weightName());
        }
        matched.stream()
                .filter(linear -> metric == Metric.HESSIAN && linear.inFeatures() > Statistic.LARGEST_MATRIX)
                .findFirst()
                .ifPresent(linear -> table.problem(
                        "pattern",
                        "expected weights of at most " + Statistic.LARGEST_MATRIX + " input features, "
                                + linear.weightName() + " has " + linear.inFeatures()
                                + "; leave it to a step qera_approx"));
        matched.stream()
                .filter(linear -> rank > Math.min(linear.inFeatures(), linear.outFeatures()))
                .findFirst()
                .ifPresent(linear -> table.problem(
                        "rank",
                        "expected at most " + Math.min(linear.inFeatures(), linear.outFeatures())
                                + ", the smaller side of "
                                + linear.weightName() + " [" + linear.outFeatures() + ", " + linear.inFeatures()
                                + "], got " + rank));
    }

    @Override
    public boolean matches(LinearSpec linear) {
        return linear.weightName().matches(pattern);
    }

    @Override
    public void apply(BlockContext context) throws IOException {
        List<Linear> matched = context.block().linears().stream()
                .filter(linear -> matches(linear.spec()) && context.isWorkedOn(linear.spec()))
                .toList();
        if (inputs != Inputs.TRUE_SEQUENTIAL) {
            correct(context, matched);
            return;
        }
        // what comes to a place depends on what becomes of the linears before it
        for (HookPoint.Place place : HookPoint.Place.values()) {
            correct(
                    context,
                    matched.stream()
                            .filter(linear -> linear.spec().hookPoint().place() == place)
                            .toList());
        }
    }

    /** What a weight gets, and what is said about it. */
    private record Corrected(LowRank path, BlockContext.LayerReport report, Optional<SingularValues> singularValues) {}

    private record SingularValues(NDArray scaled, NDArray unscaled) {}

    /** Corrects weights side by side. */
    private void correct(BlockContext context, List<Linear> linears) throws IOException {
        if (linears.isEmpty()) {
            return;
        }
        Optional<ActivationStatistics> statistics = metric.statistic.isPresent()
                ? Optional.of(context.statistics(this, linears.get(0).spec()))
                : Optional.empty();
        @Nullable Corrected[] corrected = new Corrected[linears.size()];
        long largest =
                linears.stream().mapToLong(linear -> linear.spec().size()).max().orElse(1);
        Parallel.forEachOfTensors(
                corrected.length, atOnce(largest), i -> corrected[i] = corrected(context, linears.get(i), statistics));
        for (int i = 0; i < corrected.length; i++) {
            LinearSpec spec = linears.get(i).spec();
            Corrected made = Objects.requireNonNull(corrected[i]);
            if (of == Of.WEIGHT) {
                context.split(linears.get(i), made.path());
            } else {
                context.correct(linears.get(i), made.path());
            }
            made.singularValues()
                    .ifPresent(values -> context.keepSingularValues(spec, values.scaled(), values.unscaled()));
            context.report(made.report());
        }
    }

    /** How many weights of a size are corrected at once at most. */
    public static int atOnce(long size) {
        return (int) Math.max(1, Math.min(Parallel.THREADS, WEIGHTS_AT_ONCE / size));
    }

    private Corrected corrected(BlockContext context, Linear linear, Optional<ActivationStatistics> statistics)
            throws IOException {
        long start = System.nanoTime();
        LinearSpec spec = linear.spec();
        NDManager owner = context.block().manager();
        try (NDManager scratch = owner.newSubManager()) {
            NDArray weight = linear.weight();
            weight.tempAttach(scratch);
            NDArray error = context.quantizationError(linear).transpose(1, 0);
            NDArray target = of == Of.WEIGHT ? weight.transpose(1, 0) : error;
            NDArray weights = weights(statistics, spec, scratch);
            LowRankSolver.Solution solution = isSquared()
                    ? solver.solveSquared(target, weights, rank, context.seed(spec))
                    : solver.solve(target, weights, rank, context.seed(spec));
            NDArray a = factor.fakeQuantize(solution.a(), Operand.FACTOR);
            NDArray b = factor.fakeQuantize(solution.b(), Operand.FACTOR);
            double before = relative(error, context.unclipped(linear));
            double after = relativeAfter(context, linear, error, a, b);
            Optional<SingularValues> values =
                    singularValues ? Optional.of(singularValues(spec, target, weights, solution)) : Optional.empty();
            a.attach(owner);
            b.attach(owner);
            values.ifPresent(kept -> {
                kept.scaled().attach(owner);
                kept.unscaled().attach(owner);
            });
            double seconds = (System.nanoTime() - start) / 1e9;
            return new Corrected(
                    new LowRank(a, b, new LowRankFormats(factor, productA, productB)),
                    new BlockContext.LayerReport(name(), spec, rank, before, after, solution.capturedEnergy(), seconds),
                    values);
        }
    }

    /** {@link #relative} of what is left of a weight's error, or of what rounding to nearest would leave of the rest. */
    private double relativeAfter(BlockContext context, Linear linear, NDArray error, NDArray a, NDArray b) {
        NDArray weight = linear.weight();
        try (NDManager scratch = weight.getManager().newSubManager()) {
            NDArray product = a.matMul(b);
            product.attach(scratch);
            if (of == Of.ERROR) {
                // error - A B, in place
                return relative(product.negi().addi(error), context.unclipped(linear));
            }
            NDArray rest = weight.sub(product.transpose(1, 0));
            rest.attach(scratch);
            NDArray left = rest.sub(context.roundedToNearest(linear.spec(), rest));
            return relative(left, weight);
        }
    }

    private SingularValues singularValues(
            LinearSpec spec, NDArray error, NDArray weights, LowRankSolver.Solution solution) {
        NDArray scaled = solution.singularValues()
                .orElseGet(() -> isSquared()
                        ? LowRankSolver.singularValuesSquared(error, weights)
                        : LowRankSolver.singularValues(error.mul(weights.reshape(spec.inFeatures(), 1))));
        return new SingularValues(scaled, metric == Metric.IDENTITY ? scaled : LowRankSolver.singularValues(error));
    }

    /** {@code ||error|| / ||weight||}, Frobenius; 0 where the weight is all zeros. */
    private static double relative(NDArray error, NDArray weight) {
        double norm = NativeFloats.sumOfSquares(weight);
        return norm == 0 ? 0 : Math.sqrt(NativeFloats.sumOfSquares(error) / norm);
    }

    /** Whether the metric is given by its square. */
    private boolean isSquared() {
        return switch (metric) {
            case IDENTITY, MEAN_ABS -> false;
            case SECOND_MOMENT, HESSIAN -> true;
        };
    }

    /** What the solver takes as the metric. */
    private NDArray weights(Optional<ActivationStatistics> statistics, LinearSpec spec, NDManager manager)
            throws IOException {
        NDArray weights = switch (metric) {
            case IDENTITY -> manager.ones(new Shape(spec.inFeatures()));
            case MEAN_ABS ->
                NativeFloats.of(
                        manager,
                        normalized(statistics.orElseThrow().of(spec, Statistic.MAX_BATCH_MEAN_ABS)),
                        spec.inFeatures());
            case SECOND_MOMENT ->
                NativeFloats.of(manager, statistics.orElseThrow().of(spec, Statistic.SECOND_MOMENT), spec.inFeatures());
            case HESSIAN -> statistics.orElseThrow().matrix(manager, spec, Statistic.HESSIAN);
        };
        if (!NativeFloats.allFinite(weights)) {
            throw new IOException(spec.module() + ": the statistics of its input for " + name()
                    + " have a value that is NaN or infinite; calibrate with another text");
        }
        return weights;
    }

    /** Raises values to at least 1e-4 and divides them by the geometric mean of the smallest and the largest. */
    static float[] normalized(float[] statistic) {
        float smallest = Float.POSITIVE_INFINITY;
        float largest = 0;
        for (int i = 0; i < statistic.length; i++) {
            statistic[i] = Math.max(statistic[i], SMALLEST_SCALE);
            smallest = Math.min(smallest, statistic[i]);
            largest = Math.max(largest, statistic[i]);
        }
        float middle = (float) Math.sqrt(smallest * largest);
        for (int i = 0; i < statistic.length; i++) {
            statistic[i] /= middle;
        }
        return statistic;
    }
}
