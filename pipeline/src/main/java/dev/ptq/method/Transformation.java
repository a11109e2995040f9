package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.calibrate.Statistic;
import dev.ptq.config.ConfigTable;
import dev.ptq.format.NumberFormat;
import dev.ptq.model.Linear;
import dev.ptq.model.SmoothingMapping;
import dev.ptq.tensor.NativeFloats;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * How learnable equivalent transformations start and move.
 *
 * @param mappings that are transformed; empty where nothing is
 * @param start of the factors
 * @param shift whether channels are shifted too
 * @param queryKey what is allowed between queries and keys
 * @param floor that factors stay above
 * @param rate of learning
 */
record Transformation(
        List<SmoothingMapping.Kind> mappings,
        ScaleStart start,
        Shift shift,
        QueryKey queryKey,
        double floor,
        double rate) {
    /** Whether channels are shifted, and from where. */
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

    /** What is allowed between queries and keys. */
    enum QueryKey {
        /** What leaves their product as it is: with rotary positions both channels of a pair go together. */
        EXACT,
        /** Each channel by itself, as in released code. With rotary positions this changes the block's function. */
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

    /**
     * Reads the keys of a method that learns one.
     *
     * @param rule of the factors at the start; its alpha is a key where it has one
     */
    static Transformation read(ConfigTable table, ScaleStart.Rule rule, String shift, double rate) {
        List<SmoothingMapping.Kind> mappings =
                MappingKeys.read(table, USUAL, EnumSet.allOf(SmoothingMapping.Kind.class));
        if (mappings.isEmpty()) {
            return none();
        }
        boolean fromStatistics = mappings.stream().anyMatch(kind -> kind != SmoothingMapping.Kind.QUERY_KEY);
        double alpha = fromStatistics && rule == ScaleStart.Rule.BALANCED ? table.decimal("alpha", 0.5, 0, 1) : 0;
        Map<String, Shift> shifts = new LinkedHashMap<>();
        shifts.put("auto", Shift.AUTO);
        shifts.put("none", Shift.NONE);
        shifts.put("zero", Shift.ZERO);
        shifts.put("mid_range", Shift.MID_RANGE);
        Map<String, QueryKey> queryKeys = new LinkedHashMap<>();
        queryKeys.put("exact", QueryKey.EXACT);
        queryKeys.put("free", QueryKey.FREE);
        // a key that would do nothing is not read, and so refused
        return new Transformation(
                mappings,
                new ScaleStart(rule, alpha),
                mappings.stream().anyMatch(Transformation::takesShift)
                        ? table.choice("shift", shifts, shift)
                        : Shift.NONE,
                mappings.contains(SmoothingMapping.Kind.QUERY_KEY)
                        ? table.choice("q_k", queryKeys, "exact")
                        : QueryKey.EXACT,
                table.decimal("scale_floor", 1e-2, 1e-6, 1),
                table.decimal("let_learning_rate", rate, 0, 10));
    }

    private static boolean takesShift(SmoothingMapping.Kind kind) {
        return kind.afterNorm() || kind == SmoothingMapping.Kind.VALUE_OUT;
    }

    /** The same with the rate that a table may have. */
    Transformation adapted(ConfigTable table) {
        return new Transformation(
                mappings, start, shift, queryKey, floor, table.decimal("let_learning_rate", rate, 0, 10));
    }

    Set<Statistic> statistics() {
        if (mappings.stream().allMatch(kind -> kind.hookPoint().isEmpty())) {
            return Set.of();
        }
        return shift == Shift.AUTO || shift == Shift.MID_RANGE
                ? EnumSet.of(Statistic.ABS_MAX, Statistic.MID_RANGE)
                : EnumSet.of(Statistic.ABS_MAX);
    }

    Set<SmoothingMapping.Kind> kinds() {
        return Set.copyOf(mappings);
    }

    /** A factor per channel on every mapping. */
    List<EquivalentTransform> scalings(BlockContext context) {
        List<EquivalentTransform> transforms = new ArrayList<>();
        context.mappings(kinds()).forEach(mapping -> transforms.add(scaling(context, mapping)));
        return transforms;
    }

    /** A factor per channel on one mapping. */
    EquivalentTransform scaling(BlockContext context, SmoothingMapping mapping) {
        HeadLayout heads = HeadLayout.of(context.shape());
        return new ChannelScaling(
                mapping, heads, startScale(context, mapping), startShift(context, mapping), floor, rate);
    }

    /** The factors at the start, in the shape that {@link ChannelScaling} takes. */
    NDArray startScale(BlockContext context, SmoothingMapping mapping) {
        HeadLayout heads = HeadLayout.of(context.shape());
        NDManager manager = context.block().manager();
        if (mapping.kind() == SmoothingMapping.Kind.QUERY_KEY) {
            boolean paired = heads.rotary() && queryKey == QueryKey.EXACT;
            int channels = paired ? heads.headDim() / 2 : heads.headDim();
            return NativeFloats.of(manager, ScaleStart.ones(heads.kvHeads() * channels), heads.kvHeads(), channels);
        }
        float[] scales = start.scales(context, mapping, mapping.balanceLayers().subList(0, 1));
        float[] own = mapping.kind() == SmoothingMapping.Kind.VALUE_OUT ? heads.largestOfGroup(scales) : scales;
        return NativeFloats.of(manager, own, own.length);
    }

    /** The shift at the start, {@code [channels]}, where the mapping takes one. */
    @Nullable
    NDArray startShift(BlockContext context, SmoothingMapping mapping) {
        Shift wanted = shift == Shift.AUTO ? usual(context) : shift;
        if (!takesShift(mapping.kind()) || wanted == Shift.NONE) {
            return null;
        }
        HeadLayout heads = HeadLayout.of(context.shape());
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

    /** A key head's shift is where the first of its query heads has it: the others see the same values. */
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
        return context.shape().norms().bias() && rounded ? Shift.MID_RANGE : Shift.NONE;
    }
}
