package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.calibrate.Statistic;
import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.format.NumberFormat;
import dev.ptq.model.Linear;
import dev.ptq.model.SmoothingMapping;
import dev.ptq.tensor.NativeFloats;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Settings of learnable equivalent transformations.
 *
 * @param mappings to be transformed; may be empty
 * @param start of the factors
 * @param shift whether channels are shifted too
 * @param queryKey freedom of the factors between queries and keys
 * @param floor lower bound of the factors
 * @param rate learning rate
 */
record Transformation(
        List<SmoothingMapping.Kind> mappings,
        ScaleStart start,
        Shift shift,
        QueryKey queryKey,
        double floor,
        double rate) {
    /** Whether channels are shifted, and from which start. */
    enum Shift {
        /** From the middle of the range where norms have biases, as in OPT, and activations are rounded; else not at all. */
        AUTO,
        /** Not at all. */
        NONE,
        /** From zero. */
        ZERO,
        /** From the middle of the range. */
        MID_RANGE
    }

    /** Freedom of the factors between queries and keys. */
    enum QueryKey {
        /** Preserves their product: with rotary positions both channels of a pair share a factor. */
        EXACT,
        /** One factor per channel, as in released code. With rotary positions this changes the block's function. */
        FREE
    }

    private static final List<SmoothingMapping.Kind> USUAL = List.of(
            SmoothingMapping.Kind.ATTENTION_IN,
            SmoothingMapping.Kind.VALUE_OUT,
            SmoothingMapping.Kind.QUERY_KEY,
            SmoothingMapping.Kind.MLP_IN);

    /** No transformation. */
    static Transformation none() {
        return new Transformation(
                List.of(), new ScaleStart(ScaleStart.Rule.BALANCED, 0.5), Shift.NONE, QueryKey.EXACT, 0, 0);
    }

    private static final MappingKeys MAPPINGS = MappingKeys.of(USUAL, EnumSet.allOf(SmoothingMapping.Kind.class));

    private static final Key<QueryKey> QUERY_KEY = Key.choice(
                    "q_k",
                    Choices.of("exact", QueryKey.EXACT, "keeps the block's function")
                            .and(
                                    "free",
                                    QueryKey.FREE,
                                    "each channel by itself (in `affinequant` a full matrix per head) as in released code,"
                                            + " which under rotary positions changes the function"))
            .preset(QueryKey.EXACT)
            .says("what is learned between queries and keys");

    private static final Key<Double> FLOOR =
            Key.decimal("scale_floor").from(1e-6).to(1.0).preset(1e-2).says("factors stay above it");

    private static final Key<Shift> SHIFT = Key.choice(
                    "shift",
                    Choices.of(
                                    "auto",
                                    Shift.AUTO,
                                    "from the middle of the range where norms have biases, as in OPT, and activations are rounded; no shift elsewhere")
                            .and("none", Shift.NONE, "no shift")
                            .and("zero", Shift.ZERO, "from zero")
                            .and(
                                    "mid_range",
                                    Shift.MID_RANGE,
                                    "from the middle of the range, where AffineQuant and LRQuant as published start on OPT"))
            .says("whether channels are shifted too, and where the shifts start");

    private static final Key<Double> RATE = Key.decimal("let_learning_rate")
            .from(0.0)
            .to(10.0)
            .says("learning rate of factors, shifts and matrices, constant; the optimizer is Adam without decay");

    private static final Key<Double> ADAPTED_RATE = RATE.presetIs(Training.AS_THE_STEP);

    /** The keys in a step's table for adaptation. */
    static final Keys ADAPTED_KEYS = Keys.of(ADAPTED_RATE);

    /**
     * Defaults of a method that learns a transformation.
     *
     * @param rule of the factors at the start; its alpha is a key where it has one
     * @param shift the default
     * @param rate the default
     */
    record Defaults(ScaleStart.Rule rule, Shift shift, double rate) {
        /** The keys of a step. */
        Keys keys() {
            Keys alpha = rule == ScaleStart.Rule.BALANCED ? Keys.of(ScaleStart.ALPHA) : Keys.of();
            return Keys.of(MAPPINGS.key()).and(alpha).and(SHIFT.preset(shift), QUERY_KEY, FLOOR, RATE.preset(rate));
        }
    }

    /** Reads the keys of a step that learns a transformation. */
    static Transformation read(ConfigTable table, Defaults defaults) {
        ScaleStart.Rule rule = defaults.rule();
        List<SmoothingMapping.Kind> mappings = MAPPINGS.read(table);
        if (mappings.isEmpty()) {
            return none();
        }
        boolean fromStatistics = mappings.stream().anyMatch(SmoothingMapping.Kind::hasActivation);
        double alpha = fromStatistics && rule == ScaleStart.Rule.BALANCED ? table.read(ScaleStart.ALPHA) : 0;
        // a key without effect is not read, and so refused
        return new Transformation(
                mappings,
                new ScaleStart(rule, alpha),
                mappings.stream().anyMatch(Transformation::takesShift)
                        ? table.read(SHIFT.preset(defaults.shift()))
                        : Shift.NONE,
                mappings.contains(SmoothingMapping.Kind.QUERY_KEY) ? table.read(QUERY_KEY) : QueryKey.EXACT,
                table.read(FLOOR),
                table.read(RATE.preset(defaults.rate())));
    }

    private static boolean takesShift(SmoothingMapping.Kind kind) {
        return kind.afterNorm() || kind == SmoothingMapping.Kind.VALUE_OUT;
    }

    /** The same with the learning rate of an adaptation table, if given. */
    Transformation adapted(ConfigTable table) {
        return new Transformation(mappings, start, shift, queryKey, floor, table.read(ADAPTED_RATE, rate));
    }

    Set<Statistic> statistics() {
        if (mappings.stream().allMatch(kind -> !kind.hasActivation())) {
            return Set.of();
        }
        return shift == Shift.AUTO || shift == Shift.MID_RANGE
                ? EnumSet.of(Statistic.ABS_MAX, Statistic.MID_RANGE)
                : EnumSet.of(Statistic.ABS_MAX);
    }

    Set<SmoothingMapping.Kind> kinds() {
        return Set.copyOf(mappings);
    }

    /** One factor per channel on every mapping. */
    List<EquivalentTransform> scalings(BlockContext context) {
        List<EquivalentTransform> transforms = new ArrayList<>();
        context.mappings(kinds()).forEach(mapping -> transforms.add(scaling(context, mapping)));
        return transforms;
    }

    /** One factor per channel on one mapping. */
    EquivalentTransform scaling(BlockContext context, SmoothingMapping mapping) {
        HeadLayout heads = HeadLayout.of(context.shape().attention());
        return new ChannelScaling(
                mapping, heads, startScale(context, mapping), startShift(context, mapping), floor, rate);
    }

    /** The initial factors, in the shape that {@link ChannelScaling} takes. */
    NDArray startScale(BlockContext context, SmoothingMapping mapping) {
        HeadLayout heads = HeadLayout.of(context.shape().attention());
        NDManager manager = context.block().manager();
        if (mapping.kind() == SmoothingMapping.Kind.QUERY_KEY) {
            boolean paired = heads.rope().isPresent() && queryKey == QueryKey.EXACT;
            int channels = paired ? heads.headDim() - heads.pairs() : heads.headDim();
            return NativeFloats.of(manager, ScaleStart.ones(heads.kvHeads() * channels), heads.kvHeads(), channels);
        }
        float[] scales = start.scales(context, mapping, mapping.startLayers());
        float[] own = mapping.kind() == SmoothingMapping.Kind.VALUE_OUT ? heads.largestOfGroup(scales) : scales;
        return NativeFloats.of(manager, own, own.length);
    }

    /** The initial shift, {@code [channels]}, if the mapping takes one. */
    @Nullable
    NDArray startShift(BlockContext context, SmoothingMapping mapping) {
        Shift wanted = shift == Shift.AUTO ? usual(context) : shift;
        if (!takesShift(mapping.kind()) || wanted == Shift.NONE) {
            return null;
        }
        HeadLayout heads = HeadLayout.of(context.shape().attention());
        float[] values = ScaleStart.statistic(
                context, mapping, wanted == Shift.MID_RANGE ? Statistic.MID_RANGE : Statistic.ABS_MAX);
        if (wanted == Shift.ZERO) {
            values = new float[values.length];
        }
        if (mapping.kind() == SmoothingMapping.Kind.VALUE_OUT) {
            values = firstOfGroup(values, heads);
        }
        return NativeFloats.of(context.block().manager(), values, values.length);
    }

    /** Takes a key head's shift from the first of its query heads: the others see the same values. */
    private static float[] firstOfGroup(float[] perQuery, HeadLayout heads) {
        float[] first = new float[heads.kvHeads() * heads.headDim()];
        for (int i = 0; i < first.length; i++) {
            first[i] = perQuery[i / heads.headDim() * heads.group() * heads.headDim() + i % heads.headDim()];
        }
        return first;
    }

    private static Shift usual(BlockContext context) {
        boolean rounded = context.block().linears().stream()
                .map(Linear::spec)
                .map(linear -> context.formats().of(linear).activation())
                .anyMatch(Predicate.not(NumberFormat::isNone));
        return context.shape().hasNormBias() && rounded ? Shift.MID_RANGE : Shift.NONE;
    }
}
