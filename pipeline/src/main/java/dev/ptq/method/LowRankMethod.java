package dev.ptq.method;

import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.format.Formats;
import dev.ptq.format.NumberFormat;
import dev.ptq.method.LowRankCorrection.Metric;
import dev.ptq.method.LowRankCorrection.Of;
import dev.ptq.model.LowRankFormats;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/** The low-rank methods by their names in configs: what is fixed in each, and the defaults of its other keys. */
enum LowRankMethod {
    LQER(Metric.IDENTITY),
    L2QER(Metric.MEAN_ABS),
    QERA_APPROX(Metric.SECOND_MOMENT),
    QERA_EXACT(Metric.HESSIAN),
    /** QERA-exact, with the rank and the factors in half precision of EoRA (2024). */
    EORA("eora", Optional.of(Metric.HESSIAN), Optional.of(Of.ERROR), Names.HALF),
    /** Source: SRR (ICML 2026). */
    SRR("srr", Optional.empty(), Optional.of(Of.BOTH), Names.LQER),
    /** Source: SVDQuant (ICLR 2025). */
    SVDQUANT("svdquant", Optional.empty(), Optional.of(Of.WEIGHT), Names.HALF);

    /** Formats of factors that are defaults. */
    private static final class Names {
        static final String LQER = "{ format = \"mxint\", bits = 8, block_size = [16, 1] }";
        static final String HALF = "{ format = \"minifloat\", bits = 16, exponent_bits = 5 }";
    }

    private static final String AS_ACTIVATIONS = "as activations";
    private static final String UNROUNDED = "{ format = \"none\" }";

    private static final Key<Integer> RANK = Key.integer("rank")
            .from(1)
            .to(1 << 16)
            .preset(32)
            .says("rank of the correction, at most the smaller side of every weight that it is for; only without"
                    + " `rank_budget`");

    private static final Key<Optional<Double>> RANK_BUDGET = Key.decimal("rank_budget")
            .from(1e-6)
            .to(64.0)
            .optional("by `rank`")
            .says(
                    "bits per weight that factors may take in each block, over all weights of the step. Ranks then differ:"
                            + " the next bits go where one more rank captures the most of the squared error in the metric (with"
                            + " `of = \"weight\"` of the weight) per bit. All singular values are found for it. Not with `inputs ="
                            + " \"true_sequential\"`");

    private static final Key<Optional<ConfigTable>> PRODUCT_A =
            Key.table("product_a", Formats.SECTION).optional(AS_ACTIVATIONS).says("format of `x A`");

    private static final Key<Optional<ConfigTable>> PRODUCT_B =
            Key.table("product_b", Formats.SECTION).optional(AS_ACTIVATIONS).says("format of `(x A) B`");

    private static final Key<ConfigTable> UNROUNDED_A =
            Key.table("product_a", Formats.SECTION, UNROUNDED).says(PRODUCT_A.meaning());

    private static final Key<ConfigTable> UNROUNDED_B =
            Key.table("product_b", Formats.SECTION, UNROUNDED).says(PRODUCT_B.meaning());

    private static final Key<LowRankFormats.Input> PATH_INPUT = Key.choice(
                    "path_input",
                    Choices.of("rounded", LowRankFormats.Input.ROUNDED, "the one that the weight takes")
                            .and("unrounded", LowRankFormats.Input.UNROUNDED, "the same before it is rounded"))
            .preset(LowRankFormats.Input.ROUNDED)
            .says("the `x` of `x A`");

    private static final Key<String> PATTERN = Key.text("pattern")
            .preset(".*")
            .says("regular expression that matches the whole names of the weights to correct");

    private static final Key<Metric> METRIC = Key.choice(
                    "metric",
                    Choices.of("identity", Metric.IDENTITY, "as `lqer`")
                            .and("mean_abs", Metric.MEAN_ABS, "as `l2qer`")
                            .and("second_moment", Metric.SECOND_MOMENT, "as `qera_approx`")
                            .and("hessian", Metric.HESSIAN, "as `qera_exact`"))
            .preset(Metric.HESSIAN)
            .says("what an error costs");

    private static final Key<Of> OF = Key.choice(
                    "of",
                    Choices.of("error", Of.ERROR, "the error that rounding leaves in a weight")
                            .and(
                                    "weight",
                                    Of.WEIGHT,
                                    "the weight itself. Its low-rank part is taken out first, and only the rest of the"
                                            + " weight is rounded. Such a step comes before those that round")
                            .and(
                                    "both",
                                    Of.BOTH,
                                    "first the weight, with 0, a quarter, half, three quarters or all of the rank, then the"
                                            + " error of rounding the rest to nearest, with the remaining rank, whichever"
                                            + " leaves the least error. Such a step rounds itself"))
            .preset(Of.ERROR)
            .says("what the factors approximate");

    private static final Key<Integer> ALTERNATE = Key.integer("alternate")
            .from(0)
            .to(1000)
            .preset(0)
            .says(
                    "how often weights less their low-rank part are rounded to nearest anew, and factors made for what they"
                            + " lack then. The best of all is kept, by the squared error in the metric. From 1 on a step of errors"
                            + " rounds itself");

    private static final Key<Boolean> REFIT =
            Key.flag("refit").preset(false).says("whether `B` is fitted once more, to `A` as it was rounded");

    private static final Key<Boolean> SHARED_FACTOR = Key.flag("shared_factor")
            .preset(false)
            .says(
                    "whether linears with one input, such as queries, keys and values, have one `A`, found for their errors"
                            + " side by side. `bits_per_weight` counts it once; what it costs is in `layers.csv`");

