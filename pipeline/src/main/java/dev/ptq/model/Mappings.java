package dev.ptq.model;

import dev.ptq.family.Activation;
import dev.ptq.family.AttentionShape;
import dev.ptq.family.AttentionShape.Order;
import dev.ptq.family.BlockShape;
import dev.ptq.family.MlpShape;
import dev.ptq.family.Norm;
import dev.ptq.family.Projection;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The smoothing mappings of a block, as its parts allow them. A fused linear stands in them as its parts, whose names are
 * its path and what the part makes: {@code self_attn.qkv_proj.query}.
 */
public final class Mappings {
    private Mappings() {}

    /** The paths of the linears that make queries, keys and values, or of the parts of one. */
    public static List<String> attentionInputs(AttentionShape attention) {
        List<String> paths = paths(attention.inputs());
        return attention.order() == Order.SEPARATE
                ? paths
                : List.of(paths.get(0) + ".query", paths.get(0) + ".key", paths.get(0) + ".value");
    }

    /** The paths of the first linears of an MLP, or of the parts of one; if gated those of gate and up. */
    public static List<String> mlpInputs(MlpShape mlp) {
        List<String> paths = paths(mlp.inputs());
        return mlp.isFused() ? List.of(paths.get(0) + ".gate", paths.get(0) + ".up") : paths;
    }

    static List<SmoothingMapping> of(BlockShape block) {
        List<SmoothingMapping> mappings = new ArrayList<>();
        AttentionShape attention = block.attention();
        List<String> inputs = attentionInputs(attention);
        norm(block, block.attentionNorms().before())
                .ifPresent(norm ->
                        mappings.add(new SmoothingMapping(SmoothingMapping.Kind.ATTENTION_IN, norm.path(), inputs)));
        // a bound is not scaled with what it bounds
        boolean isLinear = attention.clip().isEmpty();
        if (isLinear) {
            mappings.add(new SmoothingMapping(
                    SmoothingMapping.Kind.VALUE_OUT,
                    inputs.get(2),
                    List.of(attention.output().path())));
        }
        if (isLinear && attention.headNorms().isEmpty()) {
            mappings.add(new SmoothingMapping(SmoothingMapping.Kind.QUERY_KEY, inputs.get(1), List.of(inputs.get(0))));
        }
        if (block.mlp() instanceof MlpShape mlp) {
            List<String> first = mlpInputs(mlp);
            // what is multiplied comes first, then what goes through the activation
            List<String> balanced = mlp.gated() ? List.of(first.get(1), first.get(0)) : first;
            norm(block, block.mlpNorms().before())
                    .ifPresent(norm ->
                            mappings.add(new SmoothingMapping(SmoothingMapping.Kind.MLP_IN, norm.path(), balanced)));
            if (mlp.gated() || mlp.activation() == Activation.RELU) {
                mappings.add(new SmoothingMapping(
                        SmoothingMapping.Kind.MLP_MID,
                        balanced.get(0),
                        List.of(mlp.output().path())));
            }
        }
        return mappings;
    }

    /** A norm that feeds nothing but linears, and has a weight to take up factors. */
    private static Optional<Norm> norm(BlockShape block, Optional<Norm> norm) {
        return block.sharesNorm() ? Optional.empty() : norm.filter(Norm::hasWeight);
    }

    private static List<String> paths(List<Projection> linears) {
        return linears.stream().map(Projection::path).toList();
    }
}
