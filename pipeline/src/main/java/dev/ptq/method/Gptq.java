package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.artifact.LedgerEvent;
import dev.ptq.calibrate.Statistic;
import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.family.ModelConfig;
import dev.ptq.format.ColumnRounding;
import dev.ptq.format.NumberFormat;
import dev.ptq.model.HookPoint;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.QuantizationSettings;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * GPTQ: weights are rounded column by column, and later columns make up for the errors of earlier ones. Source: GPTQ
 * (ICLR 2023).
 *
 * @param inputs of linears: the outputs of the finished blocks, and within a block those of the linears before it, rounded
 *     or not
 */
record Gptq(GptqSolver solver, Inputs inputs) implements Method {
    /** Whose settings are taken where the table does not say otherwise. */
    private enum Preset {
        NONE(GptqSolver.Order.NONE, GptqSolver.Groups.LIVE, Inputs.TRUE_SEQUENTIAL, 0.01, false),
        GPTQMODEL(GptqSolver.Order.NONE, GptqSolver.Groups.BOUNDARY, Inputs.TRUE_SEQUENTIAL, 0.05, true),
        LLM_COMPRESSOR(GptqSolver.Order.ACTIVATION, GptqSolver.Groups.STATIC, Inputs.QUANTIZED, 0.01, true);

        private final GptqSolver.Order order;
        private final GptqSolver.Groups groups;
        private final Inputs inputs;
        private final double damping;
        private final boolean zeroDead;

        Preset(GptqSolver.Order order, GptqSolver.Groups groups, Inputs inputs, double damping, boolean zeroDead) {
            this.order = order;
            this.groups = groups;
            this.inputs = inputs;
            this.damping = damping;
            this.zeroDead = zeroDead;
        }
    }

    private static final String AS_PRESET = "as `preset` has it; alone ";

    private static final Key<Preset> PRESET = Key.choice(
                    "preset",
                    Choices.of("none", Preset.NONE, "those of this program")
                            .and("gptqmodel", Preset.GPTQMODEL, "those of GPTQModel")
                            .and("llm_compressor", Preset.LLM_COMPRESSOR, "those of llm-compressor"))
            .preset(Preset.NONE)
            .says("whose defaults the other keys have. The integers that go with them are `grid` of the format");

    private static final Key<GptqSolver.Order> ORDER = Key.choice("order", GptqSolver.Order.CHOICES)
            .presetIs(AS_PRESET + "`\"none\"`")
            .says("in which columns are rounded");

    private static final Key<Inputs> SEQUENTIAL = Key.choice(
                    "sequential",
                    Choices.of(
                                    "linear",
                                    Inputs.TRUE_SEQUENTIAL,
                                    "after each group of linears with one input, the next inputs are taken anew")
                            .and("block", Inputs.QUANTIZED, "after each block"))
            .presetIs(AS_PRESET + "`\"linear\"`")
            .says("how often inputs are taken through what is rounded already");

    private static final Key<GptqSolver.Groups> GROUP_PARAMETERS = Key.choice(
                    "group_parameters", GptqSolver.Groups.CHOICES)
            .presetIs(AS_PRESET + "`\"live\"`")
            .says("what the scales of groups, or the exponents of blocks, are fitted to");

    private static final Key<Double> DAMPING = Key.decimal("damping")
            .from(1e-6)
            .to(0.99)
            .presetIs(AS_PRESET + "`0.01`")
            .says("added to the diagonal of the Hessian, as a share of its mean; it grows where that is not enough");

    private static final Key<Integer> BLOCK_COLUMNS = Key.integer("block_columns")
            .from(1)
            .to(1 << 14)
            .preset(128)
            .says("columns whose errors reach later ones together; of no effect on results but by `\"boundary\"`");

    private static final Key<Boolean> ZERO_DEAD = Key.choice(
                    "dead_columns",
                    Choices.of("round", false, "they are rounded like the others")
                            .and("zero", true, "they become zero"))
            .presetIs(AS_PRESET + "`\"round\"`")
            .says("what becomes of columns whose input is always zero");

    /** The keys of a step. */
    static final Keys KEYS = Keys.of(PRESET, ORDER, SEQUENTIAL, GROUP_PARAMETERS, DAMPING, BLOCK_COLUMNS, ZERO_DEAD);