    private static final Key<Boolean> SINGULAR_VALUES = Key.flag("singular_values")
            .presetIs("`true`, with `solver = \"randomized\"` `false`")
            .says(
                    "whether all singular values of every weight's error are kept, of the error itself and in the method's"
                            + " metric. Without them only the leading ones of a large weight are looked for, in a"
                            + " fraction of the time. Of weights above 512 on both sides, values below a thousandth of the largest are noise. With `of = \"weight\"` they are those of the weight itself");

    private static final Key<Boolean> NO_SINGULAR_VALUES =
            Key.flag(SINGULAR_VALUES.name()).preset(false).says(SINGULAR_VALUES.meaning());

    private final String label;
    private final Optional<Metric> metric;
    private final Optional<Of> of;
    private final String factor;

    LowRankMethod(Metric metric) {
        this(metric.method(), Optional.of(metric), Optional.empty(), Names.LQER);
    }

    /**
     * A method.
     *
     * @param metric if it is fixed
     * @param of likewise
     * @param factor the default format of factors
     */
    LowRankMethod(String label, Optional<Metric> metric, Optional<Of> of, String factor) {
        this.label = label;
        this.metric = metric;
        this.of = of;
        this.factor = factor;
    }

    /** The name in configs. */
    String label() {
        return label;
    }

    private Key<Integer> rank() {
        return this == EORA ? RANK.preset(64) : RANK;
    }

    private Key<ConfigTable> factor() {
        return Key.table("factor", Formats.SECTION, factor)
                .says("format of both factors, `A [in, rank]` and `B [rank, out]`, as they enter the products");
    }

    private Key<LowRankFormats.Input> pathInput() {
        return this == SVDQUANT ? PATH_INPUT.preset(LowRankFormats.Input.UNROUNDED) : PATH_INPUT;
    }

    private Key<Metric> metricKey() {
        return this == SVDQUANT ? METRIC.preset(Metric.IDENTITY) : METRIC;
    }

    private boolean keepsSingularValues() {
        return this != SVDQUANT && this != SRR;
    }

    /** The keys of a step. */
    Keys keys() {
        boolean hasInputs = metric.isEmpty() || metric.get().needsStatistic();
        return Keys.of(rank(), RANK_BUDGET, factor())
                .and(this == SVDQUANT ? Keys.of(UNROUNDED_A, UNROUNDED_B) : Keys.of(PRODUCT_A, PRODUCT_B))
                .and(pathInput(), PATTERN)
                .and(metric.isPresent() ? Keys.of() : Keys.of(metricKey()))
                .and(of.isPresent() ? Keys.of() : Keys.of(OF))
                .and(hasInputs ? Keys.of(Inputs.KEY) : Keys.of())
                .and(ALTERNATE, REFIT, SHARED_FACTOR)
                .and(LowRankSolver.KEYS)
                .and(keepsSingularValues() ? SINGULAR_VALUES : NO_SINGULAR_VALUES);
    }

    Method read(ConfigTable table) {
        OptionalDouble budget = table.read(RANK_BUDGET).map(OptionalDouble::of).orElseGet(OptionalDouble::empty);
        int rank = budget.isPresent() ? 0 : table.read(rank());
        NumberFormat factors = Formats.read(table.read(factor()), Formats.Use.FACTOR);
        Optional<NumberFormat> productA = product(table, PRODUCT_A, UNROUNDED_A);
        Optional<NumberFormat> productB = product(table, PRODUCT_B, UNROUNDED_B);
        LowRankFormats.Input input = table.read(pathInput());
        String pattern = pattern(table);
        Metric used = metric.isPresent() ? metric.get() : table.read(metricKey());
        Of target = of.isPresent() ? of.get() : table.read(OF);
        Inputs inputs = used.needsStatistic() ? table.read(Inputs.KEY) : Inputs.FULL_PRECISION;
        if (budget.isPresent() && inputs == Inputs.TRUE_SEQUENTIAL) {
            table.problem(
                    RANK_BUDGET,
                    "ranks are chosen for all weights of a block at once, and inputs = \"true_sequential\" comes to some"
                            + " after others are done; take inputs = \"quantized\", or rank");
        }
        int alternations = table.read(ALTERNATE);
        boolean refit = table.read(REFIT);
        boolean shared = table.read(SHARED_FACTOR);
        // to a solver that looks for the leading ones alone, all of them would be most of the work
        boolean singularValues = keepsSingularValues()
                ? table.read(SINGULAR_VALUES, !LowRankSolver.isRandomized(table))
                : table.read(NO_SINGULAR_VALUES);
        LowRankSolver solver = LowRankSolver.read(table, singularValues);
        LowRankDecomposition read = new LowRankDecomposition(
                label,
                new LowRankCorrection(
                        target, inputs, used, rank, factors, productA, productB, pattern, solver, singularValues),
                alternations,
                refit,
                shared,
                budget,
                input);
        return read.isPlain() ? read.correction() : read;
    }

    private Optional<NumberFormat> product(
            ConfigTable table, Key<Optional<ConfigTable>> asActivations, Key<ConfigTable> unrounded) {
        Optional<ConfigTable> format =
                this == SVDQUANT ? Optional.of(table.read(unrounded)) : table.read(asActivations);
        return format.map(given -> Formats.read(given, Formats.Use.ACTIVATION));
    }

    private static String pattern(ConfigTable table) {
        String pattern = table.read(PATTERN);
        try {
            Pattern.compile(pattern);
            return pattern;
        } catch (PatternSyntaxException e) {
            table.problem(PATTERN, "expected a regular expression, got '" + pattern + "': " + e.getDescription());
            return ".*";
        }
    }
}