    static Gptq read(ConfigTable table) {
        Preset preset = table.read(PRESET);
        return new Gptq(
                new GptqSolver(
                        table.read(ORDER, preset.order),
                        table.read(GROUP_PARAMETERS, preset.groups),
                        table.read(DAMPING, preset.damping),
                        table.read(BLOCK_COLUMNS),
                        table.read(ZERO_DEAD, preset.zeroDead)),
                table.read(SEQUENTIAL, preset.inputs));
    }

    @Override
    public String name() {
        return "gptq";
    }

    @Override
    public Phase phase() {
        return Phase.ROUND;
    }

    @Override
    public Needs needs() {
        return new Needs(Set.of(Statistic.HESSIAN), inputs, Optional.empty());
    }

    @Override
    public void check(ModelConfig shape, QuantizationSettings quantization, ConfigTable table) {
        if (quantization.weightsOnly().isNone()) {
            table.problem("method", "gptq rounds weights, and none has a format: add one to [quantization.weight]");
        }
        LanguageModel.linears(shape).stream()
                .filter(linear -> linear.inFeatures() > Statistic.LARGEST_MATRIX)
                .findFirst()
                .ifPresent(linear -> table.problem(
                        "method",
                        "gptq takes weights of at most " + Statistic.LARGEST_MATRIX + " input features, "
                                + linear.weightName() + " has " + linear.inFeatures()));
    }

    @Override
    public void apply(BlockContext context) throws IOException {
        Map<HookPoint, List<Linear>> byInput = new LinkedHashMap<>();
        for (HookPoint.Place place : HookPoint.Place.values()) {
            for (Linear linear : context.block().linears()) {
                LinearSpec spec = linear.spec();
                if (spec.hookPoint().place() == place && !format(context, spec).isNone()) {
                    byInput.computeIfAbsent(spec.hookPoint(), key -> new ArrayList<>())
                            .add(linear);
                }
            }
        }
        for (List<Linear> sharing : byInput.values()) {
            if (context.isWorkedOn(sharing.get(0).spec())) {
                round(context, sharing);
            } else {
                sharing.forEach(linear -> fallBack(context, linear.spec(), "calibration hardly reaches the expert"));
            }
        }
    }

    private static NumberFormat format(BlockContext context, LinearSpec linear) {
        return context.formats().of(linear).weight();
    }

    /** Rounds the linears of one input. */
    private void round(BlockContext context, List<Linear> sharing) throws IOException {
        try (NDManager scratch = context.block().manager().newSubManager()) {
            LinearSpec first = sharing.get(0).spec();
            NDArray hessian = context.statistics(this, first).matrix(scratch, first, Statistic.HESSIAN);
            Map<Integer, Optional<GptqSolver.Input>> byGroup = new HashMap<>();
            for (Linear linear : sharing) {
                long start = System.nanoTime();
                int group = ColumnRounding.groupColumns(
                        format(context, linear.spec()), linear.weight().getShape());
                Optional<GptqSolver.Input> input = byGroup.get(group);
                if (input == null) {
                    input = solver.prepare(scratch, hessian, group);
                    byGroup.put(group, input);
                }
                if (input.isPresent()) {
                    round(context, linear, hessian, input.get(), start);
                } else {
                    fallBack(context, linear.spec(), "no damping makes the Hessian positive definite");
                }
            }
        }
    }

    private void fallBack(BlockContext context, LinearSpec linear, String why) {
        context.record(LedgerEvent.FELL_BACK, this, linear.module(), 1, why + "; rounded to nearest");
    }

    private void round(BlockContext context, Linear linear, NDArray hessian, GptqSolver.Input input, long start)
            throws IOException {
        LinearSpec spec = linear.spec();
        double nearest = nearestLoss(context, linear, hessian);
        GptqSolver.Rounded rounded = solver.round(linear.weight(), format(context, spec), input);
        context.round(linear, rounded.grid());
        context.report(new BlockContext.RoundingReport(
                name(), spec, nearest, rounded.loss(), input.added(), input.dead(), (System.nanoTime() - start) / 1e9));
        if (input.share() > solver.damping()) {
            context.record(
                    LedgerEvent.MORE_DAMPING,
                    this,
                    spec.module(),
                    input.share(),
                    String.format(
                            Locale.ROOT,
                            "damping %.3g of the mean diagonal made the Hessian positive definite, %.3g was asked for",
                            input.share(),
                            solver.damping()));
        }
    }

    private static double nearestLoss(BlockContext context, Linear linear, NDArray hessian) throws IOException {
        try (NDArray nearest = context.roundedToNearest(linear.spec(), linear.weight());
                NDArray error = linear.weight().sub(nearest)) {
            return GptqSolver.loss(error, hessian);
        }
    }
}
